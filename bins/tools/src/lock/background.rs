//! `--hold PID`: a process in the background holds the lock, for a shell that has no connection.

use super::Wanted;
use crate::foreground::passed_on;
use crate::{Done, print, say};
use otto_core::{Error, ErrorKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Set for the process that holds the lock.
const HOLDS: &str = "OTTO_LOCK_HOLDS";

/// What the process in front lets the other one know once the caller has been told. Before that it
/// is nobody's lock: who has not heard of it can't give it back.
const SAID: &[u8] = b"\n";

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

pub(super) fn run(wanted: &Wanted, process: u32) -> Done {
    if std::env::var_os(HOLDS).is_some() {
        return hold(wanted, process);
    }
    // Where there is none nothing is started for it.
    let _ = held(process)?;
    let mut holder = Command::new("/proc/self/exe");
    holder.arg0("otto-lock").args(std::env::args_os().skip(1)).env(HOLDS, "1");
    // In a group of its own: Ctrl-C is the shell's to answer.
    holder.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn()?;
    let said = holder.stdin.take();
    let mut token = String::new();
    if let Some(mut out) = holder.stdout.take() {
        out.read_to_string(&mut token)?;
    }
    if token.is_empty() {
        // It has said why.
        return Ok(passed_on(holder.wait()?));
    }
    let told = print(format!("{} {}\n", token.trim_end(), holder.id()).as_bytes());
    if let Err(error) = told {
        drop(said);
        holder.wait()?;
        // Also where it is only that the reader has gone: the caller has no lock.
        say(&format!("otto-lock: {error:#}"));
        return Ok(1);
    }
    // Whoever was told may have ended it already.
    let _ = said.map(|mut said| said.write_all(SAID));
    Ok(0)
}

/// Takes the lock, tells its number, and keeps it until `process` has ended.
fn hold(wanted: &Wanted, process: u32) -> Done {
    close_inherited();
    let process = held(process)?;
    let out = rustix::stdio::stdout();
    let taken = wanted.take(&mut || {
        let mut ends =
            [PollFd::new(&process, PollFlags::IN), PollFd::new(&out, PollFlags::empty())];
        match poll(&mut ends, Some(&AT_ONCE)) {
            Ok(0) | Err(_) => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::Interrupted, "nobody waits for the lock any more")),
        }
    });
    let (client, token) = match taken {
        // And nobody to tell.
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(1),
        taken => taken?,
    };
    print(format!("{token}\n").as_bytes())?;
    // Whoever captures the output of the shell must not have to wait for this process.
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    let lost = || [PollFd::new(&process, PollFlags::IN), PollFd::new(&client, PollFlags::RDHUP)];
    if !is_said(lost()) {
        return Ok(1);
    }
    rustix::stdio::dup2_stdin(&nowhere)?;
    let mut ends = lost();
    while poll(&mut ends, None) == Err(rustix::io::Errno::INTR) {}
    Ok(0)
}

/// Waits until the process in front has said who holds the lock. Where it fails or is killed before,
/// or nobody needs the lock any more, that is not so.
fn is_said([process, client]: [PollFd<'_>; 2]) -> bool {
    let answer = rustix::stdio::stdin();
    let mut ends = [process, client, PollFd::new(&answer, PollFlags::IN)];
    while poll(&mut ends, None) == Err(rustix::io::Errno::INTR) {}
    let lost = ends[..2].iter().any(|end| !end.revents().is_empty());
    !lost && rustix::io::read(answer, &mut [0; 1]) == Ok(1)
}

fn held(process: u32) -> otto_core::Result<OwnedFd> {
    let gone = || Error::new(ErrorKind::NotFound, format!("--hold {process}: no such process"));
    let id = i32::try_from(process).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    pidfd_open(id, PidfdFlags::empty()).map_err(|_| gone())
}

/// A shell's streams and locks must not stay open here when the shell closes them.
fn close_inherited() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Read to the end first: the folder has a descriptor, too.
    for number in numbers.collect::<Vec<i32>>() {
        if number > 2 {
            let _ = nix::unistd::close(number);
        }
    }
}

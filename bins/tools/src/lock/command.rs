//! A command that runs while a lock is held.

use super::Wanted;
use crate::foreground::{Foreground, ending_signals, is_sent_on};
use crate::{Done, say};
use anyhow::Context;
use otto_core::socket::Client;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// The fencing number: one that only grows, for whoever must tell an old holder from a new one.
const TOKEN: &str = "OTTO_LOCK_TOKEN";

/// How long a server that does not answer may keep this program from its end.
const LAST_REPLY: Duration = Duration::from_secs(5);

pub(super) fn run(wanted: &Wanted, words: &[OsString]) -> Done {
    let Some((program, arguments)) = words.split_first() else { return Ok(0) };
    let (mut client, token) = wanted.take(&mut || Ok(()))?;
    // The command inherits this descriptor of the connection: should this program be killed, the
    // lock stays taken while the command still runs, and goes with it.
    let shared = rustix::io::dup(&client).context("can't share the connection")?;
    let mut signals = Signals::new(ending_signals())?;
    let mut command = Command::new(program);
    command.args(arguments).env(TOKEN, token.to_string());
    let command = match Foreground::start("otto-lock", &mut command) {
        Ok(command) => command,
        Err(status) => return Ok(status),
    };
    let process = command.process();
    thread::spawn(move || {
        for signal in signals.forever() {
            if let Some(process) = process.as_ref().filter(|_| is_sent_on(signal)) {
                process.signal(signal);
            }
        }
    });
    let name = wanted.name.to_string();
    thread::spawn(move || tell_of_the_end(&shared, &name));
    let status = command.wait()?;
    free(&mut client, wanted);
    Ok(status)
}

/// The command has ended, but what it left behind may still have the connection.
fn free(client: &mut Client, wanted: &Wanted) {
    client.set_reply_limit(Some(LAST_REPLY));
    // A server that has gone holds no lock, and has been told of.
    let _ = client.unlock(&wanted.name);
}

/// Says so when the server goes while the command runs.
fn tell_of_the_end(connection: &OwnedFd, name: &str) {
    let mut connection = [PollFd::new(connection, PollFlags::RDHUP)];
    while poll(&mut connection, None) == Err(rustix::io::Errno::INTR) {}
    say(&format!(
        "otto-lock: the server has gone and with it the lock {name}; the command goes on"
    ));
}

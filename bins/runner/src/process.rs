//! A task as processes: one group, its outputs, its end.

use crate::output::{Capture, Channel};
use crate::script::Invocation;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How the first process of a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(i32),
    Signal(i32),
}

impl Exit {
    /// As a shell would report it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Status(status) => status as u8,
            Exit::Signal(signal) => 128 + signal as u8,
        }
    }
}

/// How far the end of a task's processes has come, once its first process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It runs, or what it left behind may still finish by itself.
    Patient(Option<Instant>),
    /// What it left behind was asked to end.
    Terminated(Instant),
    /// What it left behind was killed.
    Killed(Instant),
}

/// How far otto-run has gone in ending a task before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    No,
    /// Until then it may end by itself: it was told that its stream broke off, or will be.
    Spared(Instant),
    /// It was asked to end, and is killed then.
    Terminated(Instant),
    Killed,
}

/// A task that has been started and not yet been brought to its end.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) task: usize,
    pub(crate) group: Pid,
    pub(crate) started: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) timed_out: bool,
    pub(crate) captures: [Capture; 2],
    pub(crate) exit: Option<Exit>,
    pub(crate) stage: Stage,
    pub(crate) asked: Asked,
    /// It was asked to end while it ran: whatever its status, it did not come to its own end.
    pub(crate) interrupted: bool,
    /// It was asked to do so alone, while the run goes on.
    pub(crate) cancelled: bool,
    /// The producer whose failure it was told of.
    pub(crate) broken_by: Option<usize>,
}

impl Live {
    /// Starts a task in a process group of its own. Nothing but its three standard streams is
    /// inherited.
    pub(crate) fn start(
        task: usize,
        command: &mut Command,
        folder: &Path,
        timeout: Option<Duration>,
    ) -> io::Result<Live> {
        let started = Instant::now();
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Reaped by number with all other children, those it leaves to us included.
        #[allow(clippy::zombie_processes)]
        let mut child = command.spawn()?;
        let group = Pid::from_raw(child.id().cast_signed());
        let missing = || io::Error::other("a pipe is missing");
        let out: OwnedFd = child.stdout.take().ok_or_else(missing)?.into();
        let err: OwnedFd = child.stderr.take().ok_or_else(missing)?.into();
        let captures = Capture::new(Channel::Stdout, out, folder)
            .and_then(|out| Ok([out, Capture::new(Channel::Stderr, err, folder)?]));
        let captures = match captures {
            Ok(captures) => captures,
            Err(error) => {
                let _ = killpg(group, Signal::SIGKILL);
                return Err(error);
            }
        };
        Ok(Live {
            task,
            group,
            started,
            deadline: timeout.map(|timeout| started + timeout),
            timed_out: false,
            captures,
            exit: None,
            stage: Stage::Patient(None),
            asked: Asked::No,
            interrupted: false,
            cancelled: false,
            broken_by: None,
        })
    }

    /// Asks the task to end, and leaves it until `kill_at` to do so.
    pub(crate) fn ask(&mut self, kill_at: Instant) {
        self.interrupted |= self.exit.is_none();
        self.signal(Signal::SIGTERM);
        // A stopped process would not notice.
        self.signal(Signal::SIGCONT);
        self.asked = Asked::Terminated(kill_at);
    }

    /// Whether it was asked alone to end, and did so in good order.
    pub(crate) fn ended_as_asked(&self) -> bool {
        self.cancelled && self.exit == Some(Exit::Status(0))
    }

    /// Takes the next step that is due in ending the task, each `grace` after the one before.
    pub(crate) fn press(&mut self, now: Instant, grace: Duration) {
        match self.asked {
            Asked::Spared(until) if until <= now => self.ask(now + grace),
            Asked::Terminated(until) if until <= now => {
                self.signal(Signal::SIGKILL);
                self.asked = Asked::Killed;
            }
            _ => {}
        }
    }

    /// When the next step is due.
    pub(crate) fn press_at(&self) -> Option<Instant> {
        match self.asked {
            Asked::Spared(until) | Asked::Terminated(until) => Some(until),
            Asked::No | Asked::Killed => None,
        }
    }

    /// Sends `signal` to all of the task's group.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = killpg(self.group, signal);
    }

    /// Whether a process of the group is left.
    pub(crate) fn group_lives(&self) -> bool {
        killpg(self.group, None) != Err(Errno::ESRCH)
    }

    /// Whether somebody may still print.
    pub(crate) fn is_captured(&self) -> bool {
        self.captures.iter().any(|capture| capture.fd().is_some())
    }
}

/// The command that runs `invocation`.
pub(crate) fn command(invocation: &Invocation, stdin: Option<OwnedFd>) -> Command {
    let mut command = Command::new(&invocation.program);
    command.args(&invocation.arguments);
    command.stdin(stdin.map_or_else(Stdio::null, Stdio::from));
    command
}

/// The children of all threads of a process.
pub(crate) fn children(id: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect()
}

//! Signals as descriptors to poll. Handlers, not a blocked mask: a mask would be inherited by tasks.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{flag, low_level};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Signals that end a run, the one reported first when several came at once first.
const ENDING: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];

/// What this process is told by signal.
#[derive(Debug)]
pub(crate) struct Signals {
    children: UnixStream,
    ending: UnixStream,
    arrived: Vec<(i32, Arc<AtomicBool>)>,
}

impl Signals {
    /// From here on the signals arrive here, except a hang-up where that was ignored (nohup).
    pub(crate) fn listen() -> io::Result<Signals> {
        let (children, to_children) = pair()?;
        low_level::pipe::register(SIGCHLD, to_children)?;
        let (ending, to_ending) = pair()?;
        let mut arrived = Vec::new();
        for signal in ENDING.into_iter().filter(|signal| *signal != SIGHUP || !hangup_ignored()) {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag first: who reads the byte must find it set.
            flag::register(signal, Arc::clone(&flag))?;
            low_level::pipe::register(signal, to_ending.try_clone()?)?;
            arrived.push((signal, flag));
        }
        Ok(Signals { children, ending, arrived })
    }

    /// Readable when a child may have ended, and when the run is asked to end.
    pub(crate) fn poll_fds(&self) -> [PollFd<'_>; 2] {
        [&self.children, &self.ending].map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN))
    }

    /// A descriptor readable while a request to end waits to be taken.
    pub(crate) fn ending_fd(&self) -> io::Result<OwnedFd> {
        self.ending.as_fd().try_clone_to_owned()
    }

    /// Forgets that children may have ended; call it before reaping them.
    pub(crate) fn take_children(&mut self) {
        drain(&mut self.children);
    }

    /// Waits until a child has ended, but no longer than `limit`.
    pub(crate) fn wait_for_children(&mut self, limit: Duration) {
        let mut fds = [PollFd::new(self.children.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        // Whatever it says, the caller looks again.
        let _ = poll(&mut fds, limit);
        self.take_children();
    }

    /// The signal that asks to end, and how many have come since the last call.
    pub(crate) fn take_ending(&mut self) -> Option<(i32, usize)> {
        let count = drain(&mut self.ending);
        let mut first = None;
        for (signal, flag) in &self.arrived {
            if flag.swap(false, Ordering::Relaxed) {
                first = first.or(Some(*signal));
            }
        }
        first.map(|signal| (signal, count.max(1)))
    }
}

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    write.set_nonblocking(true)?;
    Ok((read, write))
}

fn drain(from: &mut UnixStream) -> usize {
    let mut buffer = [0; 256];
    let mut count = 0;
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        count += bytes;
    }
    count
}

/// Whether this process was started with SIGHUP ignored.
fn hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}

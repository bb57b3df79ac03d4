//! What is left of a run when its tasks have ended: processes that left their groups.

use super::Engine;
use crate::process::children;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use otto_core::run::{Process, processes_of};
use std::time::{Duration, Instant};

/// Time for all of them to end.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest between two looks: a new generation may have been forked by those just killed.
const PAUSE: Duration = Duration::from_millis(20);

impl Engine<'_> {
    /// Kills every descendant. Orphans fall to us, since we are their subreaper: so as long as we
    /// have no child there is none.
    pub(super) fn sweep(&mut self) {
        let deadline = Instant::now() + LIMIT;
        while has_children() {
            let mut left = held_children();
            left.extend(processes_of(self.parts.run.id()));
            left.iter().for_each(Process::kill);
            if Instant::now() > deadline {
                let ids: Vec<String> = left.iter().map(|process| process.id.to_string()).collect();
                let ids = ids.join(" ");
                self.parts.display.say(&format!("processes that can't be ended: {ids}"));
                return;
            }
            self.parts.signals.wait_for_children(PAUSE);
        }
    }
}

/// Buries the dead; whether a living child is left.
fn has_children() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// Our own children, so that none of their numbers is given to somebody else meanwhile.
fn held_children() -> Vec<Process> {
    children(std::process::id()).into_iter().filter_map(Process::hold).collect()
}

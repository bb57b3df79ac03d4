//! What is left of a run when its tasks have ended: processes that left their groups.

use super::Engine;
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
            let mut left = children();
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

/// Our children by any of our threads.
fn children() -> Vec<Process> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .filter_map(Process::hold)
        .collect()
}

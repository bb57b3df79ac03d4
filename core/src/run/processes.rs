//! The processes of a run, found by the environment they inherited.

use super::{RunId, variable};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::{fs, process};

/// A live process, held by a descriptor: a signal never reaches a successor of its number.
#[derive(Debug)]
pub struct Process {
    /// Its process ID.
    pub id: u32,
    descriptor: OwnedFd,
}

impl Process {
    /// Holds the process `id`; `None` when there is none.
    #[must_use]
    pub fn hold(id: u32) -> Option<Process> {
        let pid = Pid::from_raw(i32::try_from(id).ok()?)?;
        Some(Process { id, descriptor: pidfd_open(pid, PidfdFlags::empty()).ok()? })
    }

    /// Sends any signal by its number; nothing happens when the process is gone, or there is no
    /// such signal.
    pub fn signal(&self, number: i32) {
        if let Some(signal) = Signal::from_named_raw(number) {
            let _ = pidfd_send_signal(&self.descriptor, signal);
        }
    }

    /// Asks the process to end (SIGTERM); nothing happens when it is gone already.
    pub fn terminate(&self) {
        let _ = pidfd_send_signal(&self.descriptor, Signal::TERM);
    }

    /// Ends the process (SIGKILL); nothing happens when it is gone already.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.descriptor, Signal::KILL);
    }
}

/// Every process but this one that runs in the environment of `run`, as far as this user may look:
/// root also finds those that a task started as somebody else.
///
/// ```
/// use otto_core::run::{RunId, processes_of};
/// assert!(processes_of(RunId(u64::MAX)).is_empty());
/// ```
#[must_use]
pub fn processes_of(run: RunId) -> Vec<Process> {
    let wanted = format!("{}={run}", variable::RUN_ID);
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| *id != process::id())
        .filter_map(|id: u32| {
            // Held before its environment is read, so that what was read is what is signalled.
            let process = Process::hold(id)?;
            let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
            let found =
                environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes());
            found.then_some(process)
        })
        .collect()
}

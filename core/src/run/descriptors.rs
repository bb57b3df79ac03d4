//! The limit of open descriptors, as a process hands it to its children.
#![allow(unsafe_code)]

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by whoever raises the limit, and by whoever starts a child by what it is now.
static RAISING: Mutex<()> = Mutex::new(());

/// How many descriptors this process was allowed, before it allowed itself more: what its children
/// are to have, since programs that use `select` rely on a low limit.
///
/// ```
/// use otto_core::run::DescriptorLimit;
/// use std::process::Command;
/// let limit = DescriptorLimit::current();
/// let mut command = Command::new("true");
/// let _held = limit.hold(&mut command);
/// assert!(command.status().unwrap().success());
/// ```
#[derive(Debug, Clone)]
pub struct DescriptorLimit(Rlimit);

/// Until this is dropped the limit of this process stays as it is.
#[derive(Debug)]
pub struct HeldLimit {
    _guard: MutexGuard<'static, ()>,
}

impl DescriptorLimit {
    /// The limit of this process now.
    #[must_use]
    pub fn current() -> DescriptorLimit {
        DescriptorLimit(getrlimit(Resource::Nofile))
    }

    /// Has `command` run with this limit from its first instruction on, if it is started before what
    /// is returned is dropped.
    #[must_use]
    pub fn hold(&self, command: &mut Command) -> HeldLimit {
        let held = HeldLimit { _guard: RAISING.lock().unwrap_or_else(PoisonError::into_inner) };
        let now = getrlimit(Resource::Nofile);
        if now.current != self.0.current {
            // The hard limit stays: only the soft one is ever raised.
            let limit = Rlimit { current: self.0.current, maximum: now.maximum };
            // SAFETY: between fork and exec this makes one system call, on a copy of two numbers;
            // it neither allocates nor takes a lock.
            unsafe {
                command.pre_exec(move || Ok(setrlimit(Resource::Nofile, limit)?));
            }
        }
        held
    }
}

/// Allows this process twice as many descriptors, as far as the hard limit goes; whether that is
/// more than before.
pub(crate) fn raise() -> bool {
    let _guard = RAISING.lock().unwrap_or_else(PoisonError::into_inner);
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current else { return false };
    let doubled = soft.saturating_mul(2).max(soft + 1);
    let raised = limit.maximum.map_or(doubled, |hard| hard.min(doubled));
    let wanted = Rlimit { current: Some(raised), ..limit };
    raised > soft && setrlimit(Resource::Nofile, wanted).is_ok()
}

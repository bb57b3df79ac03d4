//! State that a forked child must not inherit.

use pyo3::Python;
use std::process;
use std::sync::{Mutex, PoisonError};

/// One value a process. A forked child gets a new one, and the parent's copy is never touched
/// there: a thread of the parent's may have held its locks at the moment of the fork.
pub(crate) struct PerProcess<T: 'static>(Mutex<Option<(u32, &'static T)>>);

impl<T: Default + Sync> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess(Mutex::new(None))
    }

    /// This process's value. The lock is taken with the GIL held only, and `os.fork` needs the
    /// GIL: so no fork ever happens while it is taken.
    pub(crate) fn get(&self, _py: Python<'_>) -> &'static T {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = process::id();
        match *held {
            Some((owner, value)) if owner == pid => value,
            _ => {
                let value: &'static T = Box::leak(Box::default());
                *held = Some((pid, value));
                value
            }
        }
    }
}

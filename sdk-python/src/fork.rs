//! State that a forked child must not inherit.

use pyo3::prelude::*;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many forks lie between this process and the one that imported the module.
static GENERATION: AtomicU32 = AtomicU32::new(FIRST);

/// The [`generation`] of the process that imported the module.
pub(crate) const FIRST: u32 = 1;

/// A number that a forked child does not share with its parent; unlike a process ID it costs no system
/// call. Never 0.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// How often this process has forked.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// A number that changes with every fork of this process.
pub(crate) fn forks() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Called by Python in a child it has forked.
#[pyfunction]
fn forked(py: Python<'_>) -> PyResult<()> {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    crate::tied::forked(py)
}

/// Called by Python in a process that has forked.
#[pyfunction]
fn has_forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Registers [`forked`] and [`has_forked`].
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let options = pyo3::types::PyDict::new(module.py());
    options.set_item("after_in_child", pyo3::wrap_pyfunction!(forked, module)?)?;
    options.set_item("after_in_parent", pyo3::wrap_pyfunction!(has_forked, module)?)?;
    module.py().import("os")?.call_method("register_at_fork", (), Some(&options))?;
    Ok(())
}

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

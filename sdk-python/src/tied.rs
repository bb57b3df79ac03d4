//! Connections that something is bound to, such as a lock: they must end with this process alone.
//!
//! A forked child has a copy of every descriptor, and the server sees the end of a connection only
//! when the last copy is closed. So a child closes its copies as soon as it runs.

use crate::crossing::blocking;
use crate::fork;
use otto_core::socket::Client;
use otto_core::{Result, Tick};
use pyo3::prelude::*;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The descriptors a forked child has to close. Locked with the GIL held only, which keeps forks away.
static DESCRIPTORS: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

fn descriptors() -> MutexGuard<'static, Vec<RawFd>> {
    DESCRIPTORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Something with a connection of its own, which ends with this process or before. Made and dropped
/// with the GIL held.
pub(crate) struct Tied<T> {
    /// Always `Some` before the drop.
    connection: Option<T>,
    descriptor: RawFd,
    generation: u32,
}

impl<T: AsFd> Tied<T> {
    fn new(connection: T) -> Tied<T> {
        let descriptor = connection.as_fd().as_raw_fd();
        descriptors().push(descriptor);
        Tied { connection: Some(connection), descriptor, generation: fork::generation() }
    }
}

impl<T> Tied<T> {
    /// Whether it is this process's: a forked child has closed what was its parent's.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == fork::generation()
    }

    /// What has the connection, where it is this process's.
    pub(crate) fn get(&mut self) -> Option<&mut T> {
        if self.is_ours() { self.connection.as_mut() } else { None }
    }

    /// The same connection in another role; `None` where it is not this process's.
    pub(crate) fn map<U, E>(
        mut self,
        change: impl FnOnce(T) -> std::result::Result<U, E>,
    ) -> std::result::Result<Option<Tied<U>>, E> {
        if !self.is_ours() {
            return Ok(None);
        }
        let Some(connection) = self.connection.take() else { return Ok(None) };
        let (descriptor, generation) = (self.descriptor, self.generation);
        // Its descriptor is closed where this fails.
        let changed = change(connection).inspect_err(|_| forget(descriptor))?;
        Ok(Some(Tied { connection: Some(changed), descriptor, generation }))
    }
}

impl<T> Drop for Tied<T> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if self.is_ours() {
            forget(self.descriptor);
        } else {
            // Closed already, and its number may be another file's by now.
            std::mem::forget(connection);
        }
    }
}

fn forget(descriptor: RawFd) {
    descriptors().retain(|other| *other != descriptor);
}

/// A connection to `server` that no other process has.
pub(crate) fn connect(py: Python<'_>, server: &Path) -> PyResult<Tied<Client>> {
    loop {
        let before = fork::forks();
        let client = blocking(py, |_| Client::connect(server))?;
        let tied = Tied::new(client);
        // A child that was forked just now has it as well, and does not know.
        if fork::forks() == before {
            return Ok(tied);
        }
    }
}

/// Calls that wait on a tied connection.
pub(crate) fn call<T: Send>(
    py: Python<'_>,
    tied: &mut Tied<Client>,
    work: impl FnOnce(&mut Client, Tick<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let Some(client) = tied.get() else {
        return Err(crate::errors::usage(py, "made before a fork: make a new one in the child"));
    };
    blocking(py, |tick| work(client, tick))
}

/// Called in a forked child: closes what belongs to its parent.
pub(crate) fn forked(py: Python<'_>) -> PyResult<()> {
    let close = py.import("os")?.getattr("close")?;
    for descriptor in std::mem::take(&mut *descriptors()) {
        // Closed by somebody else it is closed.
        let _ = close.call1((descriptor,));
    }
    Ok(())
}

//! Waiting for the server from an event loop. The loop's side of it is in `otto/_awaiting.py`.

use crate::arguments::{Count, Seconds, Text};
use crate::convert::from_json;
use crate::crossing::deadline;
use crate::errors::{lift, usage};
use crate::place::Place;
use crate::tied::{self, Tied};
use otto_core::Key;
use otto_core::socket::Pending;
use pyo3::prelude::*;
use pyo3::types::PyEllipsis;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A question to the server whose answer takes its time.
#[pyclass(module = "otto._otto", frozen)]
pub(crate) struct PendingReply {
    pending: Mutex<Option<Tied<Pending>>>,
    /// What the timeout is about.
    name: String,
}

/// Asks for `key` as soon as it is there.
#[pyfunction]
pub(crate) fn begin_wait(
    py: Python<'_>,
    server: Option<PathBuf>,
    key: Text<'_>,
    timeout: Option<Seconds>,
) -> PyResult<PendingReply> {
    let name = lift(py, Key::parse(&key))?;
    let deadline = deadline(py, timeout)?;
    let server = of(py, server, "wait_async")?;
    PendingReply::begin(py, &server, &key, |client| client.begin_wait(&name, deadline))
}

/// Comes to the barrier `name`.
#[pyfunction]
pub(crate) fn begin_barrier(
    py: Python<'_>,
    server: Option<PathBuf>,
    name: Text<'_>,
    count: Count,
    timeout: Option<Seconds>,
) -> PyResult<PendingReply> {
    let key = lift(py, Key::parse(&name))?;
    let count = count.at_least_one(py, "count")?;
    let deadline = deadline(py, timeout)?;
    let server = of(py, server, "barrier_async")?;
    PendingReply::begin(py, &server, &name, |client| client.begin_barrier(&key, count, deadline))
}

fn of(py: Python<'_>, server: Option<PathBuf>, what: &str) -> PyResult<PathBuf> {
    server.map_or_else(|| lift(py, Place::server(None, what)), Ok)
}

impl PendingReply {
    fn begin(
        py: Python<'_>,
        server: &std::path::Path,
        name: &str,
        begin: impl FnOnce(otto_core::socket::Client) -> otto_core::Result<Pending> + Send,
    ) -> PyResult<PendingReply> {
        let connection = tied::connect(py, server)?;
        let pending = lift(py, connection.map(begin))?;
        Ok(PendingReply { pending: Mutex::new(pending), name: name.to_owned() })
    }

    fn pending(&self) -> MutexGuard<'_, Option<Tied<Pending>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PendingReply {
    /// What is readable once there is something to ask `reply()` for.
    fn fileno(&self, py: Python<'_>) -> PyResult<RawFd> {
        match self.pending().as_mut().and_then(Tied::get) {
            Some(pending) => Ok(pending.as_fd().as_raw_fd()),
            None => Err(usage(py, "asked before a fork, or closed: ask again")),
        }
    }

    /// The answer, or `...` as long as there is none.
    fn reply<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let reply = match self.pending().as_mut().and_then(Tied::get) {
            Some(pending) => lift(py, pending.reply())?,
            None => None,
        };
        match reply {
            Some(reply) => from_json(py, &reply),
            None => Ok(PyEllipsis::get(py).to_owned().into_any()),
        }
    }

    /// Gives up the question.
    fn close(&self) {
        *self.pending() = None;
    }

    /// The exception that says that no answer came in time.
    fn late(&self, py: Python<'_>) -> PyErr {
        let message = format!("timeout: {}", self.name);
        crate::errors::to_python(
            py,
            &otto_core::Error::new(otto_core::ErrorKind::TimedOut, message),
        )
    }
}

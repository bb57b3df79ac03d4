//! `otto.barrier()`.

use crate::arguments::{Count, Seconds, Text};
use crate::crossing::deadline;
use crate::errors::lift;
use crate::place::Place;
use crate::tied;
use otto_core::Key;
use pyo3::prelude::*;
use std::path::Path;

/// Waits until `count` have come to the barrier `name`, and returns as which of them this one came.
///
/// The first is 1. The next to come begin a new round. Whoever goes away before, also by `TimedOut`
/// after `timeout` seconds, is not counted.
///
/// >>> import otto, threading
/// >>> with otto.serve():
/// ...     other = threading.Thread(target=otto.barrier, args=("ready", 2))
/// ...     other.start()
/// ...     otto.barrier("ready", 2, timeout=30) in (1, 2)
/// ...     other.join()
/// True
#[pyfunction]
#[pyo3(signature = (name, count, timeout=None))]
pub(crate) fn barrier(
    py: Python<'_>,
    name: Text<'_>,
    count: Count,
    timeout: Option<Seconds>,
) -> PyResult<u32> {
    barrier_at(py, &lift(py, Place::server(None, "barrier"))?, name, count, timeout)
}

pub(crate) fn barrier_at(
    py: Python<'_>,
    server: &Path,
    name: Text<'_>,
    count: Count,
    timeout: Option<Seconds>,
) -> PyResult<u32> {
    let name = lift(py, Key::parse(&name))?;
    let count = count.at_least_one(py, "count")?;
    let deadline = deadline(py, timeout)?;
    // Of its own: an arrival that is given up must not be counted.
    let mut connection = tied::connect(py, server)?;
    tied::call(py, &mut connection, |client, tick| client.barrier(&name, count, deadline, tick))
}

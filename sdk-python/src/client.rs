//! `otto.OttoClient`: the seed's class, grown up.

use crate::errors::lift;
use crate::place::{Place, close_idle};
use crate::subscription::Subscription;
use crate::values::{self, Fallback};
use otto_core::Key;
use otto_core::run::Environment;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::path::{Path, PathBuf};

/// A client of one server: `OTTO_SOCKET` unless `socket_path` is given.
///
/// `set()` stores under this task's name: `OTTO_TASK_NAME` unless `task_name` is given. The other
/// methods take full keys. `get()` of a missing key gives None. Any number of threads may use it,
/// and it may be used after a fork.
///
/// >>> import otto
/// >>> with otto.serve(task="test"):
/// ...     client = otto.OttoClient()
/// ...     client.set("version", "1.2.3")
/// ...     client.get("test.version")
/// ...     client.get("build.version") is None
/// True
/// '1.2.3'
/// True
#[pyclass(module = "otto", frozen)]
pub(crate) struct OttoClient {
    /// The server's path; None where there is no server.
    socket_path: Option<PathBuf>,
    /// The task whose keys `set()` sets; None: keys are taken as given.
    #[pyo3(get)]
    task_name: Option<String>,
}

#[pymethods]
impl OttoClient {
    #[new]
    #[pyo3(signature = (socket_path=None, task_name=None))]
    fn new(socket_path: Option<PathBuf>, task_name: Option<String>) -> OttoClient {
        let environment = Environment::from_process();
        OttoClient {
            socket_path: socket_path.or(environment.socket),
            task_name: task_name.or(environment.task_name),
        }
    }

    /// The server's path; None where there is no server.
    #[getter]
    fn socket_path(&self) -> Option<&str> {
        self.socket_path.as_deref().and_then(Path::to_str)
    }

    /// Stores `value` under `<task_name>.<key>` and returns True.
    #[pyo3(signature = (key, value, *, if_absent=false, if_revision=None))]
    fn set(
        &self,
        py: Python<'_>,
        key: &str,
        value: &Bound<'_, PyAny>,
        if_absent: bool,
        if_revision: Option<u64>,
    ) -> PyResult<bool> {
        let condition = values::condition(py, if_absent, if_revision)?;
        let key = match &self.task_name {
            Some(task) => Key::parse(key).and_then(|key| Key::parse(&format!("{task}.{key}"))),
            None => Key::parse(key),
        };
        values::set(py, &self.place(py)?, key, value, condition).map(|()| true)
    }

    /// The value of `key`; `default` where there is none.
    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let default = default.unwrap_or_else(|| py.None().into_bound(py));
        values::get(py, &self.place(py)?, key, Fallback::Use(default))
    }

    /// The values of many keys for the price of one call; `default` for each that is absent.
    #[pyo3(signature = (keys, default=None))]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        values::get_many(py, &self.place(py)?, keys, default)
    }

    /// The number of the last write to `key` and its value.
    fn get_with_revision<'py>(
        &self,
        py: Python<'py>,
        key: &str,
    ) -> PyResult<(u64, Bound<'py, PyAny>)> {
        values::get_with_revision(py, &self.place(py)?, key)
    }

    /// Waits until `key` is present and returns its value; see `otto.wait`.
    #[pyo3(signature = (key, timeout=None, *, default=Fallback::Raise))]
    fn wait<'py>(
        &self,
        py: Python<'py>,
        key: &str,
        timeout: Option<f64>,
        default: Fallback<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        values::wait(py, &self.place(py)?, key, timeout, default)
    }

    /// The keys that match `pattern`, sorted.
    #[pyo3(signature = (pattern="*"))]
    fn list_keys(&self, py: Python<'_>, pattern: &str) -> PyResult<Vec<String>> {
        values::list_keys(py, &self.place(py)?, pattern)
    }

    /// Removes `key`; raises `NotFound` where there is none.
    fn delete(&self, py: Python<'_>, key: &str) -> PyResult<()> {
        values::delete(py, &self.place(py)?, key)
    }

    /// Adds `by` to the integer under `key` and returns the sum.
    #[pyo3(signature = (key, by=1))]
    fn incr(&self, py: Python<'_>, key: &str, by: i64) -> PyResult<i64> {
        values::incr(py, &self.place(py)?, key, by)
    }

    /// Tells the subscribers of `channel`; nothing is stored.
    fn publish(&self, py: Python<'_>, channel: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        values::publish(py, self.path(py)?, channel, value)
    }

    /// Every change from now on of what matches `pattern`; see `otto.subscribe`.
    #[pyo3(signature = (pattern="*", *, timeout=None))]
    fn subscribe(
        &self,
        py: Python<'_>,
        pattern: &str,
        timeout: Option<f64>,
    ) -> PyResult<Subscription> {
        Subscription::open(py, &self.path(py)?, pattern, timeout)
    }

    /// Figures about the server, as a dict.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        values::stats(py, self.path(py)?)
    }

    /// Closes idle connections; the next call opens one again.
    fn close(&self, py: Python<'_>) {
        if let Some(path) = &self.socket_path {
            close_idle(py, path);
        }
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}

impl OttoClient {
    fn path(&self, py: Python<'_>) -> PyResult<PathBuf> {
        match &self.socket_path {
            Some(path) => Ok(path.clone()),
            // Says what is missing and how to get it.
            None => lift(py, Environment::default().socket().cloned()),
        }
    }

    fn place(&self, py: Python<'_>) -> PyResult<Place> {
        self.path(py).map(Place::Socket)
    }
}

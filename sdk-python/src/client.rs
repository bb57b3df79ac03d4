//! `otto.OttoClient`: the seed's class, grown up.

use crate::arguments::{Count, Revision, Seconds, Step, Text};
use crate::barrier::barrier_at;
use crate::batch::Batch;
use crate::cancellation::{Watch, cancel_at};
use crate::errors::lift;
use crate::lock::{Lock, locks_at};
use crate::place::{Place, close_idle};
use crate::subscription::{Start, Subscription};
use crate::values::{self, Fallback};
use otto_core::run::Environment;
use otto_core::{Key, TaskName};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::ffi::OsStr;
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
    cancelled: Watch,
}

#[pymethods]
impl OttoClient {
    #[new]
    #[pyo3(signature = (socket_path=None, task_name=None))]
    fn new(socket_path: Option<PathBuf>, task_name: Option<Text<'_>>) -> OttoClient {
        let environment = Environment::from_process();
        OttoClient {
            socket_path: socket_path.or(environment.socket),
            task_name: task_name.map(|task| task.0.to_owned()).or(environment.task_name),
            cancelled: Watch::new(),
        }
    }

    /// The server's path; None where there is no server.
    #[getter]
    fn socket_path(&self) -> Option<&OsStr> {
        self.socket_path.as_deref().map(Path::as_os_str)
    }

    /// Stores `value` under `<task_name>.<key>` and returns True; see `otto.set`.
    #[pyo3(signature = (key, value, *, if_absent=false, if_revision=None, ttl=None))]
    fn set(
        &self,
        py: Python<'_>,
        key: Text<'_>,
        value: &Bound<'_, PyAny>,
        if_absent: bool,
        if_revision: Option<Revision>,
        ttl: Option<Seconds>,
    ) -> PyResult<bool> {
        let condition = values::condition(py, if_absent, if_revision)?;
        let key = match &self.task_name {
            Some(task) => Key::parse(&key).and_then(|key| Key::parse(&format!("{task}.{key}"))),
            None => Key::parse(&key),
        };
        let key = lift(py, key)?;
        match ttl {
            None => values::set(py, &self.place(py)?, &key, value, condition)?,
            Some(_) => values::set_for(py, self.path(py)?, &key, value, condition, ttl)?,
        }
        Ok(true)
    }

    /// The value of `key`; `default` where there is none.
    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: Text<'_>,
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
        key: Text<'_>,
    ) -> PyResult<(u64, Bound<'py, PyAny>)> {
        values::get_with_revision(py, &self.place(py)?, key)
    }

    /// Waits until `key` is present and returns its value; see `otto.wait`.
    #[pyo3(signature = (key, timeout=None, *, default=Fallback::Raise))]
    fn wait<'py>(
        &self,
        py: Python<'py>,
        key: Text<'_>,
        timeout: Option<Seconds>,
        default: Fallback<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        values::wait(py, &self.place(py)?, key, timeout, default)
    }

    /// The keys that match `pattern`, sorted.
    #[pyo3(signature = (pattern=Text("*")), text_signature = "($self, pattern='*')")]
    fn list_keys(&self, py: Python<'_>, pattern: Text<'_>) -> PyResult<Vec<String>> {
        values::list_keys(py, &self.place(py)?, pattern)
    }

    /// Removes `key`; raises `NotFound` where there is none.
    fn delete(&self, py: Python<'_>, key: Text<'_>) -> PyResult<()> {
        values::delete(py, &self.place(py)?, key)
    }

    /// Adds `by` to the integer under `key` and returns the sum.
    #[pyo3(signature = (key, by=Step(1)), text_signature = "($self, key, by=1)")]
    fn incr(&self, py: Python<'_>, key: Text<'_>, by: Step) -> PyResult<i64> {
        values::incr(py, &self.place(py)?, key, by)
    }

    /// Tells the subscribers of `channel`; nothing is stored.
    fn publish(&self, py: Python<'_>, channel: Text<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        values::publish(py, self.path(py)?, channel, value)
    }

    /// Adds `value` at the end of the list under `key` and returns its length.
    fn append(&self, py: Python<'_>, key: Text<'_>, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        values::append(py, &self.place(py)?, key, value)
    }

    /// How many seconds `key` will still be there, None where nothing removes it.
    fn ttl(&self, py: Python<'_>, key: Text<'_>) -> PyResult<Option<f64>> {
        values::ttl(py, self.path(py)?, key)
    }

    /// Several changes, all of them or none; see `otto.batch`.
    fn batch(&self, py: Python<'_>) -> PyResult<Batch> {
        Ok(Batch::new(self.path(py)?, Some(self.task_name.clone())))
    }

    /// Every change of what matches `pattern`; see `otto.subscribe`.
    #[pyo3(
        signature = (pattern=Text("*"), *, from_=Start::NOW, timeout=None),
        text_signature = "($self, pattern='*', *, from_='now', timeout=None)"
    )]
    fn subscribe(
        &self,
        py: Python<'_>,
        pattern: Text<'_>,
        from_: Start,
        timeout: Option<Seconds>,
    ) -> PyResult<Subscription> {
        Subscription::open(py, &self.path(py)?, pattern, from_, timeout)
    }

    /// The lock `name` of the run; see `otto.lock`.
    #[pyo3(
        signature = (name, slots=Count::ONE, timeout=None),
        text_signature = "($self, name, slots=1, timeout=None)"
    )]
    fn lock(
        &self,
        py: Python<'_>,
        name: Text<'_>,
        slots: Count,
        timeout: Option<Seconds>,
    ) -> PyResult<Lock> {
        Lock::new(py, self.path(py)?, name, slots, timeout)
    }

    /// Who holds the locks that match `pattern`; see `otto.locks`.
    #[pyo3(signature = (pattern=Text("*")), text_signature = "($self, pattern='*')")]
    fn locks<'py>(&self, py: Python<'py>, pattern: Text<'_>) -> PyResult<Bound<'py, PyAny>> {
        locks_at(py, self.path(py)?, pattern)
    }

    /// Waits until `count` have come to the barrier `name`; see `otto.barrier`.
    #[pyo3(signature = (name, count, timeout=None))]
    fn barrier(
        &self,
        py: Python<'_>,
        name: Text<'_>,
        count: Count,
        timeout: Option<Seconds>,
    ) -> PyResult<u32> {
        barrier_at(py, &self.path(py)?, name, count, timeout)
    }

    /// Asks `task`, or the whole run, to end; see `otto.cancel`.
    #[pyo3(signature = (task=None))]
    fn cancel(&self, py: Python<'_>, task: Option<Text<'_>>) -> PyResult<()> {
        cancel_at(py, self.path(py)?, task)
    }

    /// Whether `task_name`, or its whole run, was asked to end; the server is asked at most every
    /// 100 ms. Signals have nothing to do with it; see `otto.cancelled`.
    fn cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        let server = self.path(py)?;
        self.cancelled.look(py, || {
            let task = self.task_name.as_deref().map(TaskName::parse).transpose()?;
            Ok(Some((server, task)))
        })
    }

    /// `wait()` for coroutines; see `otto.wait_async`.
    #[pyo3(signature = (key, timeout=None, *, default=Fallback::Raise))]
    fn wait_async<'py>(
        &self,
        py: Python<'py>,
        key: Text<'_>,
        timeout: Option<Seconds>,
        default: Fallback<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (module, server) = (py.import("otto._awaiting")?, self.path(py)?);
        match default {
            Fallback::Raise => module.call_method1("client_wait", (server, key.0, timeout)),
            Fallback::Use(default) => {
                module.call_method1("client_wait", (server, key.0, timeout, default))
            }
        }
    }

    /// `barrier()` for coroutines; see `otto.barrier_async`.
    #[pyo3(signature = (name, count, timeout=None))]
    fn barrier_async<'py>(
        &self,
        py: Python<'py>,
        name: Text<'_>,
        count: Bound<'py, PyAny>,
        timeout: Option<Seconds>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let server = self.path(py)?;
        py.import("otto._awaiting")?
            .call_method1("client_barrier", (server, name.0, count, timeout))
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

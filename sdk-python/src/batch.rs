//! `otto.batch()`: several changes, all of them or none.

use crate::arguments::{Revision, Seconds, Step, Text};
use crate::convert::{from_json, to_json};
use crate::errors::{lift, usage};
use crate::functions::scoped;
use crate::place::Place;
use crate::values::{self, seconds};
use otto_core::socket::Operation;
use otto_core::{Condition, Key};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Changes that are collected and then made at once; made by `otto.batch()`.
#[pyclass(module = "otto", frozen)]
pub(crate) struct Batch {
    server: PathBuf,
    /// Whose keys `set()` sets, as `Some`, where it is not the environment that says so.
    task_name: Option<Option<String>>,
    state: Mutex<State>,
}

enum State {
    Collecting(Vec<Operation>),
    /// Sent; the results if it was done.
    Sent(Option<Py<PyList>>),
}

/// Several changes as one: all of them are made, in their order, or none.
///
/// Nobody sees some of them without the others. Nothing is sent before the end of the `with` block,
/// and nothing at all when it raises; `ConditionFailed` is raised there, and nothing changed, where
/// an `if_absent` or `if_revision` does not hold. Afterwards `results` has what each gave: the
/// change's number, whether there was something to delete, the sum, the list's length. Without a
/// block, `send()` does it.
///
/// >>> import otto
/// >>> with otto.serve(task="build"):
/// ...     with otto.batch() as batch:
/// ...         batch.set("version", "1.2.3", if_absent=True)
/// ...         batch.incr("builds")
/// ...         batch.append("log", "built 1.2.3")
/// ...         batch.delete("no.such.key")
/// ...     print(batch.results[1:], otto.get("build.version"))
/// [1, 1, False] 1.2.3
#[pyfunction]
pub(crate) fn batch(py: Python<'_>) -> PyResult<Batch> {
    Ok(Batch::new(lift(py, Place::server(None, "batch"))?, None))
}

impl Batch {
    pub(crate) fn new(server: PathBuf, task_name: Option<Option<String>>) -> Batch {
        Batch { server, task_name, state: Mutex::new(State::Collecting(Vec::new())) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, py: Python<'_>, operation: Operation) -> PyResult<()> {
        match &mut *self.state() {
            State::Collecting(operations) => {
                operations.push(operation);
                Ok(())
            }
            State::Sent(_) => Err(sent(py)),
        }
    }
}

fn sent(py: Python<'_>) -> PyErr {
    usage(py, "this batch was sent already: make another one")
}

#[pymethods]
impl Batch {
    /// Stores `value` under `name`, as `otto.set()` does.
    #[pyo3(signature = (name, value, *, scope="task", if_absent=false, if_revision=None, ttl=None))]
    #[allow(clippy::too_many_arguments)]
    fn set(
        &self,
        py: Python<'_>,
        name: Text<'_>,
        value: &Bound<'_, PyAny>,
        scope: &str,
        if_absent: bool,
        if_revision: Option<Revision>,
        ttl: Option<Seconds>,
    ) -> PyResult<()> {
        let condition = values::condition(py, if_absent, if_revision)?;
        let task = self.task_name.as_ref().map(Option::as_deref);
        let key = scoped(py, name, scope, task)?;
        self.add(py, set_operation(py, &key, value, condition, ttl)?)
    }

    /// Removes `key`; where there is none, that is no failure.
    fn delete(&self, py: Python<'_>, key: Text<'_>) -> PyResult<()> {
        self.add(py, Operation::delete(&lift(py, Key::parse(&key))?))
    }

    /// Adds `by` to the integer under `key`, absent being 0.
    #[pyo3(signature = (key, by=Step(1)), text_signature = "($self, key, by=1)")]
    fn incr(&self, py: Python<'_>, key: Text<'_>, by: Step) -> PyResult<()> {
        self.add(py, Operation::increment(&lift(py, Key::parse(&key))?, by.0))
    }

    /// Adds `value` at the end of the list under `key`.
    fn append(&self, py: Python<'_>, key: Text<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = lift(py, Key::parse(&key))?;
        self.add(py, Operation::append(&key, &to_json(value)?))
    }

    /// Makes the changes and returns what each gave.
    fn send<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let operations = match &mut *self.state() {
            State::Collecting(operations) => std::mem::take(operations),
            State::Sent(_) => return Err(sent(py)),
        };
        *self.state() = State::Sent(None);
        let results = PyList::empty(py);
        if !operations.is_empty() {
            let server = self.server.clone();
            for result in Place::with_client(py, server, |client, _| client.batch(&operations))? {
                results.append(from_json(py, &result)?)?;
            }
        }
        *self.state() = State::Sent(Some(results.clone().unbind()));
        Ok(results)
    }

    /// What each change gave, None where they were not made.
    #[getter]
    fn results<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyList>> {
        match &*self.state() {
            State::Sent(Some(results)) => Some(results.bind(py).clone()),
            _ => None,
        }
    }

    /// How many changes wait to be sent.
    fn __len__(&self) -> usize {
        match &*self.state() {
            State::Collecting(operations) => operations.len(),
            State::Sent(_) => 0,
        }
    }

    /// A batch is true, empty or not.
    fn __bool__(&self) -> bool {
        true
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let raised = exception.get_item(0).is_ok_and(|class| !class.is_none());
        if raised {
            *self.state() = State::Sent(None);
            return Ok(());
        }
        let unsent = matches!(&*self.state(), State::Collecting(_));
        if unsent { self.send(py).map(drop) } else { Ok(()) }
    }
}

/// What stores `value`.
pub(crate) fn set_operation(
    py: Python<'_>,
    key: &Key,
    value: &Bound<'_, PyAny>,
    condition: Condition,
    ttl: Option<Seconds>,
) -> PyResult<Operation> {
    let operation = Operation::set(key, &to_json(value)?);
    let operation = match condition {
        Condition::Always => operation,
        Condition::IfAbsent => operation.if_absent(),
        Condition::IfRevision(revision) => operation.if_revision(revision),
    };
    Ok(match ttl {
        Some(ttl) => operation.ttl(seconds(py, ttl)?),
        None => operation,
    })
}

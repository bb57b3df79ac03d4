//! `otto.TaskDataRegion`: a task's document.

use crate::convert::{from_json, to_json};
use crate::crossing::blocking;
use crate::errors::{lift, usage};
use otto_core::region::Document;
use otto_core::run::{Environment, RunId};
use otto_core::{Json, Result, TaskName};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};
use std::process;
use std::sync::{Mutex, PoisonError};

/// A task's document: JSON in shared memory, which any process of the run may read and write.
///
/// Readers see the whole of what some writer wrote, whoever is killed at what moment.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     region = otto.TaskDataRegion.create("build", 65536)
/// ...     region.write_json({"version": "1.2.3"})
/// ...     region.update({"count": 1})
/// ...     otto.TaskDataRegion.open("build").read_json()
/// {'version': '1.2.3', 'count': 1}
#[pyclass(module = "otto", frozen)]
pub(crate) struct TaskDataRegion {
    document: Mutex<Opened>,
    run: RunId,
    task: TaskName,
}

struct Opened {
    document: Document,
    /// A forked child opens the document anew: a lock on the inherited file would be the parent's.
    owner: u32,
}

#[pymethods]
impl TaskDataRegion {
    /// The document of `task`, made with room for `size` bytes where it is missing.
    ///
    /// It grows when needed.
    #[classmethod]
    #[pyo3(signature = (task, size=65536))]
    fn create(
        _class: &Bound<'_, PyType>,
        py: Python<'_>,
        task: &str,
        size: usize,
    ) -> PyResult<Self> {
        TaskDataRegion::new(py, task, |run, task| Document::create(run, task, size))
    }

    /// The document of `task`; raises `NotFound` where there is none.
    #[classmethod]
    fn open(_class: &Bound<'_, PyType>, py: Python<'_>, task: &str) -> PyResult<Self> {
        TaskDataRegion::new(py, task, Document::open)
    }

    /// What the document holds, None when nothing has been written.
    fn read_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = self.with(py, Document::read)?;
        if bytes.is_empty() {
            return Ok(py.None().into_bound(py));
        }
        from_json(py, &lift(py, Json::parse_owned(bytes))?)
    }

    /// Replaces the whole document with `value`, anything JSON can say.
    fn write_json(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let json = to_json(value)?;
        self.with(py, |document| document.write(json.as_str().as_bytes()))
    }

    /// The JSON text as it stands, empty when nothing has been written.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.with(py, Document::read)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Replaces the whole document with JSON text.
    fn write(&self, py: Python<'_>, json: PyBackedBytes) -> PyResult<()> {
        self.with(py, |document| document.write(&json))
    }

    /// Sets some keys of the object the document holds; no other writer's change is lost.
    fn update(&self, py: Python<'_>, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut changes = Vec::with_capacity(values.len());
        for (key, value) in values {
            let key = key.cast::<PyString>().map_err(|_| usage(py, "keys must be strings"))?;
            changes.push((key.to_str()?.to_owned(), to_json(&value)?));
        }
        self.with(py, |document| {
            document.update(|object| {
                for (key, value) in changes {
                    object.set(&key, value);
                }
                Ok(())
            })
        })
    }

    /// The task whose document this is.
    #[getter]
    fn task(&self) -> &str {
        self.task.as_str()
    }

    /// The file: a little-endian u32 length, then as much JSON.
    #[getter]
    fn path(&self) -> String {
        self.run.document_path(&self.task).display().to_string()
    }
}

impl TaskDataRegion {
    fn new(
        py: Python<'_>,
        task: &str,
        open: impl FnOnce(RunId, &TaskName) -> Result<Document> + Send,
    ) -> PyResult<TaskDataRegion> {
        let run = lift(py, Environment::from_process().run())?;
        let task = lift(py, TaskName::parse(task))?;
        let document = blocking(py, |_| open(run, &task))?;
        let opened = Opened { document, owner: process::id() };
        Ok(TaskDataRegion { document: Mutex::new(opened), run, task })
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Document) -> Result<T> + Send,
    ) -> PyResult<T> {
        let mut opened = self.document.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let opened = &mut *opened;
        blocking(py, |_| {
            if opened.owner != process::id() {
                opened.document = Document::open(self.run, &self.task)?;
                opened.owner = process::id();
            }
            work(&mut opened.document)
        })
    }
}

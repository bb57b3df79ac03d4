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
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// A forked child may use its parent's: it reads from what it inherited, and opens the document
    /// anew before it locks.
    document: Mutex<Document>,
    run: RunId,
    task: TaskName,
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
        let json = self.look(py, |json| {
            if json.is_empty() { Ok(None) } else { lift(py, Json::parse_bytes(json)).map(Some) }
        })?;
        match json {
            Some(json) => from_json(py, &json),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// Replaces the whole document with `value`, anything JSON can say.
    fn write_json(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let json = to_json(value)?;
        self.put(py, json.as_str().as_bytes())
    }

    /// The JSON text as it stands, empty when nothing has been written.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.look(py, |json| Ok(PyBytes::new(py, json)))
    }

    /// Replaces the whole document with JSON text.
    fn write(&self, py: Python<'_>, json: PyBackedBytes) -> PyResult<()> {
        self.put(py, &json)
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

/// Largest JSON that is written with the GIL held, in bytes.
const QUICK_BYTES: usize = 4096;

impl TaskDataRegion {
    fn new(
        py: Python<'_>,
        task: &str,
        open: impl FnOnce(RunId, &TaskName) -> Result<Document> + Send,
    ) -> PyResult<TaskDataRegion> {
        let run = lift(py, Environment::from_process().run())?;
        let task = lift(py, TaskName::parse(task))?;
        let document = blocking(py, |_| open(run, &task))?;
        Ok(TaskDataRegion { document: Mutex::new(document), run, task })
    }

    /// Hands what the document holds to `then`, which must not run any Python: this handle is
    /// locked meanwhile.
    fn look<T>(&self, py: Python<'_>, then: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
        let mut document = self.lock(py);
        // Over before anyone else could have taken the GIL.
        if let Some(json) = document.glance() {
            return then(json);
        }
        let document = &mut *document;
        then(blocking(py, |_| document.snapshot())?)
    }

    fn put(&self, py: Python<'_>, json: &[u8]) -> PyResult<()> {
        // Over before anyone else could have taken the GIL, unless another writer is at work.
        if json.len() <= QUICK_BYTES && lift(py, self.lock(py).try_write(json))? {
            return Ok(());
        }
        self.with(py, |document| document.write(json))
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Document) -> Result<T> + Send,
    ) -> PyResult<T> {
        let mut document = self.lock(py);
        let document = &mut *document;
        blocking(py, |_| work(document))
    }

    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Document> {
        self.document.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

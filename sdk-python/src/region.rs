//! `otto.TaskDataRegion`: a task's document.

use crate::arguments::{Seconds, Size, Text};
use crate::convert::{from_json, to_json};
use crate::crossing::{blocking, deadline};
use crate::encode::utf8;
use crate::errors::{lift, usage};
use otto_core::region::Document;
use otto_core::run::{Environment, RunId};
use otto_core::{Json, Result, TaskName, Tick};
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
    ///
    /// Locked only with the GIL held, so in no child that Python forks. Nothing is there while a
    /// thread has let go of the GIL with it: others open one for themselves.
    document: Mutex<Option<Document>>,
    run: RunId,
    task: TaskName,
}

#[pymethods]
impl TaskDataRegion {
    /// The document of `task`, made with room for `size` bytes where it is missing.
    ///
    /// It grows when needed.
    #[classmethod]
    #[pyo3(signature = (task, size=Size(65536)), text_signature = "(task, size=65536)")]
    fn create(
        _class: &Bound<'_, PyType>,
        py: Python<'_>,
        task: Text<'_>,
        size: Size,
    ) -> PyResult<Self> {
        TaskDataRegion::new(py, task, |run, task| Document::create(run, task, size.0))
    }

    /// The document of `task`; raises `NotFound` where there is none.
    #[classmethod]
    fn open(_class: &Bound<'_, PyType>, py: Python<'_>, task: Text<'_>) -> PyResult<Self> {
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
        let quick = |document: &mut Document| document.try_write_json(&json);
        self.put(py, json.as_str().len(), quick, |document| document.write_json(&json))
    }

    /// The JSON text as it stands, empty when nothing has been written.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.look(py, |json| Ok(PyBytes::new(py, json)))
    }

    /// Replaces the whole document with JSON text.
    fn write(&self, py: Python<'_>, json: PyBackedBytes) -> PyResult<()> {
        let quick = |document: &mut Document| document.try_write(&json);
        self.put(py, json.len(), quick, |document| document.write(&json))
    }

    /// Sets some keys of the object the document holds; no other writer's change is lost.
    fn update(&self, py: Python<'_>, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut changes = Vec::with_capacity(values.len());
        for (key, value) in values {
            let key = key.cast::<PyString>().map_err(|_| usage(py, "keys must be strings"))?;
            changes.push((utf8(key)?.to_owned(), to_json(&value)?));
        }
        self.with(py, |document, _| {
            document.update(|object| {
                for (key, value) in changes {
                    object.set(&key, value);
                }
                Ok(())
            })
        })
    }

    /// Waits until the document has `key`, written without its task, and returns the value.
    ///
    /// Without a key it waits until the document is another than what was last read or written
    /// through this object, or waited for, and returns all of it. After `timeout` seconds
    /// `TimedOut` is raised; `NotFound` when the document is removed.
    ///
    /// >>> import otto
    /// >>> with otto.serve():
    /// ...     region = otto.TaskDataRegion.create("build")
    /// ...     region.update({"ready": True})
    /// ...     region.wait("ready", timeout=30)
    /// ...     otto.set("build.count", 1, via="mmap")
    /// ...     region.wait(timeout=30)
    /// True
    /// {'ready': True, 'count': 1}
    #[pyo3(signature = (key=None, *, timeout=None))]
    fn wait<'py>(
        &self,
        py: Python<'py>,
        key: Option<Text<'_>>,
        timeout: Option<Seconds>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let deadline = deadline(py, timeout)?;
        match key {
            Some(Text(key)) => {
                let json = self.with(py, |document, tick| document.wait_for(key, deadline, tick));
                from_json(py, &json?)
            }
            None => match self.with(py, |document, tick| document.wait(deadline, tick))? {
                json if json.is_empty() => Ok(py.None().into_bound(py)),
                json => from_json(py, &lift(py, Json::parse_owned(json))?),
            },
        }
    }

    /// What is known about the document without its content, as a dict.
    ///
    /// `bytes` of JSON, `size` of the file, `generation`: the count of writes, `writer`: the process
    /// that wrote last or None, and whether `writer_alive`.
    ///
    /// >>> import otto
    /// >>> with otto.serve():
    /// ...     region = otto.TaskDataRegion.create("build", 4096)
    /// ...     region.write_json([1, 2])
    /// ...     stat = region.stat()
    /// >>> stat["bytes"], stat["size"], stat["generation"], stat["writer_alive"]
    /// (5, 4096, 1, True)
    fn stat<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        // By itself: a look is not a read that a later wait starts from.
        let stat = blocking(py, |_| Document::open(self.run, &self.task)?.stat())?;
        let found = PyDict::new(py);
        found.set_item("bytes", stat.size)?;
        found.set_item("size", stat.capacity)?;
        found.set_item("generation", stat.generation)?;
        found.set_item("writer", stat.writer)?;
        found.set_item("writer_alive", stat.writer_alive)?;
        Ok(found)
    }

    /// Removes the document; raises `NotFound` where there is none any more.
    ///
    /// >>> import otto
    /// >>> with otto.serve():
    /// ...     region = otto.TaskDataRegion.create("build")
    /// ...     region.remove()
    /// ...     otto.TaskDataRegion.open("build")
    /// Traceback (most recent call last):
    /// otto.errors.NotFound: not found: document /dev/shm/otto-1234-build
    fn remove(&self, py: Python<'_>) -> PyResult<()> {
        blocking(py, |_| Document::remove(self.run, &self.task))
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
        task: Text<'_>,
        open: impl FnOnce(RunId, &TaskName) -> Result<Document> + Send,
    ) -> PyResult<TaskDataRegion> {
        let run = lift(py, Environment::from_process().run())?;
        let task = lift(py, TaskName::parse(&task))?;
        let document = blocking(py, |_| open(run, &task))?;
        Ok(TaskDataRegion { document: Mutex::new(Some(document)), run, task })
    }

    /// Hands what the document holds to `then`, which must not run any Python: this handle is
    /// locked meanwhile.
    fn look<T>(&self, py: Python<'_>, then: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
        // Over before anyone else could have taken the GIL.
        if let Some(json) = self.lock(py).as_mut().and_then(Document::glance) {
            return then(json);
        }
        self.taken(py, |place| then(blocking(py, |_| self.opened(place)?.snapshot())?))
    }

    /// Writes `bytes` of JSON: with `quick`, which never waits, if they are few, else with `write`.
    fn put(
        &self,
        py: Python<'_>,
        bytes: usize,
        quick: impl FnOnce(&mut Document) -> Result<bool>,
        write: impl FnOnce(&mut Document) -> Result<()> + Send,
    ) -> PyResult<()> {
        if let Some(document) = &mut *self.lock(py)
            && bytes <= QUICK_BYTES
            // Over before anyone else could have taken the GIL, unless another writer is at work.
            && lift(py, quick(document))?
        {
            return Ok(());
        }
        self.with(py, |document, _| write(document))
    }

    /// Does `work`, without the GIL.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Document, Tick<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.taken(py, |place| blocking(py, |tick| work(self.opened(place)?, tick)))
    }

    /// Takes the document out of its place, if it is there, for `work`, and puts it back.
    fn taken<T>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Option<Document>) -> PyResult<T>,
    ) -> PyResult<T> {
        let mut place = self.lock(py).take();
        let outcome = work(&mut place);
        *self.lock(py) = place;
        outcome
    }

    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Option<Document>> {
        self.document.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    fn opened<'a>(&self, place: &'a mut Option<Document>) -> Result<&'a mut Document> {
        match place {
            Some(document) => Ok(document),
            empty => Ok(empty.insert(Document::open(self.run, &self.task)?)),
        }
    }
}

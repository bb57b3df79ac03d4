//! What datasets there are, and reading one without a copy. What numpy and Arrow have to do with
//! that is in `otto/_datasets.py`.

use crate::arguments::Text;
use crate::buffer::{Buffer, Memory, view};
use crate::convert::from_json;
use crate::crossing::blocking;
use crate::errors::lift;
use crate::layout::Layout;
use otto_core::TaskName;
use otto_core::region::{self, DatasetInfo, Spill};
use otto_core::run::{Environment, RunId};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyMemoryView, PyTuple};

/// The run of this process, and a dataset's name.
pub(crate) fn identify(py: Python<'_>, name: &str) -> PyResult<(RunId, TaskName)> {
    let run = lift(py, Environment::from_process().run())?;
    Ok((run, lift(py, TaskName::parse(name))?))
}

pub(crate) fn spill(wanted: bool) -> Spill {
    if wanted { Spill::WhenFull } else { Spill::Never }
}

/// The dataset `name` as a read-only memoryview, without a copy.
///
/// The view stays valid and unchanged as long as it lives, also when the dataset is replaced or
/// removed or the run ends. It has the format and shape that were published: `numpy.asarray(view)`
/// is an array over the same memory. Raises `NotFound` where there is no such dataset.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.put_dataset("text", b"abc")
/// ...     view = otto.get_dataset("text")
/// >>> bytes(view), view.readonly
/// (b'abc', True)
#[pyfunction]
pub(crate) fn get_dataset<'py>(
    py: Python<'py>,
    name: Text<'_>,
) -> PyResult<Bound<'py, PyMemoryView>> {
    view(Bound::new(py, OpenDataset::new(py, name)?)?.as_super())
}

/// The names of the run's datasets, sorted.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     for name in "rows", "columns":
/// ...         otto.put_dataset(name, b"")
/// ...     otto.list_datasets()
/// ['columns', 'rows']
#[pyfunction]
pub(crate) fn list_datasets(py: Python<'_>) -> PyResult<Vec<String>> {
    let run = lift(py, Environment::from_process().run())?;
    let names = blocking(py, |_| region::Dataset::list(run))?;
    Ok(names.iter().map(|name| name.as_str().to_owned()).collect())
}

/// Removes the dataset `name`; who has it open keeps it. Raises `NotFound` where there is none.
///
/// Its memory is free again when the last view of it is gone.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.put_dataset("text", b"abc")
/// ...     view = otto.get_dataset("text")
/// ...     otto.remove_dataset("text")
/// ...     otto.list_datasets(), bytes(view)
/// ([], b'abc')
#[pyfunction]
pub(crate) fn remove_dataset(py: Python<'_>, name: Text<'_>) -> PyResult<()> {
    let (run, name) = identify(py, &name)?;
    blocking(py, |_| region::Dataset::remove(run, &name))
}

/// A published dataset: what `otto.Dataset` is based on.
#[pyclass(module = "otto._otto", frozen, subclass, extends = Buffer)]
pub(crate) struct OpenDataset {
    name: TaskName,
    path: String,
    info: DatasetInfo,
}

#[pymethods]
impl OpenDataset {
    #[new]
    fn new(py: Python<'_>, name: Text<'_>) -> PyResult<PyClassInitializer<OpenDataset>> {
        let (run, name) = identify(py, &name)?;
        let dataset = blocking(py, |_| region::Dataset::open(run, &name))?;
        let info = dataset.info().clone();
        let path = dataset.path().display().to_string();
        let about = from_json(py, &info.about)?;
        let buffer = Memory::Dataset(dataset.into_bytes());
        let layout = Layout::from_label(&about, buffer.len());
        let opened = OpenDataset { name, path, info };
        Ok(PyClassInitializer::from(Buffer::new(buffer, layout)).add_subclass(opened))
    }

    /// Its name within the run.
    #[getter]
    fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The file, for programs that want one, as long as the dataset has its name.
    ///
    /// numpy.load reads it where an array was published, duckdb, polars and the like where the
    /// bytes of their format were.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// Its size in bytes.
    #[getter]
    fn size(&self) -> u64 {
        self.info.size
    }

    /// How often its name had been published when it was, since the name was last free.
    #[getter]
    fn generation(&self) -> u64 {
        self.info.generation
    }

    /// What its producer said about it, None when nothing.
    #[getter]
    fn about<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &self.info.about)
    }

    /// Whether it lies on disk, because memory had no room for it.
    #[getter]
    fn on_disk(&self) -> bool {
        self.info.on_disk
    }

    /// The type of its elements as memoryview spells it, "B" for bytes.
    #[getter]
    fn format(slf: Bound<'_, Self>) -> String {
        slf.as_super().get().layout().format_text().to_owned()
    }

    /// Elements along each dimension.
    #[getter]
    fn shape<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(slf.py(), slf.as_super().get().layout().shape())
    }

    fn __repr__(&self) -> String {
        let DatasetInfo { size, generation, .. } = self.info;
        format!("<otto.Dataset '{}', {size} bytes, generation {generation}>", self.name)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(format!(
            "a dataset is not copied by pickling it: pass the name {:?} and call \
             otto.open_dataset() there",
            self.name.as_str()
        )))
    }
}

//! `otto.get_dataset()`, `otto.open_dataset()` and what there is: reading without a copy.

use crate::buffer::{Buffer, Memory, view};
use crate::convert::from_json;
use crate::crossing::blocking;
use crate::errors::lift;
use crate::layout::Layout;
use crate::packages;
use otto_core::TaskName;
use otto_core::region::{self, DatasetInfo, Spill};
use otto_core::run::{Environment, RunId};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView, PyTuple};

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
pub(crate) fn get_dataset<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyMemoryView>> {
    view(open_dataset(py, name)?.as_super())
}

/// The dataset `name` as an `otto.Dataset`; raises `NotFound` where there is none.
///
/// >>> import otto, array
/// >>> with otto.serve():
/// ...     otto.put_dataset("features", array.array("d", [0.5, 1.5]))
/// ...     dataset = otto.open_dataset("features")
/// >>> dataset.size, dataset.shape, dataset.numpy().sum()
/// (16, (2,), np.float64(2.0))
#[pyfunction]
pub(crate) fn open_dataset<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, Dataset>> {
    let (run, name) = identify(py, name)?;
    let dataset = blocking(py, |_| region::Dataset::open(run, &name))?;
    let info = dataset.info().clone();
    let path = dataset.path().display().to_string();
    let about = from_json(py, &info.about)?;
    let layout = Layout::from_label(&about, dataset.info().size as usize);
    let buffer = Buffer::new(Memory::Dataset(dataset), layout);
    let opened = Dataset { name, path, info };
    Bound::new(py, PyClassInitializer::from(buffer).add_subclass(opened))
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
pub(crate) fn remove_dataset(py: Python<'_>, name: &str) -> PyResult<()> {
    let (run, name) = identify(py, name)?;
    blocking(py, |_| region::Dataset::remove(run, &name))
}

/// One published dataset, as `otto.open_dataset` finds it.
///
/// It is read where it lies: memoryview(dataset), and anything else that takes a buffer, shows the
/// same memory, read-only, as do arrays and tables from the methods. That memory stays as it is as
/// long as any of them lives, also when the dataset is replaced or removed or the run ends.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.put_dataset("text", b"first")
/// ...     dataset = otto.open_dataset("text")
/// ...     otto.put_dataset("text", b"second")
/// ...     bytes(dataset), dataset.generation, otto.open_dataset("text").generation
/// (b'first', 1, 2)
#[pyclass(module = "otto", frozen, extends = Buffer)]
pub(crate) struct Dataset {
    name: TaskName,
    path: String,
    info: DatasetInfo,
}

impl Dataset {
    /// Whether its label says something under `what`.
    pub(crate) fn is_labelled(&self, py: Python<'_>, what: &str) -> PyResult<bool> {
        let about = from_json(py, &self.info.about)?;
        about.cast::<PyDict>().map_or(Ok(false), |about| about.contains(what))
    }
}

#[pymethods]
impl Dataset {
    /// The array, over the dataset's memory; bytes are an array of uint8.
    ///
    /// Raises `MissingPackage`, an `ImportError`, where numpy is not installed.
    fn numpy<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        packages::numpy(slf.py())?.call_method1("array", (slf,))
    }

    /// The pyarrow.Table over the dataset's memory; a pyarrow.Buffer of it where it holds no table.
    ///
    /// Raises `MissingPackage`, an `ImportError`, where pyarrow is not installed.
    fn arrow<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        packages::arrow(slf.py())?.call_method1("arrow", (slf,))
    }

    /// The table as a polars.DataFrame, over the dataset's memory as far as polars can.
    fn polars<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        packages::arrow(slf.py())?.call_method1("polars", (slf,))
    }

    /// The table as a pandas.DataFrame.
    ///
    /// Numbers without nulls stay in the dataset's memory, what pandas keeps in other ways is
    /// copied; `arrow().to_pandas(types_mapper=pandas.ArrowDtype)` copies nothing.
    fn pandas<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        packages::arrow(slf.py())?.call_method1("pandas", (slf,))
    }

    /// The table for whoever takes Arrow data: polars.DataFrame(dataset), duckdb, pyarrow.table.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        slf: Bound<'py, Self>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let table = packages::arrow(slf.py())?.call_method1("table", (slf,))?;
        table.call_method1("__arrow_c_stream__", (requested_schema,))
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

    /// The type of its elements, a numpy.dtype; raises `MissingPackage` without numpy.
    #[getter]
    fn dtype<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Dataset::numpy(slf)?.getattr("dtype")
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

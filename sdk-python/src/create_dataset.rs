//! `otto.create_dataset()`: a dataset filled where it will lie.

use crate::buffer::{Buffer, Building, Memory, view};
use crate::convert::to_json;
use crate::crossing::blocking;
use crate::dataset::{identify, spill};
use crate::errors::usage;
use crate::format;
use crate::layout::Layout;
use crate::npy;
use crate::packages;
use otto_core::Json;
use otto_core::region::DatasetBuilder;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use std::process;
use std::sync::{Mutex, PoisonError};

/// An array in shared memory to be filled in a `with` block, whose end publishes it as `name`.
///
/// Nothing is copied. The array holds zeros at first; it is numpy's, or a memoryview where numpy
/// is not installed. `dtype` is anything numpy takes for one, `shape` a number or several. When the
/// block ends by an exception, nothing is published. Afterwards the array is read-only; nobody
/// may write to it while the block ends, and what is written through older views of it later is
/// seen by this process alone. Children forked within the block may fill it too, if they are done
/// before it ends.
///
/// Raises `SystemRefused`, an `OSError`, when shared memory is full, unless `spill` is true: then
/// the dataset lies on disk, under the same name.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     with otto.create_dataset("squares", "f8", 4) as array:
/// ...         for i in range(4):
/// ...             array[i] = i * i
/// ...     otto.get_dataset("squares").tolist()
/// [0.0, 1.0, 4.0, 9.0]
#[pyfunction]
#[pyo3(signature = (name, dtype, shape, *, spill=false))]
pub(crate) fn create_dataset(
    py: Python<'_>,
    name: &str,
    dtype: &Bound<'_, PyAny>,
    shape: &Bound<'_, PyAny>,
    spill: bool,
) -> PyResult<DatasetWriter> {
    let (run, task) = identify(py, name)?;
    let lengths = lengths(shape)?;
    let (format, item_size, dtype) = element(dtype)?;
    let layout = Layout::new(&format, item_size, &lengths).ok_or_else(|| {
        usage(py, format!("shape {shape} is beyond any memory or has more than 64 dimensions"))
    })?;
    let header = npy::header(dtype.repr()?.to_str()?, layout.shape());
    let about = layout.label(py)?;
    about.set_item("dtype", &dtype)?;
    let about = to_json(&about)?;
    let spill = self::spill(spill);
    let builder =
        blocking(py, |_| DatasetBuilder::new(run, &task, &header, layout.size() as u64, spill))?;
    let memory = Memory::Building(Building::new(builder));
    let memory = Py::new(py, Buffer::new(memory, Some(layout)))?;
    let (dtype, state) = (dtype.unbind(), Mutex::new(State::New));
    Ok(DatasetWriter { memory, about, dtype, state, owner: process::id() })
}

fn lengths(shape: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let several = || shape.extract::<Vec<usize>>();
    shape.extract().map(|one| vec![one]).or_else(|_| several()).map_err(|_| {
        usage(
            shape.py(),
            format!("shape {shape}: give a number of elements, or several as a tuple"),
        )
    })
}

/// Format and size of an element of `dtype`, and that type as .npy files spell it.
fn element<'py>(dtype: &Bound<'py, PyAny>) -> PyResult<(String, usize, Bound<'py, PyAny>)> {
    let py = dtype.py();
    if let Ok(text) = dtype.cast::<PyString>()
        && let Some(simple) = format::from_numpy(text.to_str()?)
    {
        return Ok((simple.format, simple.size, simple.dtype.into_pyobject(py)?.into_any()));
    }
    packages::numpy(py)?.call_method1("element", (dtype,))?.extract()
}

/// A dataset that is being filled; made by `otto.create_dataset`, for one `with` block.
#[pyclass(module = "otto", frozen)]
pub(crate) struct DatasetWriter {
    memory: Py<Buffer>,
    about: Json,
    dtype: Py<PyAny>,
    state: Mutex<State>,
    /// The process that fills it: a forked child that leaves the block publishes nothing.
    owner: u32,
}

enum State {
    New,
    Entered(Py<PyAny>),
    Left,
}

#[pymethods]
impl DatasetWriter {
    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let memory = self.memory.bind(py);
        let shape = PyTuple::new(py, memory.get().layout().shape())?;
        let array = match packages::numpy(py) {
            Ok(numpy) => numpy.call_method1("over", (memory, &self.dtype, shape))?,
            Err(error) if error.is_instance_of::<PyImportError>(py) => view(memory)?.into_any(),
            Err(error) => return Err(error),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::New) {
            return Err(usage(py, "this dataset had its block: call otto.create_dataset() again"));
        }
        *state = State::Entered(array.clone().unbind());
        Ok(array)
    }

    #[pyo3(signature = (exception_class, *_exception))]
    fn __exit__(
        &self,
        py: Python<'_>,
        exception_class: &Bound<'_, PyAny>,
        _exception: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let left = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *state, State::Left)
        };
        let State::Entered(array) = left else { return Ok(()) };
        if !exception_class.is_none() || self.owner != process::id() {
            return Ok(());
        }
        let Memory::Building(building) = self.memory.get().memory() else { return Ok(()) };
        let published = blocking(py, |_| building.publish(&self.about));
        // numpy's arrays can be closed, a memoryview can't.
        if array.bind(py).hasattr("setflags")? {
            array.bind(py).getattr("flags")?.setattr("writeable", false)?;
        }
        published
    }
}

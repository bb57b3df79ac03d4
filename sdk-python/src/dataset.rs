//! `otto.put_dataset()` and `otto.get_dataset()`.

use crate::buffer::{Borrowed, Buffer, Memory, view};
use crate::convert::{from_json, to_json};
use crate::crossing::blocking;
use crate::errors::lift;
use otto_core::region::{Dataset, Publisher};
use otto_core::run::{Environment, RunId};
use otto_core::{Json, TaskName};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView};

/// Publishes the bytes of `data` as the run's dataset `name`, replacing its predecessor.
///
/// `data` is anything with a buffer: bytes, array, numpy array. Nobody may change it before the
/// call returns. Element format and shape are kept. Readers of a replaced dataset keep what they
/// have. Raises `SystemRefused`, an `OSError`, when shared memory is full.
///
/// >>> import otto, array
/// >>> with otto.serve():
/// ...     otto.put_dataset("features", array.array("d", [0.5, 1.5]))
/// ...     otto.get_dataset("features").tolist()
/// [0.5, 1.5]
#[pyfunction]
pub(crate) fn put_dataset(py: Python<'_>, name: &str, data: &Bound<'_, PyAny>) -> PyResult<()> {
    let (run, name) = dataset(py, name)?;
    let borrowed = match Borrowed::of(data)? {
        Some(borrowed) => borrowed,
        None => return put_dataset_in_order(py, run, &name, data),
    };
    publish(py, run, &name, borrowed.bytes(), &about(py, &borrowed)?)
}

/// Scattered elements are brought in order first.
fn put_dataset_in_order(
    py: Python<'_>,
    run: RunId,
    name: &TaskName,
    data: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let scattered = PyMemoryView::from(data)?;
    let described = describe(
        py,
        scattered.getattr("format")?.extract()?,
        scattered.getattr("shape")?.extract()?,
    )?;
    let bytes = scattered.call_method0("tobytes")?;
    publish(py, run, name, bytes.extract()?, &described)
}

fn publish(
    py: Python<'_>,
    run: RunId,
    name: &TaskName,
    bytes: &[u8],
    about: &Json,
) -> PyResult<()> {
    blocking(py, |_| Publisher::new(run, name).about(about).bytes(bytes))?;
    Ok(())
}

/// The dataset `name` as a read-only memoryview, without a copy.
///
/// The view stays valid and unchanged as long as it lives, also when the dataset is replaced or
/// the run ends. It has the format and shape that were published: `numpy.asarray(view)` is an
/// array over the same memory. Raises `NotFound` where there is no such dataset.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.put_dataset("text", b"abc")
/// ...     view = otto.get_dataset("text")
/// >>> bytes(view), view.readonly
/// (b'abc', True)
#[pyfunction]
pub(crate) fn get_dataset<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyMemoryView>> {
    let (run, name) = dataset(py, name)?;
    let dataset = blocking(py, |_| Dataset::open(run, &name))?;
    let about = from_json(py, &dataset.info().about)?;
    let plain = view(&Bound::new(py, Buffer::new(Memory::Dataset(dataset)))?)?;
    let Ok(about) = about.cast::<PyDict>() else { return Ok(plain) };
    let (Some(format), Some(shape)) = (about.get_item("format")?, about.get_item("shape")?) else {
        return Ok(plain);
    };
    // Formats of more than one character, empty arrays and what others may have written about
    // their dataset are beyond memoryview: then it is bytes.
    match plain.call_method1("cast", (format, shape)) {
        Ok(shaped) => Ok(shaped.cast_into::<PyMemoryView>()?),
        Err(_) => Ok(plain),
    }
}

fn dataset(py: Python<'_>, name: &str) -> PyResult<(RunId, TaskName)> {
    let run = lift(py, Environment::from_process().run())?;
    Ok((run, lift(py, TaskName::parse(name))?))
}

fn about(py: Python<'_>, data: &Borrowed) -> PyResult<Json> {
    describe(py, data.format(), data.shape().to_vec())
}

/// Format and shape as JSON; nothing for plain bytes.
fn describe(py: Python<'_>, format: &str, shape: Vec<usize>) -> PyResult<Json> {
    if format == "B" && shape.len() == 1 {
        return Ok(Json::null());
    }
    let about = PyDict::new(py);
    about.set_item("format", format)?;
    about.set_item("shape", shape)?;
    to_json(&about)
}

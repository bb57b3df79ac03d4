//! What `otto.create_dataset()` fills: memory that becomes a dataset.

use crate::arguments::Text;
use crate::buffer::{Buffer, Building, Memory};
use crate::crossing::blocking;
use crate::datasets::{identify, spill};
use crate::errors::usage;
use crate::format;
use crate::layout::Layout;
use crate::put_dataset::{Described, label};
use otto_core::Json;
use otto_core::region::DatasetBuilder;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::process;

/// Format and size of an element of `dtype`, and that type as .npy files spell it; None where it
/// takes numpy to know.
#[pyfunction]
pub(crate) fn element(dtype: &str) -> Option<(String, usize, String)> {
    format::from_numpy(dtype).map(|simple| (simple.format, simple.size, simple.dtype))
}

/// Writable memory of a dataset that nobody sees before it is published.
#[pyclass(module = "otto._otto", frozen, extends = Buffer)]
pub(crate) struct DatasetMemory {
    about: Json,
    /// The process that fills it: a forked child that leaves the block publishes nothing.
    owner: u32,
}

#[pymethods]
impl DatasetMemory {
    #[new]
    fn new(
        py: Python<'_>,
        name: Text<'_>,
        format: &str,
        item_size: usize,
        dtype: &Bound<'_, PyAny>,
        shape: &Bound<'_, PyAny>,
        spill: bool,
    ) -> PyResult<PyClassInitializer<DatasetMemory>> {
        let (run, name) = identify(py, &name)?;
        let layout = Layout::new(format, item_size, &lengths(shape)?).ok_or_else(|| {
            let message = format!("shape {shape} is beyond any memory, or of over 64 dimensions");
            usage(py, message)
        })?;
        let Described { about, header } = label(py, &layout, Some(dtype))?;
        let size = layout.size() as u64;
        let builder =
            blocking(py, |_| DatasetBuilder::new(run, &name, &header, size, self::spill(spill)))?;
        let buffer = Buffer::new(Memory::Building(Building::new(builder)), Some(layout));
        let memory = DatasetMemory { about, owner: process::id() };
        Ok(PyClassInitializer::from(buffer).add_subclass(memory))
    }

    /// Elements along each dimension.
    #[getter]
    fn shape<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(slf.py(), slf.as_super().get().layout().shape())
    }

    /// Publishes the bytes as they are; does nothing in a forked child.
    fn publish(slf: Bound<'_, Self>) -> PyResult<()> {
        let about = &slf.get().about;
        match slf.as_super().get().memory() {
            Memory::Building(building) if slf.get().owner == process::id() => {
                blocking(slf.py(), |_| building.publish(about))
            }
            _ => Ok(()),
        }
    }
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

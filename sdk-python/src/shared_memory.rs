//! `otto.SharedMemory`.

use crate::buffer::{Buffer, Memory, view};
use crate::errors::{lift, usage};
use otto_core::region;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PySlice};

/// `size` bytes of zeros that children forked later share with this process.
///
/// It has no name, and goes with the last process that has it. Index it, or take `buf`, a writable
/// memoryview; numpy.asarray(memory) is an array over it. Nothing orders what several processes
/// do at the same time.
///
/// >>> import os, otto
/// >>> memory = otto.SharedMemory(16)
/// >>> child = os.fork()
/// >>> if child == 0:
/// ...     memory[0:5] = b"hello"
/// ...     os._exit(0)
/// >>> _ = os.waitpid(child, 0)
/// >>> memory[0:5], memory[5], len(memory)
/// (b'hello', 0, 16)
#[pyclass(module = "otto", frozen, extends = Buffer)]
pub(crate) struct SharedMemory;

#[pymethods]
impl SharedMemory {
    #[new]
    fn new(py: Python<'_>, size: &Bound<'_, PyAny>) -> PyResult<PyClassInitializer<SharedMemory>> {
        let size = size.extract().map_err(|error: PyErr| {
            if !error.is_instance_of::<PyOverflowError>(py) {
                return error;
            }
            usage(py, format!("shared memory of {size} bytes: give a size above 0 that fits"))
        })?;
        let memory = lift(py, region::SharedMemory::new(size))?;
        let buffer = Buffer::new(Memory::Shared(memory), None);
        Ok(PyClassInitializer::from(buffer).add_subclass(SharedMemory))
    }

    /// All its bytes as a writable memoryview.
    #[getter]
    fn buf<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, PyMemoryView>> {
        view(slf.as_super())
    }

    fn __len__(slf: Bound<'_, Self>) -> usize {
        slf.as_super().get().memory().len()
    }

    fn __getitem__<'py>(
        slf: Bound<'py, Self>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = view(slf.as_super())?.get_item(index)?;
        if index.is_instance_of::<PySlice>() {
            // A copy: others may write at any moment.
            return Ok(found.call_method0("tobytes")?.cast_into::<PyBytes>()?.into_any());
        }
        Ok(found)
    }

    fn __setitem__(
        slf: Bound<'_, Self>,
        index: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        view(slf.as_super())?.set_item(index, value)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "shared memory has no name to find it by, so it can't be pickled: children have to \
             inherit it, through os.fork() or multiprocessing's \"fork\"; for others publish a \
             dataset",
        ))
    }
}

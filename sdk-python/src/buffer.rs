//! Memory lent to Python and borrowed from it: the buffer protocol. The only unsafe file here.
#![allow(unsafe_code)]

use otto_core::region::{Dataset, SharedMemory};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use std::ffi::{c_int, c_void};

/// Memory that lives as long as any view of it.
#[pyclass(module = "otto._otto", frozen, subclass)]
pub(crate) struct Buffer(Memory);

/// Whose memory it is.
pub(crate) enum Memory {
    /// Bytes nobody writes: a read-only view.
    Dataset(Dataset),
    /// Bytes that forked children share: a writable view.
    Shared(SharedMemory),
}

impl Buffer {
    pub(crate) fn new(memory: Memory) -> Buffer {
        Buffer(memory)
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            // It is mapped, so its size fits.
            Memory::Dataset(dataset) => dataset.info().size as usize,
            Memory::Shared(memory) => memory.len(),
        }
    }
}

/// A view of all its bytes, which keeps it alive.
pub(crate) fn view<'py>(buffer: &Bound<'py, Buffer>) -> PyResult<Bound<'py, PyMemoryView>> {
    PyMemoryView::from(buffer.as_any())
}

#[pymethods]
impl Buffer {
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        let buffer = slf.get();
        let (start, read_only): (*mut c_void, c_int) = match &buffer.0 {
            Memory::Dataset(dataset) => (dataset.as_ptr().cast_mut().cast(), 1),
            Memory::Shared(memory) => (memory.as_mut_ptr().cast(), 0),
        };
        let length = buffer.len() as ffi::Py_ssize_t;
        // SAFETY: `view` is Python's own to fill. `start` points to `length` mapped bytes that are
        // unmapped only when `slf` is dropped, and the filled view holds a reference to `slf`. The
        // bytes of a dataset are mapped read-only and announced so; shared memory is writable, and
        // no Rust reference to its bytes is ever made.
        let filled =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, read_only, flags) };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// The bytes of an object that has a buffer, and what it says they are.
pub(crate) struct Borrowed(PyUntypedBuffer);

impl Borrowed {
    /// Holds the buffer of `object`, in C order; `None` when its bytes are scattered, or it has no
    /// dimensions.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Borrowed>> {
        match PyUntypedBuffer::get(object) {
            Ok(buffer) => Ok(buffer.is_c_contiguous().then_some(Borrowed(buffer))),
            Err(error) if error.is_instance_of::<PyBufferError>(object.py()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes. Nobody may change them meanwhile: numpy and its like release the GIL and check
    /// nothing, so this is asked of the caller in the documentation.
    pub(crate) fn bytes(&self) -> &[u8] {
        let length = self.0.len_bytes();
        if length == 0 {
            return &[];
        }
        // SAFETY: Python guarantees `length` readable bytes in C order from `buf_ptr` on until the
        // buffer is released, which is when `self` is dropped; the caller of put_dataset, that no
        // thread changes them before it returns.
        unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast::<u8>(), length) }
    }

    /// The format of one element, as `struct` and `memoryview` spell it.
    pub(crate) fn format(&self) -> &str {
        self.0.format().to_str().unwrap_or("B")
    }

    /// Elements along each dimension.
    pub(crate) fn shape(&self) -> &[usize] {
        self.0.shape()
    }
}

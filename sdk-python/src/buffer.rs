//! Memory lent to Python and borrowed from it: the buffer protocol. The only unsafe file here.
#![allow(unsafe_code)]

use crate::layout::Layout;
use otto_core::region::{DatasetBuilder, DatasetBytes, SharedMemory};
use otto_core::{Json, Result};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

/// Memory that lives as long as any view of it.
#[pyclass(module = "otto._otto", frozen, subclass)]
pub(crate) struct Buffer {
    memory: Memory,
    /// Views point into it.
    layout: Layout,
}

/// Whose memory it is.
pub(crate) enum Memory {
    /// Bytes nobody writes: a read-only view.
    Dataset(DatasetBytes),
    /// Bytes that forked children share: a writable view.
    Shared(SharedMemory),
    /// Bytes that become a dataset: a writable view before, a read-only one after.
    Building(Building),
}

/// A dataset being built, and where.
pub(crate) struct Building {
    builder: Mutex<DatasetBuilder>,
    start: AtomicPtr<u8>,
    size: usize,
    closed: AtomicBool,
}

impl Building {
    pub(crate) fn new(mut builder: DatasetBuilder) -> Building {
        let start = AtomicPtr::new(builder.as_mut_ptr());
        let (size, closed) = (builder.len(), AtomicBool::new(false));
        Building { builder: Mutex::new(builder), start, size, closed }
    }

    /// Publishes the bytes as they are; views from now on are read-only.
    pub(crate) fn publish(&self, about: &Json) -> Result<()> {
        self.closed.store(true, Ordering::Relaxed);
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        builder.publish(about).map(drop)
    }
}

impl Memory {
    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Memory::Dataset(bytes) => bytes.len(),
            Memory::Shared(memory) => memory.len(),
            Memory::Building(building) => building.size,
        }
    }

    fn start(&self) -> *mut c_void {
        match self {
            Memory::Dataset(bytes) => bytes.as_ptr().cast_mut().cast(),
            Memory::Shared(memory) => memory.as_mut_ptr().cast(),
            Memory::Building(building) => building.start.load(Ordering::Relaxed).cast(),
        }
    }

    fn is_read_only(&self) -> bool {
        match self {
            Memory::Dataset(_) => true,
            Memory::Shared(_) => false,
            Memory::Building(building) => building.closed.load(Ordering::Relaxed),
        }
    }
}

impl Buffer {
    /// `memory` as elements that lie as `layout` says; as bytes where that is of another size.
    pub(crate) fn new(memory: Memory, layout: Option<Layout>) -> Buffer {
        let size = memory.len();
        let layout = layout.filter(|layout| layout.size() == size);
        Buffer { layout: layout.unwrap_or_else(|| Layout::bytes(size)), memory }
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// A view of all its elements, which keeps it alive.
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
        let layout = &buffer.layout;
        let read_only = buffer.memory.is_read_only();
        let asked = |flag: c_int| flags & flag == flag;
        let refused = match () {
            () if asked(ffi::PyBUF_WRITABLE) && read_only => Some("a dataset is read-only"),
            () if asked(ffi::PyBUF_F_CONTIGUOUS) && !layout.is_fortran() => {
                Some("the elements lie in C order, not in Fortran's")
            }
            () => None,
        };
        let shaped = asked(ffi::PyBUF_ND);
        let pointer = |wanted: bool, slice: &[isize]| match slice {
            [first, ..] if wanted => ptr::from_ref(first).cast_mut(),
            _ => ptr::null_mut(),
        };
        // SAFETY: `view` is Python's own to fill. Its memory is `layout.size()` mapped bytes, which
        // are unmapped only when `slf` is dropped, as format, shape and strides are freed; nothing
        // of them changes or moves before, and the filled view holds a reference to `slf`. Read-only
        // memory is announced so; of the rest no Rust reference to its bytes is ever made.
        unsafe {
            (*view).obj = ptr::null_mut();
            if let Some(refused) = refused {
                return Err(PyBufferError::new_err(refused));
            }
            (*view).buf = buffer.memory.start();
            (*view).len = layout.size().cast_signed();
            (*view).itemsize = layout.item_size().cast_signed();
            (*view).readonly = read_only.into();
            // Who asks for no shape sees the bytes, in one dimension.
            (*view).ndim = if shaped { layout.shape().len() as c_int } else { 1 };
            (*view).format = match asked(ffi::PyBUF_FORMAT) {
                true => layout.format().as_ptr().cast_mut(),
                false => ptr::null_mut(),
            };
            (*view).shape = pointer(shaped, layout.shape());
            (*view).strides = pointer(asked(ffi::PyBUF_STRIDES), layout.strides());
            (*view).suboffsets = ptr::null_mut();
            (*view).internal = ptr::null_mut();
            (*view).obj = slf.into_any().into_ptr();
        }
        Ok(())
    }
}

/// The elements of an object that has a buffer, and what it says they are.
pub(crate) struct Borrowed {
    buffer: PyUntypedBuffer,
    format: String,
    item_size: usize,
    shape: Vec<usize>,
}

impl Borrowed {
    /// Holds the buffer of `object`.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Borrowed> {
        let view = PyMemoryView::from(object)?;
        let shape: Vec<usize> = view.getattr("shape")?.extract()?;
        // A single element without dimensions is beyond pyo3; and who chains pointers is beyond us.
        let scattered = || view.getattr("suboffsets")?.is_truthy();
        let buffer = match shape.is_empty() || scattered()? {
            true => PyUntypedBuffer::get(&view.call_method0("tobytes")?)?,
            false => PyUntypedBuffer::get(&view)?,
        };
        let format = view.getattr("format")?.extract()?;
        Ok(Borrowed { buffer, format, item_size: view.getattr("itemsize")?.extract()?, shape })
    }

    /// The format of one element, as `struct` and `memoryview` spell it.
    pub(crate) fn format(&self) -> &str {
        &self.format
    }

    /// Bytes of one element.
    pub(crate) fn item_size(&self) -> usize {
        self.item_size
    }

    /// Elements along each dimension.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// All elements together, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len_bytes()
    }

    /// The bytes, where they lie in C order without gaps. Nobody may change them meanwhile: numpy
    /// and its like release the GIL and check nothing, so this is asked of the caller in the
    /// documentation.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if self.len() == 0 {
            return Some(&[]);
        }
        if !self.buffer.is_c_contiguous() {
            return None;
        }
        // SAFETY: Python guarantees `len` readable bytes in C order from `buf_ptr` on until the
        // buffer is released, which is when `self` is dropped; the caller of put_dataset, that no
        // thread changes them before it returns.
        Some(unsafe { std::slice::from_raw_parts(self.buffer.buf_ptr().cast(), self.len()) })
    }

    /// Copies bytes of the elements into `out`, in C order and from the one numbered `first` on: as
    /// many whole elements as fit, or a part of a larger one. Nothing where they end. Nobody may
    /// change them meanwhile.
    pub(crate) fn gather(&self, first: usize, out: &mut [u8]) -> usize {
        let (shape, strides) = (self.buffer.shape(), self.buffer.strides());
        let size = self.item_size;
        let Some((&row, outer)) = shape.split_last() else { return 0 };
        let total: usize = shape.iter().product();
        let (first, within) = (first / size, first % size);
        let start = |element: usize| {
            let (mut rest, column) = (element / row, element % row);
            let mut offset = column.cast_signed() * strides[outer.len()];
            for (length, stride) in outer.iter().zip(strides).rev() {
                offset += (rest % length).cast_signed() * stride;
                rest /= length;
            }
            // SAFETY: Python guarantees that every element whose indices are within `shape` lies at
            // `buf_ptr` plus the sum of indices times strides, until the buffer is released.
            unsafe { self.buffer.buf_ptr().cast::<u8>().cast_const().offset(offset) }
        };
        if first >= total {
            return 0;
        }
        if within > 0 || out.len() < size {
            let part = out.len().min(size - within);
            // SAFETY: an element is `size` readable bytes; `out` is ours.
            unsafe { ptr::copy_nonoverlapping(start(first).add(within), out.as_mut_ptr(), part) };
            return part;
        }
        let count = (out.len() / size).min(total - first);
        let mut done = 0;
        while done < count {
            let element = first + done;
            let run = (row - element % row).min(count - done);
            let out = &mut out[done * size..][..run * size];
            // SAFETY: these are `run` elements of one row, none beyond its end, of `size` readable
            // bytes each.
            unsafe { copy_row(start(element), strides[outer.len()], size, out) };
            done += run;
        }
        done * size
    }
}

/// Fills `out` with elements of `size` bytes that lie `stride` bytes apart.
///
/// # Safety
/// As many elements as fit into `out` must be readable from `from` on, and nobody change them.
unsafe fn copy_row(from: *const u8, stride: isize, size: usize, out: &mut [u8]) {
    if stride == size.cast_signed() {
        // SAFETY: they follow each other, and `out` is ours.
        unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
        return;
    }
    // Of a known size each copy is one instruction.
    macro_rules! copy_each {
        ($size:expr) => {
            for (at, element) in out.chunks_exact_mut($size).enumerate() {
                // SAFETY: the caller vouches for the element, `element` is `size` bytes of ours.
                unsafe {
                    let from = from.offset(at.cast_signed() * stride);
                    ptr::copy_nonoverlapping(from, element.as_mut_ptr(), $size);
                }
            }
        };
    }
    match size {
        1 => copy_each!(1),
        2 => copy_each!(2),
        4 => copy_each!(4),
        8 => copy_each!(8),
        16 => copy_each!(16),
        size => copy_each!(size),
    }
}

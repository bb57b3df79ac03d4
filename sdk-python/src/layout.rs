//! How elements lie in memory: what the buffer protocol tells about it, and a dataset's label keeps.

use crate::format;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ffi::{CStr, CString};

/// As many dimensions as Python's memoryview has.
const DIMENSIONS_MAX: usize = 64;

/// Elements of one kind in C order: the last index varies fastest.
#[derive(Debug)]
pub(crate) struct Layout {
    format: CString,
    item_size: usize,
    shape: Vec<isize>,
    strides: Vec<isize>,
}

impl Layout {
    /// Plain bytes.
    pub(crate) fn bytes(size: usize) -> Layout {
        let size = size.cast_signed();
        Layout { format: c"B".to_owned(), item_size: 1, shape: vec![size], strides: vec![1] }
    }

    /// Elements of `item_size` bytes, which `format` spells as `struct` and memoryview do; `None`
    /// for what no buffer may have, such as elements of nothing or more bytes than can be mapped.
    pub(crate) fn new(format: &str, item_size: usize, shape: &[usize]) -> Option<Layout> {
        // memoryview reads as many bytes as the format says, whatever the buffer does.
        let consistent = format::single_size(format).is_none_or(|size| size == item_size);
        // And numpy follows addresses.
        let plain = !format.is_empty() && !format::holds_references(format);
        if !plain || item_size == 0 || !consistent || shape.len() > DIMENSIONS_MAX {
            return None;
        }
        let mut strides = vec![0; shape.len()];
        let mut stride = isize::try_from(item_size).ok()?;
        for (at, length) in shape.iter().enumerate().rev() {
            strides[at] = stride;
            // An empty dimension empties the array; the others are what they are.
            stride = stride.checked_mul(isize::try_from(*length).ok()?.max(1))?;
        }
        Some(Layout {
            format: CString::new(format).ok()?,
            item_size,
            shape: shape.iter().map(|length| length.cast_signed()).collect(),
            strides,
        })
    }

    /// What the label of a dataset of `size` bytes says about its elements; `None` where it says
    /// nothing, or what can't be, since any program may have written it.
    pub(crate) fn from_label(about: &Bound<'_, PyAny>, size: usize) -> Option<Layout> {
        let about = about.cast::<PyDict>().ok()?;
        let item = |name| about.get_item(name).ok().flatten();
        let shape: Vec<usize> = item("shape")?.extract().ok()?;
        let (format, item_size) = match (item("format"), item("itemsize")) {
            (Some(format), Some(size)) => {
                (format.extract::<String>().ok()?, size.extract::<usize>().ok()?)
            }
            // As other languages say it.
            _ => {
                let simple = format::from_numpy(&item("dtype")?.extract::<String>().ok()?)?;
                (simple.format, simple.size)
            }
        };
        Layout::new(&format, item_size, &shape).filter(|layout| layout.size() == size)
    }

    /// What a label says about these elements, beside their type as numpy spells it.
    pub(crate) fn label<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let about = PyDict::new(py);
        about.set_item("format", self.format_text())?;
        about.set_item("itemsize", self.item_size)?;
        about.set_item("shape", &self.shape)?;
        Ok(about)
    }

    /// Whether these are bytes in a row and nothing more.
    pub(crate) fn is_bytes(&self) -> bool {
        self.format.as_c_str() == c"B" && self.shape.len() == 1
    }

    /// All elements together, in bytes.
    pub(crate) fn size(&self) -> usize {
        // Checked when made.
        self.shape.iter().fold(self.item_size, |size, length| size * length.cast_unsigned())
    }

    pub(crate) fn format(&self) -> &CStr {
        &self.format
    }

    pub(crate) fn format_text(&self) -> &str {
        // Made from text.
        self.format.to_str().unwrap_or("B")
    }

    pub(crate) fn item_size(&self) -> usize {
        self.item_size
    }

    pub(crate) fn shape(&self) -> &[isize] {
        &self.shape
    }

    pub(crate) fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// Whether the first index might as well vary fastest.
    pub(crate) fn is_fortran(&self) -> bool {
        let lengths = || self.shape.iter().filter(|length| **length != 1);
        lengths().any(|length| *length == 0) || lengths().count() <= 1
    }
}

//! What `otto.put_dataset()` ends in: elements and parts of files, published with one copy.

use crate::arguments::Text;
use crate::buffer::Borrowed;
use crate::convert::to_json;
use crate::crossing::blocking;
use crate::datasets::{identify, spill};
use crate::errors::usage;
use crate::format;
use crate::layout::Layout;
use crate::npy;
use otto_core::Json;
use otto_core::region::Publisher;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::io::{self, Read};

/// What the label of an Arrow file says.
const ARROW: &str = r#"{"content_type":"application/vnd.apache.arrow.file"}"#;

/// Publishes the elements of `data`, which has a buffer; `dtype` is their type as numpy spells it in
/// files, None where the buffer says it all.
#[pyfunction]
pub(crate) fn put_elements(
    py: Python<'_>,
    name: Text<'_>,
    data: &Bound<'_, PyAny>,
    dtype: Option<&Bound<'_, PyAny>>,
    spill: bool,
) -> PyResult<()> {
    let (run, name) = identify(py, &name)?;
    let elements = Borrowed::of(data).map_err(|error| {
        if !error.is_instance_of::<PyTypeError>(py) {
            return error;
        }
        let class = data.get_type();
        let class = class.name().map_or("this".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!(
            "a dataset is bytes, an array or a table, not {class}: encode it, or store it as a \
             value with otto.set()"
        ))
    })?;
    let described = describe(py, &elements, dtype)?;
    blocking(py, |_| {
        let publisher = Publisher::new(run, &name).about(&described.about);
        let publisher = publisher.header(&described.header).spill(self::spill(spill));
        match elements.bytes() {
            Some(bytes) => publisher.bytes(bytes),
            None => {
                let size = elements.len() as u64;
                publisher.read(&mut InOrder { elements: &elements, done: 0 }, Some(size))
            }
        }
    })?;
    Ok(())
}

/// Publishes the parts of an Arrow file, which are a table's own buffers and what joins them.
#[pyfunction]
pub(crate) fn put_parts(
    py: Python<'_>,
    name: Text<'_>,
    parts: &Bound<'_, PyList>,
    spill: bool,
) -> PyResult<()> {
    let (run, name) = identify(py, &name)?;
    let parts: Vec<Borrowed> =
        parts.iter().map(|part| Borrowed::of(&part)).collect::<PyResult<_>>()?;
    blocking(py, |_| {
        let about = Json::parse(ARROW)?;
        let parts: Vec<&[u8]> = parts.iter().filter_map(Borrowed::bytes).collect();
        Publisher::new(run, &name).about(&about).spill(self::spill(spill)).parts(&parts)
    })?;
    Ok(())
}

/// What stands in the label, and in the file before the elements.
pub(crate) struct Described {
    pub(crate) about: Json,
    pub(crate) header: Vec<u8>,
}

/// `dtype` is numpy's, for its own arrays, as it spells it in files.
fn describe(
    py: Python<'_>,
    elements: &Borrowed,
    dtype: Option<&Bound<'_, PyAny>>,
) -> PyResult<Described> {
    if format::holds_references(elements.format()) {
        let format = elements.format();
        let message = format!(
            "elements of format {format} hold addresses in this process's memory, which no other \
             can follow: publish numbers, strings of fixed length or an Arrow table"
        );
        return Err(usage(py, message));
    }
    let layout = Layout::new(elements.format(), elements.item_size(), elements.shape());
    let layout = layout.filter(|layout| layout.size() == elements.len()).ok_or_else(|| {
        let (format, size) = (elements.format(), elements.item_size());
        usage(
            py,
            format!("elements of {size} bytes can't have format {format:?}: pass bytes(data)"),
        )
    })?;
    match dtype {
        Some(dtype) => label(py, &layout, Some(dtype)),
        None if layout.is_bytes() => Ok(Described { about: Json::null(), header: Vec::new() }),
        None => {
            let simple = format::from_buffer(layout.format_text(), layout.item_size());
            let dtype = simple.map(|simple| simple.dtype.into_pyobject(py)).transpose()?;
            label(py, &layout, dtype.map(Bound::into_any).as_ref())
        }
    }
}

/// Without a type that numpy has a word for, the file is the elements and nothing more.
pub(crate) fn label(
    py: Python<'_>,
    layout: &Layout,
    dtype: Option<&Bound<'_, PyAny>>,
) -> PyResult<Described> {
    let about = layout.label(py)?;
    let mut header = Vec::new();
    if let Some(dtype) = dtype {
        about.set_item("dtype", dtype)?;
        header = npy::header(dtype.repr()?.to_str()?, layout.shape());
    }
    Ok(Described { about: to_json(&about)?, header })
}

/// Scattered elements, read one after the other.
struct InOrder<'a> {
    elements: &'a Borrowed,
    /// Bytes read so far.
    done: usize,
}

impl Read for InOrder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.elements.gather(self.done, out);
        self.done += count;
        Ok(count)
    }
}

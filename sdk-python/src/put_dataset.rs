//! `otto.put_dataset()`: bytes, arrays and tables, published with one copy.

use crate::buffer::Borrowed;
use crate::convert::to_json;
use crate::crossing::blocking;
use crate::dataset::{Dataset, identify, spill};
use crate::errors::usage;
use crate::format;
use crate::layout::Layout;
use crate::npy;
use crate::packages;
use otto_core::Json;
use otto_core::region::{Publisher, Spill};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::io::{self, Read};

/// What the label of an Arrow file says.
const ARROW: &str = r#"{"content_type":"application/vnd.apache.arrow.file"}"#;

/// Publishes `data` as the run's dataset `name`, replacing its predecessor.
///
/// `data` is bytes or anything else with a buffer; a numpy array of any type that holds no Python
/// objects; an Arrow table, record batch or array; or what hands out Arrow data, such as frames of
/// polars and pandas and relations of duckdb. Type and shape are kept. It is copied once; nobody
/// may change it before the call returns. Readers of a replaced dataset keep what they have.
///
/// Raises `SystemRefused`, an `OSError`, when shared memory is full, unless `spill` is true: then
/// the dataset goes to disk, under the same name.
///
/// >>> import otto, array
/// >>> with otto.serve():
/// ...     otto.put_dataset("features", array.array("d", [0.5, 1.5]))
/// ...     otto.get_dataset("features").tolist()
/// [0.5, 1.5]
#[pyfunction]
#[pyo3(signature = (name, data, *, spill=false))]
pub(crate) fn put_dataset(
    py: Python<'_>,
    name: &str,
    data: &Bound<'_, PyAny>,
    spill: bool,
) -> PyResult<()> {
    // Its name first, so that a wrong one costs nothing.
    identify(py, name)?;
    let spill = self::spill(spill);
    let dataset = data.cast::<Dataset>().ok();
    let holds = |what| dataset.map(|dataset| dataset.get().is_labelled(py, what)).transpose();
    // Its label says more than its buffer can.
    let data = &match holds("dtype")? {
        Some(true) => data.call_method0("numpy")?,
        _ => data.clone(),
    };
    if is_a(data, "numpy", "ndarray")? || is_a(data, "numpy", "generic")? {
        let lent = packages::numpy(py)?.call_method1("lend", (data,))?;
        let (elements, dtype): (Bound<'_, PyAny>, Bound<'_, PyAny>) = lent.extract()?;
        let elements = Borrowed::of(&elements)?;
        let described = describe(py, &elements, Some(&dtype))?;
        return publish(py, name, &elements, &described, spill);
    }
    if hands_out_arrow(data)? && holds("content_type")? != Some(false) {
        let parts = packages::arrow(py)?.call_method1("parts", (data,))?;
        return publish_parts(py, name, parts.cast::<PyList>()?, spill);
    }
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
    // Its format says signed bytes.
    let described = match is_a(data, "pyarrow", "Buffer")? {
        true => Described { about: Json::null(), header: Vec::new() },
        false => describe(py, &elements, None)?,
    };
    publish(py, name, &elements, &described, spill)
}

/// Whether `data` is one of `class` in `module`; where that is not imported, nothing is.
fn is_a(data: &Bound<'_, PyAny>, module: &str, class: &str) -> PyResult<bool> {
    let modules = data.py().import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    match modules.get_item(module)?.filter(|module| !module.is_none()) {
        Some(module) => data.is_instance(&module.getattr(class)?),
        None => Ok(false),
    }
}

fn hands_out_arrow(data: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(data.hasattr("__arrow_c_stream__")? || data.hasattr("__arrow_c_array__")?)
}

/// What stands in the label, and in the file before the elements.
struct Described {
    about: Json,
    header: Vec<u8>,
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
fn label(py: Python<'_>, layout: &Layout, dtype: Option<&Bound<'_, PyAny>>) -> PyResult<Described> {
    let about = layout.label(py)?;
    let mut header = Vec::new();
    if let Some(dtype) = dtype {
        about.set_item("dtype", dtype)?;
        header = npy::header(dtype.repr()?.to_str()?, layout.shape());
    }
    Ok(Described { about: to_json(&about)?, header })
}

fn publish(
    py: Python<'_>,
    name: &str,
    elements: &Borrowed,
    described: &Described,
    spill: Spill,
) -> PyResult<()> {
    let (run, name) = identify(py, name)?;
    blocking(py, |_| {
        let publisher = Publisher::new(run, &name).about(&described.about).spill(spill);
        let publisher = publisher.header(&described.header);
        match elements.bytes() {
            Some(bytes) => publisher.bytes(bytes),
            None => {
                let size = elements.len() as u64;
                publisher.read(&mut InOrder { elements, next: 0 }, Some(size))
            }
        }
    })?;
    Ok(())
}

/// Scattered elements, read one after the other.
struct InOrder<'a> {
    elements: &'a Borrowed,
    next: usize,
}

impl Read for InOrder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.elements.gather(self.next, out);
        self.next += count / self.elements.item_size();
        Ok(count)
    }
}

/// The parts of an Arrow file, which are the table's own buffers and what joins them.
fn publish_parts(
    py: Python<'_>,
    name: &str,
    parts: &Bound<'_, PyList>,
    spill: Spill,
) -> PyResult<()> {
    let (run, name) = identify(py, name)?;
    let parts: Vec<Borrowed> =
        parts.iter().map(|part| Borrowed::of(&part)).collect::<PyResult<_>>()?;
    blocking(py, |_| {
        let about = Json::parse(ARROW)?;
        let parts: Vec<&[u8]> = parts.iter().filter_map(Borrowed::bytes).collect();
        Publisher::new(run, &name).about(&about).spill(spill).parts(&parts)
    })?;
    Ok(())
}

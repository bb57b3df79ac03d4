//! Python objects to JSON and back.
//!
//! Both ways are [encoded](crate::encode) and [decoded](crate::decode) here. Only objects that are not
//! of Python's own types go through the `json` module, imported when first needed.

pub(crate) use crate::decode::from_json;

use crate::encode::{encode, utf8};
use crate::errors::{lift, usage};
use otto_core::Json;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};

/// `value` as JSON.
///
/// # Errors
/// `UsageError` for NaN, infinities, lone surrogates, circular references and what is nested too
/// deep; `TypeError` for types JSON does not know.
pub(crate) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<Json> {
    let py = value.py();
    if let Ok(text) = value.cast_exact::<PyString>() {
        return Ok(Json::string(utf8(text)?));
    }
    let mut text = String::new();
    append_json(value, &mut text)?;
    lift(py, Json::parse_owned(text.into_bytes()))
}

/// Appends `value` as compact JSON, which has no line break.
///
/// # Errors
/// As of [`to_json`]; something may have been appended then.
pub(crate) fn append_json(value: &Bound<'_, PyAny>, out: &mut String) -> PyResult<()> {
    let (py, from) = (value.py(), out.len());
    if encode(value, 0, out)? {
        return Ok(());
    }
    out.truncate(from);
    let text = encoder(py)?.call1((value,)).map_err(|error| explain(py, error))?;
    let text = text.cast::<PyString>()?;
    // Whatever `default` and subclasses have made of it.
    out.push_str(lift(py, Json::parse(utf8(text)?))?.as_str());
    Ok(())
}

/// The encoder's own complaints, as this module's.
fn explain(py: Python<'_>, error: PyErr) -> PyErr {
    if error.is_instance_of::<PyValueError>(py) {
        let explained = usage(py, format!("not JSON: {}", error.value(py)));
        explained.set_cause(py, Some(error));
        return explained;
    }
    error
}

fn encoder(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let encode = ENCODE.get_or_try_init(py, || {
        let options = PyDict::new(py);
        options.set_item("ensure_ascii", false)?;
        options.set_item("allow_nan", false)?;
        options.set_item("separators", (",", ":"))?;
        let class = py.import("json")?.getattr("JSONEncoder")?;
        Ok::<_, PyErr>(class.call((), Some(&options))?.getattr("encode")?.unbind())
    })?;
    Ok(encode.bind(py))
}

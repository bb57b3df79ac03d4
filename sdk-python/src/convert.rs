//! Python objects to JSON and back.
//!
//! Python's own types are [encoded](crate::encode) here; scalars are decoded here. What is left goes
//! through the `json` module, imported when first needed.

use crate::encode::{encode, utf8};
use crate::errors::{lift, usage};
use otto_core::Json;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyNone, PyString, PyTuple};

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
    if encode(value, 0, &mut text)? {
        return lift(py, Json::parse_owned(text.into_bytes()));
    }
    let text = encoder(py)?.call1((value,)).map_err(|error| explain(py, error))?;
    let text = text.cast::<PyString>()?;
    lift(py, Json::parse(utf8(text)?))
}

/// The Python object `json` says.
pub(crate) fn from_json<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    let text = json.as_str();
    match text.as_bytes()[0] {
        b'"' => {
            let inside = &text[1..text.len() - 1];
            if !inside.contains('\\') {
                return Ok(PyString::new(py, inside).into_any());
            }
            let decoded = json.decode_string().unwrap_or_default();
            Ok(PyString::new(py, &decoded).into_any())
        }
        b'n' => Ok(PyNone::get(py).to_owned().into_any()),
        b't' => Ok(PyBool::new(py, true).to_owned().into_any()),
        b'f' => Ok(PyBool::new(py, false).to_owned().into_any()),
        b'{' | b'[' => decode(py, text),
        _ => match text.parse::<i64>() {
            Ok(number) => Ok(number.into_pyobject(py)?.into_any()),
            Err(_) => decode(py, text),
        },
    }
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

/// The object in `text`, which is checked and compact: so the scanner alone will do, without the
/// search for white space around it that costs as much again.
fn decode<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static SCAN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let scan = SCAN.get_or_try_init(py, || {
        let class = py.import("json")?.getattr("JSONDecoder")?;
        Ok::<_, PyErr>(class.call0()?.getattr("scan_once")?.unbind())
    })?;
    let found = scan.bind(py).call1((text, 0))?;
    found.cast::<PyTuple>()?.get_item(0)
}

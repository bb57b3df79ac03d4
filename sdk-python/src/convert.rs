//! Python objects to JSON and back.
//!
//! Strings, numbers, `None`, `True` and `False` are converted here. Containers and everything else
//! go through the `json` module, imported when first needed.

use crate::errors::{lift, usage};
use otto_core::Json;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyNone, PyString};

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
    if value.is_none() {
        return Ok(Json::null());
    }
    if let Ok(truth) = value.cast_exact::<PyBool>() {
        return lift(py, Json::parse(if truth.is_true() { "true" } else { "false" }));
    }
    if value.is_exact_instance_of::<PyInt>()
        && let Ok(number) = value.extract::<i64>()
    {
        return Ok(Json::number(number));
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        let number = number.value();
        if !number.is_finite() {
            return Err(usage(py, format!("{number} is not JSON: store a string or None")));
        }
        // As repr(): the shortest text that reads back as the same number, and a float still.
        return lift(py, Json::parse(&format!("{number:?}")));
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
        b'{' | b'[' => decoder(py)?.call1((text,)),
        _ => match text.parse::<i64>() {
            Ok(number) => Ok(number.into_pyobject(py)?.into_any()),
            Err(_) => decoder(py)?.call1((text,)),
        },
    }
}

/// The bytes of `text`; a lone surrogate, which no UTF-8 has, is named with its place.
fn utf8<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().map_err(|error| {
        let py = text.py();
        let place = error.value(py).getattr("start").and_then(|start| start.extract::<usize>());
        let place = place.map_or(String::new(), |start| format!(" at character {start}"));
        usage(py, format!("lone surrogate{place}: it is no Unicode text and can't be stored"))
    })
}

/// The encoder's and decoder's own complaints, as this module's.
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

fn decoder(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static DECODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let decode = DECODE.get_or_try_init(py, || {
        let class = py.import("json")?.getattr("JSONDecoder")?;
        Ok::<_, PyErr>(class.call0()?.getattr("decode")?.unbind())
    })?;
    Ok(decode.bind(py))
}

//! JSON text of Python's own types, without running any Python.

use crate::arguments::lone_surrogate;
use crate::errors::usage;
use otto_core::{Json, limits};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use std::fmt::Write;

/// Appends the JSON text of `value`; false where it is, or holds, something that only the `json`
/// module knows how to treat: other types, keys that are no strings, too deep a nesting.
///
/// # Errors
/// `UsageError` for NaN, infinities and lone surrogates.
pub(crate) fn encode(value: &Bound<'_, PyAny>, depth: usize, out: &mut String) -> PyResult<bool> {
    if let Ok(text) = value.cast_exact::<PyString>() {
        Json::push_string(out, utf8(text)?);
    } else if value.is_none() {
        out.push_str("null");
    } else if let Ok(truth) = value.cast_exact::<PyBool>() {
        out.push_str(if truth.is_true() { "true" } else { "false" });
    } else if let Ok(number) = value.cast_exact::<PyInt>() {
        match number.extract::<i64>() {
            // Writing to a String can't fail.
            Ok(number) => {
                let _ = write!(out, "{number}");
            }
            // Python bounds the digits, and says so itself.
            Err(_) => match number.str() {
                Ok(digits) => out.push_str(digits.to_str()?),
                Err(error) if error.is_instance_of::<PyValueError>(value.py()) => {
                    let why = error.value(value.py()).to_string();
                    return Err(usage(value.py(), why));
                }
                Err(error) => return Err(error),
            },
        }
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        let number = number.value();
        if !number.is_finite() {
            let message = format!("{number} is not JSON: store a string or None");
            return Err(usage(value.py(), message));
        }
        // As repr(): the shortest text that reads back as the same number, and a float still.
        let _ = write!(out, "{number:?}");
    } else if depth >= limits::JSON_DEPTH_MAX {
        return Ok(false);
    } else if let Ok(object) = value.cast_exact::<PyDict>() {
        return encode_object(object, depth, out);
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        return encode_array(list.iter(), depth, out);
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return encode_array(tuple.iter(), depth, out);
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn encode_object(object: &Bound<'_, PyDict>, depth: usize, out: &mut String) -> PyResult<bool> {
    out.push('{');
    for (place, (key, value)) in object.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        let Ok(key) = key.cast_exact::<PyString>() else { return Ok(false) };
        Json::push_string(out, utf8(key)?);
        out.push(':');
        if !encode(&value, depth + 1, out)? {
            return Ok(false);
        }
    }
    out.push('}');
    Ok(true)
}

fn encode_array<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    depth: usize,
    out: &mut String,
) -> PyResult<bool> {
    out.push('[');
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(',');
        }
        if !encode(&item, depth + 1, out)? {
            return Ok(false);
        }
    }
    out.push(']');
    Ok(true)
}

/// The bytes of `text`; a lone surrogate, which no UTF-8 has, is named with its place.
pub(crate) fn utf8<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().map_err(|error| {
        lone_surrogate(text.py(), &error, "it is no Unicode text and can't be stored")
    })
}

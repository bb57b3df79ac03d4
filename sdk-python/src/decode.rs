//! Python's own types from JSON text, without running any Python: the `json` module takes longer to
//! import than anything here takes to do.

use crate::errors::to_python;
use crate::keys::{Keys, string};
use otto_core::{Error, ErrorKind, Json, JsonBuilder, JsonText, build_json};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyNone, PyString};

/// The Python object `json` says.
///
/// # Errors
/// `UsageError` for an integer with more digits than Python takes.
pub(crate) fn from_json<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    decode(py, json.as_str().as_bytes(), &mut Keys::default())
        .map_err(|error| to_python(py, &error))
}

/// The Python object that `text` says, in one pass that also checks it.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn decode<'py>(
    py: Python<'py>,
    text: &[u8],
    keys: &mut Keys,
) -> otto_core::Result<Bound<'py, PyAny>> {
    let mut decoder = Decoder { py, keys, open: Vec::new(), top: None, items: Vec::new() };
    build_json(text, &mut decoder).map_err(|error| match std::str::from_utf8(text) {
        // The place within one string says less than that in the whole.
        Err(bad) => {
            Error::new(ErrorKind::Usage, format!("not UTF-8 at byte {}", bad.valid_up_to()))
        }
        Ok(_) => error,
    })?;
    // A text that was accepted holds one value.
    Ok(decoder.items.pop().unwrap_or_else(|| PyNone::get(py).to_owned().into_any()))
}

struct Decoder<'a, 'py> {
    py: Python<'py>,
    keys: &'a mut Keys,
    /// The objects and arrays around `top`, outermost first.
    open: Vec<Open<'py>>,
    /// What the next value goes into.
    top: Option<Open<'py>>,
    /// The items of all arrays not yet complete; in the end the one value.
    items: Vec<Bound<'py, PyAny>>,
}

enum Open<'py> {
    /// The object, and the key of its next value.
    Object(Bound<'py, PyDict>, Option<Bound<'py, PyString>>),
    /// Where its items begin.
    Array(usize),
}

impl<'py> Decoder<'_, 'py> {
    #[inline(always)]
    fn value(&mut self, value: Bound<'py, PyAny>) -> otto_core::Result<()> {
        if let Some(Open::Object(object, key)) = &mut self.top {
            if let Some(key) = key.take() {
                return object.set_item(key, value).map_err(|error| self.refused(&error));
            }
        } else {
            self.items.push(value);
        }
        Ok(())
    }

    /// What Python refuses to make, such as an integer of too many digits.
    #[cold]
    fn refused(&self, error: &PyErr) -> Error {
        let text = error.value(self.py).to_string();
        Error::new(ErrorKind::Usage, text.lines().next().unwrap_or_default())
    }
}

impl JsonBuilder for Decoder<'_, '_> {
    type Error = Error;

    #[inline(always)]
    fn open(&mut self, object: bool) -> otto_core::Result<()> {
        let opened = match object {
            true => Open::Object(PyDict::new(self.py), None),
            false => Open::Array(self.items.len()),
        };
        if let Some(outer) = self.top.replace(opened) {
            self.open.push(outer);
        }
        Ok(())
    }

    #[inline(always)]
    fn close(&mut self) -> otto_core::Result<()> {
        let closed = std::mem::replace(&mut self.top, self.open.pop());
        let value = match closed {
            Some(Open::Array(first)) => PyList::new(self.py, self.items.drain(first..))
                .map_err(|error| self.refused(&error))?
                .into_any(),
            Some(Open::Object(object, _)) => object.into_any(),
            None => return Ok(()),
        };
        self.value(value)
    }

    #[inline(always)]
    fn key(&mut self, text: JsonText<'_>) -> otto_core::Result<()> {
        let known = self.keys.get(self.py, text)?;
        if let Some(Open::Object(_, key)) = &mut self.top {
            *key = Some(known);
        }
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self, text: JsonText<'_>) -> otto_core::Result<()> {
        self.value(string(self.py, text)?.into_any())
    }

    #[inline(always)]
    fn number(&mut self, text: &[u8]) -> otto_core::Result<()> {
        let value = match short_integer(text) {
            Some(integer) => {
                let Ok(integer) = integer.into_pyobject(self.py);
                integer.into_any()
            }
            None => self.long_number(text)?,
        };
        self.value(value)
    }

    #[inline(always)]
    fn word(&mut self, truth: Option<bool>) -> otto_core::Result<()> {
        let value = match truth {
            Some(truth) => PyBool::new(self.py, truth).to_owned().into_any(),
            None => PyNone::get(self.py).to_owned().into_any(),
        };
        self.value(value)
    }
}

impl<'py> Decoder<'_, 'py> {
    #[inline(never)]
    fn long_number(&self, text: &[u8]) -> otto_core::Result<Bound<'py, PyAny>> {
        // Only ASCII is handed on as a number.
        let text = std::str::from_utf8(text).unwrap_or_default();
        if text.contains(['.', 'e', 'E'])
            && let Ok(float) = text.parse()
        {
            return Ok(PyFloat::new(self.py, float).into_any());
        }
        let integer = self.py.get_type::<PyInt>().call1((text,));
        integer.map_err(|error| self.refused(&error))
    }
}

/// `text` as a number if it is an integer of up to 18 digits, as most are.
#[inline(always)]
fn short_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 18 {
        return None;
    }
    let mut value: i64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

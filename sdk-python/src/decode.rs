//! Python's own types from JSON text, without running any Python: the `json` module takes longer to
//! import than anything here takes to do.

use crate::errors::lift;
use memchr::memchr2;
use otto_core::Json;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyNone, PyString};
use std::collections::HashMap;

/// The Python object `json` says.
///
/// # Errors
/// `ValueError` for an integer with more digits than Python takes.
pub(crate) fn from_json<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    Decoder { py, text: json.as_str(), at: 0, keys: HashMap::new() }.value()
}

/// Reads text that has been checked and has no white space, so that nothing is left to go wrong with
/// it; nor is it nested deeper than the stack allows.
struct Decoder<'a, 'py> {
    py: Python<'py>,
    text: &'a str,
    at: usize,
    /// The keys so far: most stand in many objects.
    keys: HashMap<&'a str, Bound<'py, PyString>>,
}

impl<'a, 'py> Decoder<'a, 'py> {
    fn value(&mut self) -> PyResult<Bound<'py, PyAny>> {
        match self.text.as_bytes()[self.at] {
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => Ok(self.string()?.into_any()),
            b't' => Ok(self.word("true", PyBool::new(self.py, true).to_owned().into_any())),
            b'f' => Ok(self.word("false", PyBool::new(self.py, false).to_owned().into_any())),
            b'n' => Ok(self.word("null", PyNone::get(self.py).to_owned().into_any())),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, value: Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        self.at += word.len();
        value
    }

    fn object(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let object = PyDict::new(self.py);
        while self.goes_on(b'}') {
            let key = self.key()?;
            // Past the colon.
            self.at += 1;
            object.set_item(key, self.value()?)?;
        }
        Ok(object.into_any())
    }

    fn array(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let mut items = Vec::new();
        while self.goes_on(b']') {
            items.push(self.value()?);
        }
        Ok(PyList::new(self.py, items)?.into_any())
    }

    /// Steps over the bracket that opens, a comma, or `close`; false for that.
    fn goes_on(&mut self, close: u8) -> bool {
        let byte = self.text.as_bytes()[self.at];
        self.at += 1;
        if matches!(byte, b'{' | b'[') && self.text.as_bytes()[self.at] == close {
            self.at += 1;
            return false;
        }
        byte != close
    }

    fn key(&mut self) -> PyResult<Bound<'py, PyString>> {
        let raw = self.raw_string();
        if let Some(known) = self.keys.get(raw) {
            return Ok(known.clone());
        }
        let key = self.unquoted(raw)?;
        self.keys.insert(raw, key.clone());
        Ok(key)
    }

    fn string(&mut self) -> PyResult<Bound<'py, PyString>> {
        let raw = self.raw_string();
        self.unquoted(raw)
    }

    /// Steps over a string; returns it with its quotes.
    fn raw_string(&mut self) -> &'a str {
        let from = self.at;
        let mut at = from + 1;
        while let Some(found) = memchr2(b'"', b'\\', &self.text.as_bytes()[at..]) {
            at += found + 1;
            if self.text.as_bytes()[at - 1] == b'"' {
                break;
            }
            // Past what is escaped.
            at += 1;
        }
        self.at = at;
        &self.text[from..at]
    }

    fn unquoted(&self, raw: &str) -> PyResult<Bound<'py, PyString>> {
        let inside = &raw[1..raw.len() - 1];
        if !inside.contains('\\') {
            return Ok(PyString::new(self.py, inside));
        }
        let decoded = lift(self.py, Json::parse(raw))?.decode_string().unwrap_or_default();
        Ok(PyString::new(self.py, &decoded))
    }

    fn number(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let rest = &self.text[self.at..];
        let length = rest.find([',', ']', '}']).unwrap_or(rest.len());
        self.at += length;
        let number = &rest[..length];
        if let Ok(integer) = number.parse::<i64>() {
            return Ok(integer.into_pyobject(self.py)?.into_any());
        }
        if number.contains(['.', 'e', 'E'])
            && let Ok(float) = number.parse()
        {
            return Ok(PyFloat::new(self.py, float).into_any());
        }
        self.py.get_type::<PyInt>().call1((number,))
    }
}

//! The keys of objects as Python strings, made once: records of a stream have the same keys again and
//! again, and a string that was a key before knows its hash.

use otto_core::{JsonText, Result};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Longer keys are hardly ever met again.
const KEY_BYTES_MAX: usize = 64;
/// A power of two; each place holds the key met last of those that belong there.
const PLACES: usize = 256;

/// Keys met so far.
#[derive(Default)]
pub(crate) struct Keys {
    /// Empty until the first key, then of `PLACES`.
    places: Vec<Option<Known>>,
}

struct Known {
    /// As it stands in JSON.
    raw: Box<[u8]>,
    key: Py<PyString>,
}

impl Keys {
    /// `text` as a Python string.
    #[inline]
    pub(crate) fn get<'py>(
        &mut self,
        py: Python<'py>,
        text: JsonText<'_>,
    ) -> Result<Bound<'py, PyString>> {
        let raw = text.raw();
        if raw.len() > KEY_BYTES_MAX {
            return string(py, text);
        }
        let place = place(raw);
        if let Some(Some(known)) = self.places.get(place)
            && *known.raw == *raw
        {
            return Ok(known.key.bind(py).clone());
        }
        let key = string(py, text)?;
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        self.places[place] = Some(Known { raw: raw.into(), key: key.clone().unbind() });
        Ok(key)
    }
}

/// `text` as a Python string, which checks that it is UTF-8.
#[inline]
pub(crate) fn string<'py>(py: Python<'py>, text: JsonText<'_>) -> Result<Bound<'py, PyString>> {
    if !text.is_escaped()
        && let Ok(string) = PyString::from_bytes(py, text.raw())
    {
        return Ok(string);
    }
    Ok(PyString::new(py, &text.decode()?))
}

/// Where a key belongs: it need only tell apart the keys of one stream.
#[inline]
fn place(raw: &[u8]) -> usize {
    let word = |from: usize| {
        let mut word = [0; 8];
        let part = &raw[from..raw.len().min(from + 8)];
        word[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(word)
    };
    let ends = word(0) ^ word(raw.len().saturating_sub(8)).rotate_left(23) ^ raw.len() as u64;
    (ends.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize % PLACES
}

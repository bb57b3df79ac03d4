//! Arguments whose type fits while what they say is no key, number or time: usage errors too.

use crate::errors::usage;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyString};
use std::ops::Deref;

/// A str that is Unicode text.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Text<'a> {
    type Error = PyErr;

    fn extract(given: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        given.extract().map(Text).map_err(|error: PyErr| match given.is_instance_of::<PyString>() {
            true => lone_surrogate(given.py(), &error, "no key or name has one"),
            false => error,
        })
    }
}

/// The error for text that `error`, Python's own, found to be none.
pub(crate) fn lone_surrogate(py: Python<'_>, error: &PyErr, so: &str) -> PyErr {
    let place = error.value(py).getattr("start").and_then(|start| start.extract::<usize>());
    let place = place.map_or(String::new(), |start| format!(" at character {start}"));
    usage(py, format!("lone surrogate{place}: {so}"))
}

/// A time in seconds. What no float holds is for ever, or long ago.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) f64);

impl<'py> FromPyObject<'_, 'py> for Seconds {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match given.extract() {
            Ok(seconds) => Ok(Seconds(seconds)),
            Err(error) if is_out_of_range(given.py(), &error) => {
                Ok(Seconds(if given.lt(0)? { f64::NEG_INFINITY } else { f64::INFINITY }))
            }
            Err(error) => Err(error),
        }
    }
}

impl<'py> IntoPyObject<'py> for Seconds {
    type Target = PyFloat;
    type Output = Bound<'py, PyFloat>;
    type Error = std::convert::Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
        Ok(PyFloat::new(py, self.0))
    }
}

/// A number to add.
#[derive(Clone, Copy)]
pub(crate) struct Step(pub(crate) i64);

impl<'py> FromPyObject<'_, 'py> for Step {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        in_range(given, "by is out of range: give a 64-bit integer").map(Step)
    }
}

/// The number of a write, 0 for none.
#[derive(Clone, Copy)]
pub(crate) struct Revision(pub(crate) u64);

impl<'py> FromPyObject<'_, 'py> for Revision {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        in_range(given, "if_revision is out of range: give the number of a write, or 0: absent")
            .map(Revision)
    }
}

/// How many there are to be, where that can be.
#[derive(Clone, Copy)]
pub(crate) struct Count(Option<u32>);

impl Count {
    pub(crate) const ONE: Count = Count(Some(1));

    /// The number; `what` it counts is named where it is none.
    pub(crate) fn at_least_one(self, py: Python<'_>, what: &str) -> PyResult<u32> {
        self.0.ok_or_else(|| usage(py, format!("{what} is out of range: give 1 to {}", u32::MAX)))
    }
}

impl<'py> FromPyObject<'_, 'py> for Count {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match given.extract::<u32>() {
            Ok(count) => Ok(Count(Some(count).filter(|count| *count > 0))),
            Err(error) if is_out_of_range(given.py(), &error) => Ok(Count(None)),
            Err(error) => Err(error),
        }
    }
}

/// A number of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Size(pub(crate) usize);

impl<'py> FromPyObject<'_, 'py> for Size {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        in_range(given, "size is out of range: give a number of bytes").map(Size)
    }
}

fn in_range<'a, 'py, T>(given: Borrowed<'a, 'py, PyAny>, message: &str) -> PyResult<T>
where
    T: FromPyObject<'a, 'py, Error = PyErr>,
{
    let py = given.py();
    given.extract::<T>().map_err(|error| match is_out_of_range(py, &error) {
        true => usage(py, message),
        false => error,
    })
}

fn is_out_of_range(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyOverflowError>(py)
}

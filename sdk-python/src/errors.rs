//! `otto_core`'s errors as the classes of `otto/errors.py`.

use otto_core::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyType};
use rustix::io::Errno;

/// The exception that says the same as `error`.
pub(crate) fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let errno = match (error.io_source().and_then(std::io::Error::raw_os_error), error.kind()) {
        (None, ErrorKind::Full) => Some(Errno::NOSPC.raw_os_error()),
        (errno, _) => errno,
    };
    let class = match (error.kind(), errno) {
        (ErrorKind::Usage | ErrorKind::TooLarge, _) => "UsageError",
        (ErrorKind::NotFound, _) => "NotFound",
        (ErrorKind::TimedOut, _) => "TimedOut",
        (ErrorKind::Condition, _) => "ConditionFailed",
        (ErrorKind::ProducerEnded, _) => "ProducerEnded",
        (ErrorKind::NoRun, _) => "NoRun",
        (ErrorKind::Corrupt, _) => "Corrupt",
        (ErrorKind::Unreachable | ErrorKind::Protocol, _) => "Unreachable",
        (ErrorKind::Io, Some(errno)) if errno == Errno::PIPE.raw_os_error() => "StreamClosed",
        (ErrorKind::Io | ErrorKind::Full, Some(_)) => "SystemRefused",
        _ => "OttoError",
    };
    let message = error.to_string();
    match errno {
        // Only these: given two arguments the other OSErrors would take the first for a number too.
        Some(errno) if matches!(class, "SystemRefused" | "StreamClosed") => {
            raise(py, class, (errno, message))
        }
        _ => raise(py, class, (message,)),
    }
}

/// A mistake of the caller's, in this file's words.
pub(crate) fn usage(py: Python<'_>, message: impl Into<String>) -> PyErr {
    to_python(py, &Error::new(ErrorKind::Usage, message))
}

fn raise<A>(py: Python<'_>, class: &str, arguments: A) -> PyErr
where
    A: pyo3::PyErrArguments + Send + Sync + 'static,
{
    match module(py).and_then(|module| module.getattr(class)) {
        Ok(class) => match class.cast_into::<PyType>() {
            Ok(class) => PyErr::from_type(class, arguments),
            Err(error) => error.into(),
        },
        Err(error) => error,
    }
}

fn module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    MODULE
        .get_or_try_init(py, || py.import("otto.errors").map(Bound::unbind))
        .map(|module| module.bind(py))
}

/// `result` with its error as an exception.
pub(crate) fn lift<T>(py: Python<'_>, result: otto_core::Result<T>) -> PyResult<T> {
    result.map_err(|error| to_python(py, &error))
}

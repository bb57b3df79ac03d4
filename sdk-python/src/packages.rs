//! Packages that need not be installed. What works with them is written in Python, in a module for
//! each that is imported when it is first needed.

use crate::errors::missing;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// What works with numpy.
pub(crate) fn numpy(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    adapter(py, "otto._numpy", "numpy")
}

/// What works with pyarrow, and through it with polars and pandas.
pub(crate) fn arrow(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    adapter(py, "otto._arrow", "pyarrow")
}

fn adapter<'py>(py: Python<'py>, module: &str, package: &str) -> PyResult<Bound<'py, PyModule>> {
    py.import(module).map_err(|error| {
        if !error.is_instance_of::<PyImportError>(py) {
            return error;
        }
        let missing = missing(py, package);
        missing.set_cause(py, Some(error));
        missing
    })
}

//! `otto._otto`: the Python module over `otto-core`.

use pyo3::prelude::*;

/// The native half of `otto`.
#[pymodule]
mod _otto {}

//! The one task of an event loop that waits for what may come to several.

use crate::errors::usage;
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What that task waits with: a `Wait` of `otto/_awaiting.py`. Locked with the GIL held only, and
/// not while Python runs.
#[derive(Default)]
pub(crate) struct Waiter(Mutex<Option<Py<PyAny>>>);

impl Waiter {
    fn place(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the wait of a task; the error `taken` where another one waits. One whose loop was
    /// closed does not.
    pub(crate) fn begin(&self, wait: &Bound<'_, PyAny>, taken: &str) -> PyResult<()> {
        let py = wait.py();
        let before = self.place().as_ref().map(|other| other.clone_ref(py));
        if let Some(before) = before
            && !before.bind(py).call_method0("is_over")?.is_truthy()?
        {
            return Err(usage(py, taken));
        }
        *self.place() = Some(wait.clone().unbind());
        Ok(())
    }

    /// Ends the wait, unless another one has taken its place.
    pub(crate) fn end(&self, wait: &Bound<'_, PyAny>) {
        let mut place = self.place();
        if place.as_ref().is_some_and(|held| held.is(wait)) {
            *place = None;
        }
    }

    /// Has the task that waits go on.
    pub(crate) fn wake(&self, py: Python<'_>) -> PyResult<()> {
        let wait = self.place().take();
        wait.map_or(Ok(()), |wait| wait.call_method0(py, "wake").map(drop))
    }
}

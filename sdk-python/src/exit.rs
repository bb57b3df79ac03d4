//! What must still be sent when Python ends.

use crate::crossing::blocking;
use crate::fork::PerProcess;
use crate::later::Deferred;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, PoisonError, Weak};

#[derive(Default)]
struct Unfinished(Mutex<Vec<Weak<dyn Deferred>>>);

static UNFINISHED: PerProcess<Unfinished> = PerProcess::new();

/// Has `work` finished at the latest when the interpreter exits.
pub(crate) fn finish_at_exit(py: Python<'_>, work: &Arc<impl Deferred + 'static>) {
    let work: Weak<dyn Deferred> = Arc::downgrade(&(Arc::clone(work) as Arc<dyn Deferred>));
    let mut unfinished = UNFINISHED.get(py).0.lock().unwrap_or_else(PoisonError::into_inner);
    unfinished.retain(|work| work.strong_count() > 0);
    unfinished.push(work);
}

/// Called by Python's `atexit`.
#[pyfunction]
pub(crate) fn finish(py: Python<'_>) -> PyResult<()> {
    let unfinished = UNFINISHED.get(py);
    let all = std::mem::take(&mut *unfinished.0.lock().unwrap_or_else(PoisonError::into_inner));
    let mut outcome = Ok(());
    for work in all.iter().filter_map(Weak::upgrade) {
        match blocking(py, |tick| work.finish(tick)) {
            // What has nowhere to go keeps nothing else here. Ctrl-C ends it all.
            Err(error) if error.is_instance_of::<PyException>(py) => {
                outcome = outcome.and(Err(error));
            }
            finished => finished?,
        }
    }
    outcome
}

/// Registers [`finish`].
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let finish = pyo3::wrap_pyfunction!(finish, module)?;
    module.py().import("atexit")?.call_method1("register", (finish,))?;
    Ok(())
}

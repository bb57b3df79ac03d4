//! What must still be sent when Python ends.

use crate::crossing::blocking;
use crate::fork::PerProcess;
use crate::later::Deferred;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

#[derive(Default)]
struct Unfinished {
    work: Mutex<Vec<Weak<dyn Deferred>>>,
    /// Whether multiprocessing will call [`finish`].
    in_worker: AtomicBool,
}

static UNFINISHED: PerProcess<Unfinished> = PerProcess::new();

/// Has `work` finished at the latest when the interpreter exits.
pub(crate) fn finish_at_exit(py: Python<'_>, work: &Arc<impl Deferred + 'static>) {
    let work: Weak<dyn Deferred> = Arc::downgrade(&(Arc::clone(work) as Arc<dyn Deferred>));
    let unfinished = UNFINISHED.get(py);
    let mut all = unfinished.work.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|work| work.strong_count() > 0);
    all.push(work);
    drop(all);
    if !unfinished.in_worker.swap(true, Ordering::Relaxed) {
        // Where that fails nothing is lost but what a worker leaves open.
        let _ = finish_in_worker(py);
    }
}

/// A worker of multiprocessing ends without `atexit`, but has finalizers of its own.
fn finish_in_worker(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    let process = modules.call_method1("get", ("multiprocessing.process",))?;
    let util = modules.call_method1("get", ("multiprocessing.util",))?;
    if process.is_none() || util.is_none() || process.call_method0("parent_process")?.is_none() {
        return Ok(());
    }
    let options = PyDict::new(py);
    options.set_item("exitpriority", 0)?;
    let finish = pyo3::wrap_pyfunction!(finish, py)?;
    util.call_method("Finalize", (py.None(), finish), Some(&options)).map(drop)
}

/// Called by Python's `atexit`.
#[pyfunction]
pub(crate) fn finish(py: Python<'_>) -> PyResult<()> {
    let unfinished = UNFINISHED.get(py);
    let all = std::mem::take(&mut *unfinished.work.lock().unwrap_or_else(PoisonError::into_inner));
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

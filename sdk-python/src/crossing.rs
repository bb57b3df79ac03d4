//! The one way from Python into calls that may block, and back.

use crate::arguments::Seconds;
use crate::errors::{to_python, usage};
use otto_core::{Error, ErrorKind, Result, Tick};
use pyo3::prelude::*;
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// What a signal handler raised while this thread was in a call.
    static RAISED: Cell<Option<PyErr>> = const { Cell::new(None) };
    /// Whether this thread lets signals wait.
    static UNDISTURBED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `call` without the GIL. Its tick lets Python act on signals, so that Ctrl-C ends the call
/// with `KeyboardInterrupt`; its errors become Python's.
pub(crate) fn blocking<T: Send>(
    py: Python<'_>,
    call: impl FnOnce(Tick<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let outcome = py.detach(|| call(&mut check_signals));
    match RAISED.take() {
        // Also where the call went on regardless: a signal is never lost.
        Some(raised) => Err(raised),
        None => outcome.map_err(|error| to_python(py, &error)),
    }
}

/// Runs `call` without the GIL, and without Python's signal handlers: they run when the interpreter goes
/// on. For destructors, from which nothing can be raised; `call` must not take long.
pub(crate) fn undisturbed<T: Send>(py: Python<'_>, call: impl FnOnce() -> T + Send) -> T {
    let before = UNDISTURBED.replace(true);
    let outcome = py.detach(call);
    UNDISTURBED.set(before);
    outcome
}

/// Lets Python's signal handlers run: they raise on its main thread alone, so that the others
/// need not ask for the GIL.
pub(crate) fn check_signals() -> Result<()> {
    if UNDISTURBED.get() || rustix::thread::gettid() != rustix::process::getpid() {
        return Ok(());
    }
    match Python::try_attach(|py| py.check_signals()) {
        Some(Err(error)) => {
            RAISED.set(Some(error));
            Err(Error::new(ErrorKind::Interrupted, "interrupted"))
        }
        _ => Ok(()),
    }
}

/// When a call given `timeout` seconds has to end; `None` waits for ever.
pub(crate) fn deadline(py: Python<'_>, timeout: Option<Seconds>) -> PyResult<Option<Instant>> {
    let Some(Seconds(seconds)) = timeout else { return Ok(None) };
    match Duration::try_from_secs_f64(seconds.max(0.0)) {
        _ if seconds.is_nan() => Err(usage(py, "timeout is NaN: give seconds")),
        // More than an Instant can hold is for ever.
        duration => Ok(duration.ok().and_then(|duration| Instant::now().checked_add(duration))),
    }
}

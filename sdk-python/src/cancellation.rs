//! `otto.cancel()` and `otto.cancelled()`.

use crate::arguments::Text;
use crate::errors::lift;
use crate::fork;
use crate::place::Place;
use otto_core::TaskName;
use otto_core::run::Environment;
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How long an answer holds, in milliseconds.
const ASK_EVERY_MS: u64 = 100;

/// Whether SIGTERM came, where it is ours.
static TERMINATED: AtomicBool = AtomicBool::new(false);
/// Whether the main thread has asked before.
static ASKED: AtomicBool = AtomicBool::new(false);
/// What the server said about this process's own task.
static OWN: Watch = Watch::new();

/// An answer, and when it is asked for again.
pub(crate) struct Watch {
    /// In milliseconds of [`now`].
    next: AtomicU64,
    answer: AtomicBool,
    /// Of whom it is true for good.
    settled: Mutex<Option<Whose>>,
}

/// A task of a server, or all of them.
type Whose = (PathBuf, Option<TaskName>);

/// Milliseconds since the first question.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_millis() as u64
}

impl Watch {
    pub(crate) const fn new() -> Watch {
        let settled = Mutex::new(None);
        Watch { next: AtomicU64::new(0), answer: AtomicBool::new(false), settled }
    }

    /// The last answer, or a new one where that is too old.
    pub(crate) fn look(
        &self,
        py: Python<'_>,
        whose: impl FnOnce() -> otto_core::Result<Option<Whose>>,
    ) -> PyResult<bool> {
        let now = now();
        if now < self.next.load(Ordering::Relaxed) {
            return Ok(self.answer.load(Ordering::Relaxed));
        }
        // Set first: whoever asks meanwhile, in another thread, has the last answer.
        self.next.store(now + ASK_EVERY_MS, Ordering::Relaxed);
        let whose = lift(py, whose())?;
        if whose.is_some() && *self.settled() == whose {
            return Ok(true);
        }
        let answer = match &whose {
            None => false,
            Some((server, task)) => {
                Place::with_client(py, server.clone(), |client, _| client.cancelled(task.as_ref()))?
            }
        };
        self.answer.store(answer, Ordering::Relaxed);
        if answer {
            *self.settled() = whose;
        }
        Ok(answer)
    }

    /// Asks anew, the server being another one.
    pub(crate) fn forget(&self) {
        *self.settled() = None;
        self.answer.store(false, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
    }

    /// Locked with the GIL held only.
    fn settled(&self) -> MutexGuard<'_, Option<Whose>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The environment names another server from now on.
pub(crate) fn server_changed() {
    OWN.forget();
}

/// Asks `task`, or the whole run, to end.
///
/// otto-run ends it as Ctrl-C would, `otto.cancelled()` becomes True there, and subscribers get an
/// event "cancel". Raises `NotFound` where the run has no such task.
///
/// >>> import otto
/// >>> with otto.serve(task="build"), otto.subscribe() as events:
/// ...     otto.cancel("build")
/// ...     event = next(events)
/// ...     print(event.event, event.key, otto.cancelled())
/// cancel build True
#[pyfunction]
#[pyo3(signature = (task=None))]
pub(crate) fn cancel(py: Python<'_>, task: Option<Text<'_>>) -> PyResult<()> {
    cancel_at(py, lift(py, Place::server(None, "cancel"))?, task)
}

pub(crate) fn cancel_at(py: Python<'_>, server: PathBuf, task: Option<Text<'_>>) -> PyResult<()> {
    let task = lift(py, task.as_deref().map(TaskName::parse).transpose())?;
    Place::with_client(py, server, |client, _| client.cancel(task.as_ref()))
}

/// Whether this task, or its whole run, was asked to end: True from then on.
///
/// A loop may ask as often as it likes: the server is asked at most every 100 ms. Outside a run it
/// is False.
///
/// otto-run tells a cancelled task by SIGTERM, which would end it before it asks. So the first call
/// in the main thread takes SIGTERM over where it would end this process, and for good: from then
/// on the signal makes `cancelled()` True and does nothing else. A handler of your own stays as it
/// is, and so does SIGTERM in processes that multiprocessing or `os.fork` started.
///
/// >>> import otto
/// >>> with otto.serve(task="build"):
/// ...     while not otto.cancelled():
/// ...         otto.cancel()
/// ...     print("cleaning up")
/// cleaning up
#[pyfunction]
pub(crate) fn cancelled(py: Python<'_>) -> PyResult<bool> {
    if !ASKED.load(Ordering::Relaxed) {
        take_over(py)?;
    }
    if TERMINATED.load(Ordering::Relaxed) {
        return Ok(true);
    }
    OWN.look(py, || {
        let environment = Environment::from_process();
        let task = environment.task()?;
        Ok(environment.socket.map(|server| (server, task)))
    })
}

/// Has SIGTERM mean "cancelled" if this is the first question of the main thread.
#[cold]
fn take_over(py: Python<'_>) -> PyResult<()> {
    if rustix::thread::gettid() != rustix::process::getpid() {
        return Ok(());
    }
    ASKED.store(true, Ordering::Relaxed);
    // Whoever forks a worker ends it by SIGTERM and waits for that.
    if fork::generation() == fork::FIRST {
        let note = pyo3::wrap_pyfunction!(terminated, py)?;
        py.import("otto._terminate")?.call_method1("take_over", (note,))?;
    }
    Ok(())
}

/// Called by the handler of SIGTERM.
#[pyfunction]
fn terminated() {
    TERMINATED.store(true, Ordering::Relaxed);
}

//! `otto.subscribe()`: events as they happen.

use crate::convert::from_json;
use crate::crossing::{blocking, deadline};
use crate::errors::{lift, to_python, usage};
use otto_core::socket::{self, Client};
use otto_core::{Error, ErrorKind, Pattern};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyTuple;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Events of the keys and channels that match a pattern; iterate over it.
#[pyclass(module = "otto", frozen)]
pub(crate) struct Subscription {
    /// Held by the thread that waits.
    events: Mutex<Option<socket::Subscription>>,
    closed: AtomicBool,
    pattern: String,
    timeout: Option<f64>,
    /// The process that subscribed: a forked child reading too would take its parent's events.
    owner: u32,
}

/// One change.
#[pyclass(module = "otto", frozen, get_all)]
pub(crate) struct Event {
    /// Its number in the order of the run.
    seq: u64,
    /// What happened: "set", "delete" or "publish".
    event: &'static str,
    /// The key or channel.
    key: String,
    /// The new value, None for a removal.
    value: Py<PyAny>,
}

impl Subscription {
    pub(crate) fn open(
        py: Python<'_>,
        server: &Path,
        pattern: &str,
        timeout: Option<f64>,
    ) -> PyResult<Subscription> {
        let parsed = lift(py, Pattern::parse(pattern))?;
        let events = blocking(py, |_| Client::connect(server)?.subscribe(&parsed))?;
        Ok(Subscription {
            events: Mutex::new(Some(events)),
            closed: AtomicBool::new(false),
            pattern: pattern.to_owned(),
            timeout,
            owner: process::id(),
        })
    }
}

#[pymethods]
impl Subscription {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        if self.owner != process::id() {
            return Err(usage(py, "subscribed before a fork: subscribe again in the child"));
        }
        let deadline = deadline(py, self.timeout)?;
        let mut events = self.events.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let Some(subscription) = events.as_mut() else { return Ok(None) };
        let closed = &self.closed;
        let received = blocking(py, |tick| {
            let outcome = subscription.next(deadline, &mut || {
                if closed.load(Ordering::Relaxed) {
                    return Err(Error::new(ErrorKind::Interrupted, "closed"));
                }
                tick()
            });
            match outcome {
                Err(_) if closed.load(Ordering::Relaxed) => Ok(None),
                outcome => outcome.map(Some),
            }
        });
        match received {
            Ok(Some(Some(event))) => Event::new(py, &event).map(Some),
            Ok(Some(None)) => {
                let message = format!("timeout: no event of {}", self.pattern);
                Err(to_python(py, &Error::new(ErrorKind::TimedOut, message)))
            }
            Ok(None) => {
                *events = None;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the subscription: iterating over it stops, in other threads too.
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // Whoever waits holds the lock, and closes it.
        if let Ok(mut events) = self.events.try_lock() {
            *events = None;
        }
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {
        self.close();
    }
}

impl Event {
    fn new(py: Python<'_>, event: &socket::Event) -> PyResult<Event> {
        let value = match &event.value {
            Some(value) => from_json(py, value)?.unbind(),
            None => py.None(),
        };
        Ok(Event { seq: event.seq, event: event.kind.as_str(), key: event.key.clone(), value })
    }
}

#[pymethods]
impl Event {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let key = pyo3::types::PyString::new(py, &self.key).repr()?;
        let value = self.value.bind(py).repr()?;
        Ok(format!("Event(seq={}, event='{}', key={key}, value={value})", self.seq, self.event))
    }
}

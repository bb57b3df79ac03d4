//! `otto.subscribe()`: events as they happen. What asyncio has to do with it is in
//! `otto/_awaiting.py`.

use crate::arguments::{Seconds, Text};
use crate::convert::from_json;
use crate::crossing::{blocking, deadline};
use crate::errors::{lift, to_python, usage};
use crate::fork;
use crate::turns::{Turn, Turns};
use crate::waiter::Waiter;
use otto_core::socket::{self, Client, From};
use otto_core::{Error, ErrorKind, Pattern};
use pyo3::exceptions::{PyException, PyStopAsyncIteration};
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PyRange, PyTuple};
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a lost server is looked for without giving way to an event loop.
const LOOK: Duration = Duration::from_millis(5);

/// Events of the keys and channels that match a pattern; iterate over it, in threads or coroutines.
///
/// Any number of threads may share the events of one; of an event loop's tasks one at a time may
/// wait.
#[pyclass(module = "otto", frozen)]
pub(crate) struct Subscription {
    /// `None` once it is closed.
    events: Turns<Option<socket::Subscription>>,
    closed: AtomicBool,
    /// A task of an event loop that waits.
    waiter: Waiter,
    pattern: String,
    timeout: Option<Seconds>,
    /// The process that subscribed: a forked child reading too would take its parent's events.
    owner: u32,
}

/// Where a subscription begins: what `from_` takes.
#[derive(Clone, Copy)]
pub(crate) struct Start(From);

impl Start {
    pub(crate) const NOW: Start = Start(From::Now);
}

impl<'py> FromPyObject<'_, 'py> for Start {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = given.py();
        let from = match (given.extract::<u64>(), given.extract::<&str>()) {
            (Ok(number), _) => Some(if number == 0 { From::Start } else { From::Seq(number) }),
            (_, Ok("start")) => Some(From::Start),
            (_, Ok("now")) => Some(From::Now),
            _ => None,
        };
        let refused = || {
            Ok::<_, PyErr>(format!(
                "from_ is {}: give \"start\", \"now\" or the number of a change",
                given.repr()?
            ))
        };
        match from {
            Some(from) => Ok(Start(from)),
            None => Err(usage(py, refused()?)),
        }
    }
}

/// One change.
#[pyclass(module = "otto", frozen, get_all)]
pub(crate) struct Event {
    /// Its number in the order of the run; of a gap, that of the first change behind it.
    seq: u64,
    /// What happened: "set", "delete", "publish", "cancel"; of lists "append", "prepend", "pop" (from
    /// the end), "shift" (from the front); "gap": changes that are not there any more.
    event: &'static str,
    /// The key or channel; of "cancel" the task or "*"; empty for a gap.
    key: String,
    /// The new value, the elements that were added or taken as a list, None for a removal.
    value: Py<PyAny>,
    /// Whether a key was removed since its time to live was over.
    expired: bool,
    /// The numbers of the changes that a gap is about, else None. Without an end, which is
    /// `sys.maxsize` then, where another server has taken the place of the one that numbered them.
    missing: Option<Py<PyRange>>,
}

impl Subscription {
    pub(crate) fn open(
        py: Python<'_>,
        server: &Path,
        pattern: Text<'_>,
        from: Start,
        timeout: Option<Seconds>,
    ) -> PyResult<Subscription> {
        // Whatever is wrong with it is said here and not by the first event.
        deadline(py, timeout)?;
        let parsed = lift(py, Pattern::parse(&pattern))?;
        let events = blocking(py, |_| Client::connect(server)?.subscribe_from(&parsed, from.0))?;
        Ok(Subscription {
            events: Turns::new(Some(events.resuming(true))),
            closed: AtomicBool::new(false),
            waiter: Waiter::default(),
            pattern: pattern.0.to_owned(),
            timeout,
            owner: fork::generation(),
        })
    }

    fn check_owner(&self, py: Python<'_>) -> PyResult<()> {
        if self.owner == fork::generation() {
            return Ok(());
        }
        Err(usage(py, "subscribed before a fork: subscribe again in the child"))
    }

    /// A turn for code that must not block.
    fn turn_at_once(&self, py: Python<'_>) -> PyResult<Turn<'_, Option<socket::Subscription>>> {
        self.check_owner(py)?;
        self.events.try_take().ok_or_else(|| {
            usage(py, "another thread waits for these events: an event loop can't wait for it")
        })
    }

    /// The next event, `None` at the deadline; `Err(None)` once it is closed.
    fn next(
        &self,
        py: Python<'_>,
        events: &mut Option<socket::Subscription>,
        deadline: Option<Instant>,
    ) -> Result<Option<Event>, Option<PyErr>> {
        let closed = &self.closed;
        if closed.load(Ordering::Relaxed) {
            *events = None;
        }
        let Some(subscription) = events.as_mut() else { return Err(None) };
        let received = blocking(py, |tick| {
            subscription.next(deadline, &mut || {
                if closed.load(Ordering::Relaxed) {
                    return Err(Error::new(ErrorKind::Interrupted, "closed"));
                }
                tick()
            })
        });
        match received {
            Ok(Some(event)) => Event::new(py, &event).map(Some).map_err(Some),
            Ok(None) => Ok(None),
            Err(error) => {
                if !closed.load(Ordering::Relaxed) {
                    return Err(Some(error));
                }
                *events = None;
                // What a signal's handler raised is no part of being closed, though it may have
                // closed this too.
                Err(Some(error).filter(|error| !error.is_instance_of::<PyException>(py)))
            }
        }
    }
}

#[pymethods]
impl Subscription {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        self.check_owner(py)?;
        let deadline = deadline(py, self.timeout)?;
        let mut events = self.events.take(py, deadline)?;
        match self.next(py, &mut events, deadline) {
            Ok(Some(event)) => Ok(Some(event)),
            Ok(None) => Err(self._late(py)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }

    fn __aiter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __anext__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("otto._awaiting")?.call_method1("next_event", (slf,))
    }

    /// Ends the subscription: iterating over it stops, in other threads and in tasks too.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.closed.store(true, Ordering::Relaxed);
        // Whoever has the turn closes it.
        if let Some(mut events) = self.events.try_take() {
            *events = None;
        }
        self.waiter.wake(py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("otto._awaiting")?.call_method1("itself", (slf,))
    }

    #[pyo3(signature = (*_exception))]
    fn __aexit__<'py>(
        slf: Bound<'py, Self>,
        py: Python<'py>,
        _exception: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        py.import("otto._awaiting")?.call_method1("close", (slf,))
    }

    /// The next event if it has come, else `...`.
    fn _at_hand<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut events = self.turn_at_once(py)?;
        let mut deadline = Instant::now();
        if events.as_ref().is_some_and(|events| events.descriptor().is_none()) {
            deadline += LOOK;
        }
        match self.next(py, &mut events, Some(deadline)) {
            Ok(Some(event)) => Ok(Bound::new(py, event)?.into_any()),
            Ok(None) => Ok(PyEllipsis::get(py).to_owned().into_any()),
            Err(None) => Err(PyStopAsyncIteration::new_err(())),
            Err(Some(error)) => Err(error),
        }
    }

    /// The descriptor to watch when nothing is at hand, -1 while the server is looked for.
    fn _descriptor(&self, py: Python<'_>) -> PyResult<RawFd> {
        let events = self.turn_at_once(py)?;
        let descriptor = events.as_ref().and_then(|events| Some(events.descriptor()?.as_raw_fd()));
        Ok(descriptor.unwrap_or(-1))
    }

    /// Begins the wait of a task, of which there is one at a time.
    fn _await(&self, wait: &Bound<'_, PyAny>) -> PyResult<()> {
        let taken = "another task waits for these events: have one task read and hand events on";
        self.waiter.begin(wait, taken)
    }

    /// Ends the wait of a task.
    fn _awaited(&self, wait: &Bound<'_, PyAny>) {
        self.waiter.end(wait);
    }

    #[getter]
    fn _timeout(&self) -> Option<Seconds> {
        self.timeout
    }

    /// The exception that says that nothing came in time.
    fn _late(&self, py: Python<'_>) -> PyErr {
        let message = format!("timeout: no event of {}", self.pattern);
        to_python(py, &Error::new(ErrorKind::TimedOut, message))
    }
}

impl Event {
    fn new(py: Python<'_>, event: &socket::Event) -> PyResult<Event> {
        let value = match &event.value {
            Some(value) => from_json(py, value)?.unbind(),
            None => py.None(),
        };
        let missing = match event.gap {
            Some(gap) => {
                let end = gap.to.map_or(isize::MAX, |last| last as isize + 1);
                Some(PyRange::new(py, gap.from as isize, end)?.unbind())
            }
            None => None,
        };
        Ok(Event {
            seq: event.seq,
            event: event.kind.as_str(),
            key: event.key.clone(),
            value,
            expired: event.expired,
            missing,
        })
    }
}

#[pymethods]
impl Event {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Event { seq, event, .. } = self;
        if let Some(missing) = &self.missing {
            let missing = missing.bind(py).repr()?;
            return Ok(format!("Event(seq={seq}, event='{event}', missing={missing})"));
        }
        let key = pyo3::types::PyString::new(py, &self.key).repr()?;
        let value = self.value.bind(py).repr()?;
        let expired = if self.expired { ", expired=True" } else { "" };
        Ok(format!("Event(seq={seq}, event='{event}', key={key}, value={value}{expired})"))
    }
}

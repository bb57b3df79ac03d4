//! `otto.lock()`: locks that vanish with whoever holds them.

use crate::arguments::{Count, Seconds, Text};
use crate::convert::from_json;
use crate::crossing::deadline;
use crate::errors::{lift, usage};
use crate::holders::{self, Held, Holder, Holders};
use crate::place::Place;
use crate::tied::{self, Tied};
use otto_core::socket::Client;
use otto_core::{Key, Pattern};
use pyo3::exceptions::{PyException, PyGeneratorExit};
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PyTuple, PyType};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock of the run, by its name; made by `otto.lock()`.
///
/// Any number of threads and tasks may use the same object: each acquires it for itself.
#[pyclass(module = "otto", frozen)]
pub(crate) struct Lock {
    server: PathBuf,
    name: String,
    key: Key,
    slots: u32,
    timeout: Option<Seconds>,
    /// Locked with the GIL held only.
    holders: Mutex<Holders>,
    /// A connection that holds nothing, for the next who asks. Locked with the GIL held only.
    idle: Mutex<Option<Tied<Client>>>,
}

/// The lock `name` of the run: one process, thread or task at a time holds it, or `slots` of them.
///
/// A `with` block waits for it, up to `timeout` seconds (`TimedOut`), in the order of asking, and
/// has its token: a number that grows from holder to holder, so that who stores things elsewhere
/// can tell a late holder from the present one. The lock is bound to a connection of its own:
/// whatever ends this process frees it, and a forked child does not have it. It does not nest:
/// asking for what this thread holds already is an error. `acquire()` and `release()` do the same
/// without a block; in coroutines it is `async with`, and each task acquires for itself. Asking
/// there by `with` for what the task has by `async with`, or by `async with` within an event loop
/// around which there is a `with`, is an error too: it would wait for itself.
///
/// A block gives back what it took wherever it ends, also in another thread or task than it began
/// in, as that of a generator may. Where several blocks of one object are open, as with `slots` or
/// after a `release()` in a block, and one ends in a thread or task that has entered none of them,
/// nobody can tell which it is: `UsageError` is raised and nothing given back. With one
/// `otto.lock()` for each block that can't be.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     with otto.lock("db") as token:
/// ...         otto.locks()[0]["holders"][0]["token"] == token
/// ...     otto.locks()
/// True
/// []
#[pyfunction]
#[pyo3(
    signature = (name, slots=Count::ONE, timeout=None),
    text_signature = "(name, slots=1, timeout=None)"
)]
pub(crate) fn lock(
    py: Python<'_>,
    name: Text<'_>,
    slots: Count,
    timeout: Option<Seconds>,
) -> PyResult<Lock> {
    Lock::new(py, lift(py, Place::server(None, "lock"))?, name, slots, timeout)
}

/// Who holds the locks that match `pattern`, and how many wait for them.
///
/// A list of dicts: "name", "slots", "waiting" and "holders", each with "token", "pid", "seconds"
/// and, where it is known, "task".
///
/// >>> import os, otto
/// >>> with otto.serve(), otto.lock("db", slots=2):
/// ...     db, = otto.locks()
/// ...     print(db["slots"], db["waiting"], db["holders"][0]["pid"] == os.getpid())
/// 2 0 True
#[pyfunction]
#[pyo3(signature = (pattern=Text("*")), text_signature = "(pattern='*')")]
pub(crate) fn locks<'py>(py: Python<'py>, pattern: Text<'_>) -> PyResult<Bound<'py, PyAny>> {
    locks_at(py, lift(py, Place::server(None, "locks"))?, pattern)
}

pub(crate) fn locks_at<'py>(
    py: Python<'py>,
    server: PathBuf,
    pattern: Text<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let pattern = lift(py, Pattern::parse(&pattern))?;
    let locks = Place::with_client(py, server, |client, _| client.locks(&pattern))?;
    from_json(py, &locks)
}

impl Lock {
    pub(crate) fn new(
        py: Python<'_>,
        server: PathBuf,
        name: Text<'_>,
        slots: Count,
        timeout: Option<Seconds>,
    ) -> PyResult<Lock> {
        // Whatever is wrong with it is said here and not by the first use.
        deadline(py, timeout)?;
        let key = lift(py, Key::parse(&name))?;
        let slots = slots.at_least_one(py, "slots")?;
        let (holders, idle) = (Mutex::default(), Mutex::new(None));
        Ok(Lock { server, name: name.0.to_owned(), key, slots, timeout, holders, idle })
    }

    /// A connection that holds nothing.
    fn connection(&self, py: Python<'_>) -> PyResult<Tied<Client>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let alive = idle.as_mut().and_then(Tied::get).is_some_and(|client| client.is_alive());
        match idle {
            Some(connection) if alive => Ok(connection),
            _ => tied::connect(py, &self.server),
        }
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.ours();
        holders
    }

    fn claim(&self, py: Python<'_>, holder: Holder, by_block: bool) -> PyResult<()> {
        let (server, name) = (self.server.clone(), self.name.clone());
        holders::claim(py, server, name, self.slots, holder, by_block)
    }

    fn disclaim(&self, py: Python<'_>, holder: Holder) {
        holders::disclaim(py, self.server.clone(), self.name.clone(), holder);
    }

    fn wait(&self, py: Python<'_>, by_block: bool) -> PyResult<u64> {
        let holder = Holder::this_thread();
        self.claim(py, holder, by_block)?;
        self.take(py, holder).inspect_err(|_| self.disclaim(py, holder))
    }

    fn take(&self, py: Python<'_>, holder: Holder) -> PyResult<u64> {
        let deadline = deadline(py, self.timeout)?;
        let mut connection = self.connection(py)?;
        let token = tied::call(py, &mut connection, |client, tick| {
            client.lock(&self.key, self.slots, deadline, tick)
        })?;
        self.holders().put(holder, Held::Granted(connection, token));
        Ok(token)
    }

    /// Asks for it and does not wait; the descriptor to watch for the answer.
    fn ask(&self, py: Python<'_>, holder: Holder) -> PyResult<RawFd> {
        let deadline = deadline(py, self.timeout)?;
        let connection = self.connection(py)?;
        let pending = connection.map(|client| client.begin_lock(&self.key, self.slots, deadline));
        let Some(mut pending) = lift(py, pending)? else { return Ok(-1) };
        let descriptor = pending.get().map_or(-1, |pending| pending.as_fd().as_raw_fd());
        self.holders().put(holder, Held::Awaited(pending));
        Ok(descriptor)
    }

    /// Gives back what `holder` had, which is no holder any more.
    fn give_back(&self, py: Python<'_>, holder: Holder, held: Held) -> PyResult<()> {
        self.disclaim(py, holder);
        if let Held::Granted(mut client, _) = held {
            // By a word of ours: then it is free when this returns.
            tied::call(py, &mut client, |client, _| client.unlock(&self.key))?;
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        }
        Ok(())
    }

    /// Ends a block: gives back what it took, whoever leaves it.
    fn leave(
        &self,
        py: Python<'_>,
        leaver: Holder,
        exception: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let left = {
            let mut holders = self.holders();
            let whose = holders.whose(leaver);
            whose.map(|holder| holder.and_then(|holder| Some((holder, holders.leave(holder)?))))
        };
        match left {
            Ok(Some((holder, held))) => leaving(exception, self.give_back(py, holder, held)),
            Ok(None) => Ok(()),
            Err(open) => self.not_told(py, leaver, open, exception),
        }
    }

    /// Which block ends is not known: what it took stays taken, which must not go unsaid. Only
    /// what ends this process, or its task, comes first.
    fn not_told(
        &self,
        py: Python<'_>,
        leaver: Holder,
        open: usize,
        exception: &Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let raised = exception.get_item(0).ok().and_then(|class| class.cast_into::<PyType>().ok());
        if let Some(raised) = raised
            && !raised.is_subclass_of::<PyException>()?
            && !raised.is_subclass_of::<PyGeneratorExit>()?
        {
            return Ok(());
        }
        let (name, who) = (&self.name, if leaver.is_task() { "task" } else { "thread" });
        let message = format!(
            "this {who} does not hold lock {name}, and which of {open} blocks ends here can't be \
             told: make one otto.lock() for each block"
        );
        Err(usage(py, message))
    }
}

#[pymethods]
impl Lock {
    /// Waits for the lock and returns its token.
    fn acquire(&self, py: Python<'_>) -> PyResult<u64> {
        self.wait(py, false)
    }

    /// Gives back what this thread holds.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        let holder = Holder::this_thread();
        let held = self.holders().take(holder);
        match held {
            Some(held) => self.give_back(py, holder, held),
            None => Err(usage(py, format!("this thread does not hold lock {}", self.name))),
        }
    }

    /// What the lock is called.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The number of this thread's hold, None where it holds nothing. In a coroutine `async with`
    /// gives the task's.
    #[getter]
    fn token(&self) -> Option<u64> {
        match self.holders().get(Holder::this_thread()) {
            Some(Held::Granted(_, token)) => Some(*token),
            _ => None,
        }
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<u64> {
        let token = self.wait(py, true)?;
        self.holders().entered(Holder::this_thread());
        Ok(token)
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.leave(py, Holder::this_thread(), exception)
    }

    fn __aenter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("otto._awaiting")?.call_method1("acquire", (slf,))
    }

    #[pyo3(signature = (*exception))]
    fn __aexit__<'py>(
        slf: Bound<'py, Self>,
        py: Python<'py>,
        exception: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        py.import("otto._awaiting")?.call_method1("release", (slf, exception))
    }

    fn __repr__(&self) -> String {
        format!("otto.lock({:?}, slots={})", self.name, self.slots)
    }

    /// Asks for the lock on behalf of a task; the descriptor to watch for the answer.
    fn _ask(&self, py: Python<'_>, task: usize) -> PyResult<RawFd> {
        let holder = Holder::Task(task);
        self.claim(py, holder, true)?;
        self.ask(py, holder).inspect_err(|_| self.disclaim(py, holder))
    }

    /// The token of a task that asked, which is in its block then, or `...` as long as others have
    /// the lock.
    fn _answer<'py>(&self, py: Python<'py>, task: usize) -> PyResult<Bound<'py, PyAny>> {
        let holder = Holder::Task(task);
        let mut holders = self.holders();
        let token = match holders.get(holder) {
            Some(Held::Awaited(pending)) => match pending.get() {
                Some(pending) => lift(py, pending.reply())?,
                None => None,
            },
            _ => None,
        };
        let Some(token) = token else {
            return Ok(PyEllipsis::get(py).to_owned().into_any());
        };
        if let Some(Held::Awaited(pending)) = holders.take(holder)
            && let Ok::<_, PyErr>(Some(client)) = pending.map(|pending| Ok(pending.into_client()))
        {
            let number = token.as_str().parse().unwrap_or_default();
            holders.put(holder, Held::Granted(client, number));
            holders.entered(holder);
        }
        from_json(py, &token)
    }

    /// Gives back what a task waits for, or has got just now.
    fn _give_up(&self, py: Python<'_>, task: usize) -> PyResult<()> {
        let holder = Holder::Task(task);
        let held = self.holders().leave(holder);
        held.map_or(Ok(()), |held| self.give_back(py, holder, held))
    }

    /// Ends the block of a task, 0 where no task leaves it.
    fn _leave(&self, py: Python<'_>, task: usize, exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.leave(py, Holder::Task(task), exception)
    }

    #[getter]
    fn _timeout(&self) -> Option<Seconds> {
        self.timeout
    }
}

impl Drop for Lock {
    /// Whatever is held is free now, the connections being closed.
    fn drop(&mut self) {
        Python::try_attach(|py| {
            for holder in self.holders().drain() {
                self.disclaim(py, holder);
            }
        });
    }
}

/// The outcome of leaving a block: what the block raised comes before our errors, but not before
/// what a signal's handler raised meanwhile, such as Ctrl-C.
fn leaving<T>(exception: &Bound<'_, PyTuple>, outcome: PyResult<T>) -> PyResult<()> {
    let raised = exception.get_item(0).is_ok_and(|class| !class.is_none());
    match outcome {
        Err(error) if raised && error.is_instance_of::<PyException>(exception.py()) => Ok(()),
        outcome => outcome.map(drop),
    }
}

//! Reports of progress, sent from a thread of ours while Python counts.

use crate::crossing::{blocking, undisturbed};
use crate::later::{self, Deferred};
use crate::progress_reporter::Reporter;
use crate::turns::Turns;
use otto_core::progress::Record;
use otto_core::{Result, Tick};
use pyo3::prelude::*;
use std::io::Write;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a destructor waits for the last report, during which no signal is acted on.
const DROP_LIMIT: Duration = Duration::from_millis(500);

/// One bar. Counting is a store and a load; everything else happens on [`later`]'s thread, at most
/// every 50 ms.
pub(crate) struct Report {
    /// The process it belongs to: in a forked child it is inert.
    owner: u32,
    /// Bits of an `f64`. Changed with the GIL held only.
    count: AtomicU64,
    /// Whether the thread will look at the count again.
    watched: AtomicBool,
    /// Whether somebody sees to the last report.
    closing: AtomicBool,
    /// All but the count. Locked for a moment only.
    record: Mutex<Record>,
    /// Had while reporting. Signal handlers run meanwhile, so nobody waits for it twice on one thread.
    reporter: Turns<Reporter>,
}

impl Report {
    /// Of a bar whose server listens at `socket`.
    pub(crate) fn new(record: Record, socket: Option<PathBuf>) -> Report {
        Report {
            owner: process::id(),
            count: AtomicU64::new(record.current.to_bits()),
            watched: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            record: Mutex::new(record),
            reporter: Turns::new(Reporter::new(socket)),
        }
    }

    pub(crate) fn count(&self) -> f64 {
        f64::from_bits(self.count.load(Ordering::Relaxed))
    }

    /// Takes note of the count; whether the report must be scheduled.
    #[inline]
    pub(crate) fn counted(&self, count: f64) -> bool {
        self.count.store(count.to_bits(), Ordering::Relaxed);
        // The thread looks once more after it has cleared this, so no count is overlooked.
        !self.watched.load(Ordering::Relaxed) && self.begin_watch()
    }

    #[cold]
    fn begin_watch(&self) -> bool {
        self.owner == process::id() && !self.watched.swap(true, Ordering::SeqCst)
    }

    /// Changes the record's total or message.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Record)) {
        if self.owner == process::id() {
            change(&mut lock(&self.record));
        }
    }

    pub(crate) fn total(&self) -> Option<f64> {
        if self.owner == process::id() { lock(&self.record).total } else { None }
    }

    /// Reports the last state. Whoever calls this again, as a signal handler may while it runs, comes
    /// back at once. Ctrl-C ends it, and the thread goes on with it.
    pub(crate) fn close(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        if !self.begin_close() {
            return Ok(());
        }
        let closed = blocking(py, |tick| self.report_last(None, tick));
        if closed.is_err() {
            later::progress(py).leave(self);
        }
        closed.map(drop)
    }

    /// As [`Report::close`], for a destructor. It can't raise, so that what a signal handler raises would
    /// be lost: none runs before it is over, which is soon, and what takes longer is left to the thread.
    pub(crate) fn abandon(self: &Arc<Self>, py: Python<'_>) {
        if !self.begin_close() {
            return;
        }
        let until = Instant::now() + DROP_LIMIT;
        let closed = undisturbed(py, || self.report_last(Some(until), &mut || Ok(())));
        if !matches!(closed, Ok(true)) {
            later::progress(py).leave(self);
        }
    }

    /// Whether the last report is the caller's business.
    fn begin_close(&self) -> bool {
        self.owner == process::id() && !self.closing.swap(true, Ordering::SeqCst)
    }

    /// Reports the last state if nobody has; whether that is done, `until` having passed otherwise.
    fn report_last(&self, until: Option<Instant>, tick: Tick<'_>) -> Result<bool> {
        let Some(mut reporter) = self.reporter.wait(until, tick)? else { return Ok(false) };
        if !reporter.finished {
            reporter.report(self.now(), true, until)?;
        }
        Ok(true)
    }

    /// The record as it stands now.
    fn now(&self) -> Record {
        Record { current: self.count(), ..lock(&self.record).clone() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Deferred for Report {
    fn send_soon(&self) -> bool {
        // Whoever has it may give up.
        let Some(mut reporter) = self.reporter.try_take() else { return true };
        if reporter.finished {
            return false;
        }
        let (now, last) = (self.now(), self.closing.load(Ordering::SeqCst));
        if last || !reporter.has_reported(&now) {
            // An error is that of a signal handler, and this thread runs none.
            let _ = reporter.report(now, last, None);
            return !last;
        }
        self.watched.store(false, Ordering::SeqCst);
        self.count().to_bits() != now.current.to_bits()
            && !self.watched.swap(true, Ordering::SeqCst)
    }

    fn finish(&self, tick: Tick<'_>) -> Result<()> {
        if self.owner != process::id() {
            return Ok(());
        }
        self.closing.store(true, Ordering::SeqCst);
        self.report_last(None, tick).map(drop).inspect_err(|_| {
            // Ctrl-C at the very end: nobody is left to tell the server.
            let line = format!("{}\n", self.now().line(None));
            let _ = std::io::stderr().write_all(line.as_bytes());
        })
    }
}

//! Work done soon on a thread of our own, so that what Python left unsent reaches others although
//! Python is busy elsewhere.
//!
//! A thread lives only while there is such work and a moment longer, and never asks for the GIL.
//! After a fork the child starts anew: of what the parent's thread held at that moment it touches
//! nothing.

use crate::fork::PerProcess;
use otto_core::Tick;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long something may stay unsent.
pub(crate) const SOON: Duration = Duration::from_millis(50);
/// How long an idle thread waits for more.
const IDLE: Duration = Duration::from_millis(500);

/// Something with a state that others should see soon.
pub(crate) trait Deferred: Send + Sync {
    /// Sends what is unsent without waiting long; whether to call again after [`SOON`].
    fn send_soon(&self) -> bool;
    /// Sends what is unsent, waiting for it: the process ends.
    fn finish(&self, tick: Tick<'_>) -> otto_core::Result<()>;
}

/// One thread and what it has to do.
#[derive(Default)]
pub(crate) struct Lane {
    queue: Mutex<Queue>,
    added: Condvar,
}

#[derive(Default)]
struct Queue {
    entries: Vec<(Instant, Work)>,
    thread_lives: bool,
}

enum Work {
    /// Somebody else's, who may let go of it.
    Lent(Weak<dyn Deferred>),
    /// Nobody else has it any more.
    Left(Arc<dyn Deferred>),
}

impl Work {
    fn send_soon(&self) -> bool {
        match self {
            Work::Lent(work) => work.upgrade().is_some_and(|work| work.send_soon()),
            Work::Left(work) => work.send_soon(),
        }
    }
}

/// Progress waits for the server's answers, streams do not: neither holds up the other.
static PROGRESS: PerProcess<Lane> = PerProcess::new();
static STREAMS: PerProcess<Lane> = PerProcess::new();

/// The lane for progress. Needs the GIL, which keeps forks away.
pub(crate) fn progress(py: pyo3::Python<'_>) -> &'static Lane {
    PROGRESS.get(py)
}

/// The lane for streams. Needs the GIL, which keeps forks away.
pub(crate) fn streams(py: pyo3::Python<'_>) -> &'static Lane {
    STREAMS.get(py)
}

impl Lane {
    /// Has `work` sent after [`SOON`]. Without a thread to be had it is sent when it is closed.
    pub(crate) fn schedule(&'static self, work: &Arc<impl Deferred + 'static>) {
        let work: Weak<dyn Deferred> = Arc::downgrade(&(Arc::clone(work) as Arc<dyn Deferred>));
        self.add(Instant::now() + SOON, Work::Lent(work));
    }

    /// Has `work` sent at once, and kept until it wants no more calls: its owner could not wait.
    pub(crate) fn leave(&'static self, work: &Arc<impl Deferred + 'static>) {
        self.add(Instant::now(), Work::Left(Arc::clone(work) as Arc<dyn Deferred>));
    }

    fn add(&'static self, due: Instant, work: Work) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.entries.push((due, work));
        if queue.thread_lives {
            self.added.notify_one();
        } else {
            let thread = std::thread::Builder::new().name("otto-later".into());
            queue.thread_lives = thread.spawn(|| self.serve()).is_ok();
        }
    }

    fn serve(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            if let Some(at) = queue.entries.iter().position(|(due, _)| *due <= now) {
                let (_, work) = queue.entries.swap_remove(at);
                drop(queue);
                let again = work.send_soon();
                queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                if again {
                    queue.entries.push((Instant::now() + SOON, work));
                }
                continue;
            }
            let next = queue.entries.iter().map(|(due, _)| *due - now).min();
            let (held, waited) = self
                .added
                .wait_timeout(queue, next.unwrap_or(IDLE))
                .unwrap_or_else(PoisonError::into_inner);
            queue = held;
            if waited.timed_out() && next.is_none() && queue.entries.is_empty() {
                queue.thread_lives = false;
                return;
            }
        }
    }
}

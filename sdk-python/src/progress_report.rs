//! Reports of progress, sent from a thread of ours while Python counts.

use crate::later::Deferred;
use otto_core::progress::{Estimate, Record};
use otto_core::socket::Client;
use otto_core::{Result, Tick};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the server may take for its answer before the bar goes to standard error.
const REPLY_LIMIT: Duration = Duration::from_secs(2);

/// One bar. Counting is a store and a load; everything else happens on [`later`](crate::later)'s
/// thread, at most every 50 ms.
pub(crate) struct Report {
    /// The process it belongs to: in a forked child it is inert.
    owner: u32,
    /// Bits of an `f64`. Changed with the GIL held only.
    count: AtomicU64,
    /// Whether the thread will look at the count again.
    watched: AtomicBool,
    /// All but the count. Locked for a moment only.
    record: Mutex<Record>,
    /// Locked while reporting, never with the GIL held.
    reporter: Mutex<Reporter>,
}

/// Who is told, and what was told last.
struct Reporter {
    estimate: Estimate,
    /// The server's path, as the environment said when the bar was made: on a thread of ours it can't be
    /// read, since Python may be changing it.
    socket: Option<PathBuf>,
    /// `None` until the first report.
    target: Option<Target>,
    reported: Option<Record>,
    finished: bool,
}

enum Target {
    Server(Client),
    /// One line, drawn over itself.
    Terminal,
    /// Lines, ever more rarely: at first one a second.
    Lines {
        started: Instant,
        due: Instant,
    },
}

impl Report {
    pub(crate) fn new(record: Record, socket: Option<PathBuf>) -> Report {
        let estimate = Estimate::new();
        Report {
            owner: process::id(),
            count: AtomicU64::new(record.current.to_bits()),
            watched: AtomicBool::new(false),
            record: Mutex::new(record),
            reporter: Mutex::new(Reporter {
                estimate,
                socket,
                target: None,
                reported: None,
                finished: false,
            }),
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

    /// Reports the last state, once.
    pub(crate) fn close(&self) {
        if self.owner != process::id() {
            return;
        }
        let mut reporter = lock(&self.reporter);
        if !std::mem::replace(&mut reporter.finished, true) {
            reporter.report(self.now(), true);
            reporter.target = None;
        }
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
        let mut reporter = lock(&self.reporter);
        if reporter.finished {
            return false;
        }
        let now = self.now();
        if reporter.reported.as_ref() != Some(&now) {
            reporter.report(now, false);
            return true;
        }
        self.watched.store(false, Ordering::SeqCst);
        self.count().to_bits() != now.current.to_bits()
            && !self.watched.swap(true, Ordering::SeqCst)
    }

    fn finish(&self, _tick: Tick<'_>) -> Result<()> {
        self.close();
        Ok(())
    }
}

impl Reporter {
    fn report(&mut self, record: Record, last: bool) {
        let now = Instant::now();
        self.estimate.observe(&record, now);
        let known = self.reported.as_ref() == Some(&record);
        let target = self.target.get_or_insert_with(|| Target::find(self.socket.as_deref()));
        if known && !matches!(target, Target::Terminal) {
            return;
        }
        if let Target::Server(client) = target {
            if client.progress(&record).is_ok() {
                self.reported = Some(record);
                return;
            }
            *target = Target::stderr();
        }
        let line = record.line(Some(&self.estimate));
        let text = match target {
            Target::Lines { started, due } => {
                if !last && now < *due {
                    return;
                }
                *due = now + Duration::from_secs(1).max((now - *started) / 10);
                format!("{line}\n")
            }
            // To the line's start, the text, and away with what is left of a longer one.
            _ => format!("\r{line}\x1b[K{}", if last { "\n" } else { "" }),
        };
        self.reported = Some(record);
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

impl Target {
    fn find(socket: Option<&Path>) -> Target {
        match socket.map(Client::connect) {
            Some(Ok(mut client)) => {
                client.set_reply_limit(Some(REPLY_LIMIT));
                Target::Server(client)
            }
            _ => Target::stderr(),
        }
    }

    fn stderr() -> Target {
        if std::io::stderr().is_terminal() {
            return Target::Terminal;
        }
        let now = Instant::now();
        Target::Lines { started: now, due: now + Duration::from_secs(1) }
    }
}

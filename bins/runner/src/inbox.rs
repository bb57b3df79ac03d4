//! What other threads tell the run: the server's progress records and the relays' news.

use crate::streams::Ends;
use otto_core::progress::Record;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bars remembered between two looks; more than a screen has room for.
const BARS_MAX: usize = 10_000;

/// What a relay has to say.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A client asks that a task, or the run, be ended.
    Cancel { task: Option<String> },
    /// A client has begun to wait for a key.
    Waiting,
    /// Nobody writes `task`'s stream any more.
    Closed { task: usize },
    /// All that `task` streamed has arrived where it belongs.
    Drained { task: usize },
    /// What `task` streamed can't be passed on or kept.
    StreamFailed { task: usize, why: String },
    /// A stream that is full goes over the disk, since others wait.
    Spilling { edge: Ends },
    /// Streams wait for each other, and no more may go over the disk.
    Stalled { full: Vec<Ends>, starved: Vec<Ends> },
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Inbox {
    letters: Arc<Mutex<Letters>>,
    wake: UnixStream,
    waker: Arc<UnixStream>,
    waits: Arc<AtomicBool>,
}

/// A sending end, for another thread.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    letters: Arc<Mutex<Letters>>,
    waker: Arc<UnixStream>,
    /// Whether it was told that somebody waits.
    waits: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Letters {
    notices: Vec<Notice>,
    /// The newest record of each bar: a display shows no more.
    progress: Vec<Record>,
    places: HashMap<(String, String), usize>,
}

impl Letters {
    fn is_empty(&self) -> bool {
        self.notices.is_empty() && self.progress.is_empty()
    }

    fn take_progress(&mut self) -> Vec<Record> {
        self.places.clear();
        std::mem::take(&mut self.progress)
    }
}

impl Inbox {
    pub(crate) fn new() -> io::Result<Inbox> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        Ok(Inbox { letters: Arc::default(), wake, waker: Arc::new(waker), waits: Arc::default() })
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender {
            letters: Arc::clone(&self.letters),
            waker: Arc::clone(&self.waker),
            waits: Arc::clone(&self.waits),
        }
    }

    /// Readable while something is in here.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// From now on the next beginning of a wait is told, once.
    pub(crate) fn listen_for_waits(&self) {
        self.waits.store(false, Ordering::Release);
    }

    /// Takes the records of progress out.
    pub(crate) fn take_progress(&mut self) -> Vec<Record> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).take_progress()
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> (Vec<Notice>, Vec<Record>) {
        let mut buffer = [0; 64];
        while matches!(self.wake.read(&mut buffer), Ok(1..)) {}
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        let letters = std::mem::take(&mut *letters);
        (letters.notices, letters.progress)
    }
}

impl Sender {
    pub(crate) fn notice(&self, notice: Notice) {
        self.put(|letters| letters.notices.push(notice));
    }

    /// A client has begun to wait; cheap where that is known already.
    pub(crate) fn waiting(&self) {
        if !self.waits.swap(true, Ordering::AcqRel) {
            self.notice(Notice::Waiting);
        }
    }

    pub(crate) fn progress(&self, record: Record) {
        self.put(|letters| {
            let name = (record.task.clone(), record.id.clone());
            if let Some(place) = letters.places.get(&name) {
                letters.progress[*place] = record;
            } else if letters.progress.len() < BARS_MAX {
                letters.places.insert(name, letters.progress.len());
                letters.progress.push(record);
            }
        });
    }

    fn put(&self, put: impl FnOnce(&mut Letters)) {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        let first = letters.is_empty();
        put(&mut letters);
        if first {
            // The other end lives as long as this one, and one byte always fits.
            let _ = (&*self.waker).write(&[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_record_of_each_bar_and_every_notice() {
        let mut inbox = Inbox::new().unwrap();
        let sender = inbox.sender();
        let record = |id: &str, current| Record { id: id.into(), current, ..Record::default() };
        let thread = std::thread::spawn(move || {
            for n in 0..1000 {
                sender.progress(record("a", f64::from(n)));
            }
            sender.progress(record("b", 1.0));
            sender.notice(Notice::Closed { task: 0 });
            sender.notice(Notice::Drained { task: 0 });
        });
        thread.join().unwrap();
        let (notices, progress) = inbox.take();
        assert!(matches!(notices[..], [Notice::Closed { .. }, Notice::Drained { .. }]));
        assert_eq!(progress, [record("a", 999.0), record("b", 1.0)]);
        let (notices, progress) = inbox.take();
        assert!(notices.is_empty() && progress.is_empty());
        let sender = inbox.sender();
        sender.notice(Notice::Waiting);
        sender.progress(record("a", 1.0));
        assert_eq!(inbox.take_progress(), [record("a", 1.0)]);
        sender.progress(record("a", 2.0));
        let (notices, progress) = inbox.take();
        assert!(matches!(notices[..], [Notice::Waiting]));
        assert_eq!(progress, [record("a", 2.0)]);
    }
}

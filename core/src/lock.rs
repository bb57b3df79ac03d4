//! Taking a `flock` without waiting for ever: its holder may be stopped.
//!
//! `flock` is the one kind of lock that Rust, Python and flock(1) share, and the kernel frees it
//! when its holder dies.

use crate::error::{Error, ErrorKind, Result};
use crate::fork::Unshared;
use crate::interrupt;
use crate::limits::LOCK_WAIT_SECONDS;
use std::cell::OnceCell;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{process, thread};

/// Tries that only give way to others, before the first sleep.
const YIELDS: u32 = 8;
/// Tries between two questions whether to go on: well below 50 ms together.
const TRIES_PER_CHECK: u32 = 16;
const SLEEP_MIN: Duration = Duration::from_micros(20);
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// What can be learned about whoever holds a lock.
pub(crate) struct Holder {
    /// The process, if it has left its number.
    pub(crate) process: Option<u32>,
    /// Anything that is another number whenever work has been done under the lock.
    pub(crate) progress: u64,
}

/// An exclusive lock on a file, released on drop.
pub(crate) struct Exclusive<'a> {
    file: &'a File,
    owner: u32,
    identify: fn() -> u32,
}

/// Locks `file`, which stands for `path`; `holder` is asked when that takes long.
///
/// # Errors
/// [`ErrorKind::TimedOut`] after [`LOCK_WAIT_SECONDS`] without progress, naming the holder; what
/// an installed [`interrupt`] check returned.
pub(crate) fn exclusive<'a>(
    file: &'a Unshared,
    path: &Path,
    holder: impl Fn() -> Holder,
) -> Result<Exclusive<'a>> {
    exclusive_by(process::id, file, path, holder, |time, _| thread::sleep(time))
}

/// As [`exclusive`], for a caller with a cheaper way to know its process ID, and a better one to
/// sleep: for so long at most, having waited for so long.
pub(crate) fn exclusive_by<'a>(
    identify: fn() -> u32,
    file: &'a Unshared,
    path: &Path,
    holder: impl Fn() -> Holder,
    sleep: impl Fn(Duration, Duration),
) -> Result<Exclusive<'a>> {
    let begin = OnceCell::new();
    let sleep = |time| sleep(time, begin.get_or_init(Instant::now).elapsed());
    let mut waiting: Option<Waiting> = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Exclusive { file, owner: identify(), identify }),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", path, error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if !waiting.get_or_insert_with(|| Waiting::new(holder().progress)).once(sleep)? {
            let now = holder();
            if waiting.as_ref().is_some_and(|waiting| waiting.progress == now.progress) {
                return Err(taken(path, now.process));
            }
            // Many are at work, only not we: that is no reason to give up.
            waiting = Some(Waiting::new(now.progress));
        }
    }
}

/// Locks `file` if nobody else has.
pub(crate) fn try_exclusive(identify: fn() -> u32, file: &Unshared) -> Option<Exclusive<'_>> {
    file.try_lock().ok().map(|()| Exclusive { file, owner: identify(), identify })
}

fn taken(path: &Path, holder: Option<u32>) -> Error {
    let holder = holder.map_or(String::new(), |pid| format!(" by process {pid}"));
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "{} has been locked{holder} for {LOCK_WAIT_SECONDS} seconds: is that process stopped?",
            path.display()
        ),
    )
}

struct Waiting {
    progress: u64,
    deadline: Instant,
    tries: u32,
    sleep: Duration,
}

impl Waiting {
    fn new(progress: u64) -> Waiting {
        let deadline = Instant::now() + Duration::from_secs(LOCK_WAIT_SECONDS);
        Waiting { progress, deadline, tries: 0, sleep: SLEEP_MIN }
    }

    /// Pauses; false when it has been long enough.
    fn once(&mut self, sleep: impl Fn(Duration)) -> Result<bool> {
        self.tries += 1;
        if self.tries <= YIELDS {
            thread::yield_now();
            return Ok(true);
        }
        sleep(self.sleep);
        self.sleep = (self.sleep * 2).min(SLEEP_MAX);
        if self.tries.is_multiple_of(TRIES_PER_CHECK) {
            interrupt::check()?;
        }
        Ok(Instant::now() < self.deadline)
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        // A child forked meanwhile shares the lock with its parent, whose it is to release.
        if self.owner == (self.identify)() {
            let _ = self.file.unlock();
        }
    }
}

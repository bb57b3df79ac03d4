//! Waiting for a document's next write: asleep on the count of writes in its control file, until
//! the writer rings.

use super::document::Document;
use super::map::ControlPage;
use crate::error::{Error, Result};
use crate::json::Json;
use crate::object::Object;
use crate::objects::not_an_object;
use crate::values::Tick;
use crate::watch::{self, Doorbell};
use rustix::thread::futex::{self, Flags, Timespec};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;
use std::time::Instant;

/// Tells those who sleep that there is something new; without a system call when nobody does.
pub(super) fn ring(page: &ControlPage) {
    // Either we see that somebody is about to sleep, or they see what has been written and do not.
    fence(SeqCst);
    // Before the count: who says so later has the new one, and the next writer is to see it.
    let waited_for = page.waited_for().load(Relaxed) != 0;
    if waited_for {
        page.waited_for().store(0, Relaxed);
    }
    page.notify().fetch_add(1, SeqCst);
    if waited_for {
        let _ = futex::wake(page.notify(), Flags::empty(), i32::MAX as u32);
    }
}

/// A sleeper's side. Made before looking at the document, so that no write falls in between.
pub(super) struct Bell {
    page: Arc<ControlPage>,
    count: u32,
}

impl Bell {
    /// For a control file that is long enough to be read through its mapping. Where it may only be
    /// read nobody can be told that we sleep: then only somebody else's wake-up helps.
    pub(super) fn listen(page: &Arc<ControlPage>, writable: bool) -> Bell {
        let count = page.notify().load(Relaxed);
        fence(SeqCst);
        if writable {
            page.waited_for().store(1, Relaxed);
            fence(SeqCst);
        }
        Bell { page: Arc::clone(page), count }
    }
}

impl Doorbell for Bell {
    /// A writer that was killed before it could ring, and a script that never does, are found by
    /// whoever looks again at `until`.
    fn sleep(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else { return };
        // Woken, late, interrupted or cut short: the caller looks in any case.
        let _ = futex::wait(self.page.notify(), Flags::empty(), self.count, Some(&timeout));
    }
}

/// Looks without reason take at most a tenth of a waiter's time, however large the document is.
const REST_FACTOR: u32 = 10;

/// When to look at a document's content again although nobody of ours has written.
struct Looks {
    /// At which number: beside a writer at work, the old content may be what was found.
    sequence: Option<u64>,
    next: Instant,
}

impl Looks {
    fn new() -> Looks {
        Looks { sequence: None, next: Instant::now() }
    }

    /// Calls `look` when there is reason to.
    fn once<T>(
        &mut self,
        document: &mut Document,
        look: impl FnOnce(&mut Document) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let start = Instant::now();
        let sequence = Some(document.sequence()?);
        if self.sequence == sequence && start < self.next {
            return Ok(None);
        }
        let found = look(document)?;
        self.sequence = sequence;
        self.next = Instant::now() + start.elapsed() * REST_FACTOR;
        Ok(found)
    }
}

impl Document {
    /// For a waiter, before it looks.
    pub(super) fn listen(&mut self) -> Result<Bell> {
        self.refresh()?;
        Ok(Bell::listen(&self.control.page, self.control.writable))
    }

    pub(super) fn sequence(&mut self) -> Result<u64> {
        self.refresh()?;
        Ok(self.control.page.sequence().load(Relaxed))
    }

    /// Waits until the document is another than what this handle has last read or written, and
    /// returns it: for a handle that has done neither, until something is written at all.
    ///
    /// A writer of ours wakes the waiter at once; what a script writes straight into the public
    /// file is found within two ticks.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] at `deadline`; what `tick` returned; [`ErrorKind::NotFound`] when
    /// the document is removed, otherwise as [`Document::read`].
    ///
    /// ```
    /// use otto_core::{TaskName, region::Document, run::{Descendants, Run}};
    /// use std::time::{Duration, Instant};
    /// let run = Run::create(Descendants::Left).unwrap();
    /// let task = TaskName::parse("build").unwrap();
    /// let mut reader = Document::create(run.id(), &task, 4096).unwrap();
    /// let mut writer = Document::open(run.id(), &task).unwrap();
    /// let writer = std::thread::spawn(move || writer.write(b"1").unwrap());
    /// let deadline = Instant::now() + Duration::from_secs(20);
    /// assert_eq!(reader.wait(Some(deadline), &mut || Ok(())).unwrap(), b"1");
    /// # writer.join().unwrap();
    /// ```
    pub fn wait(&mut self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<Vec<u8>> {
        let known = self.image[self.json.clone()].to_vec();
        let mut looks = Looks::new();
        let found = watch::until(deadline, tick, |watch| {
            watch.doorbell(self.listen()?);
            looks.once(self, |document| {
                let json = document.snapshot()?;
                Ok((json != known).then(|| json.to_vec()))
            })
        })?;
        found.ok_or_else(|| Error::timed_out(&self.public_path.display().to_string()))
    }

    /// Waits until the object that the document holds has the key `name`, and returns its value.
    ///
    /// # Errors
    /// As [`Document::wait`]; [`ErrorKind::Corrupt`] when the document holds no JSON object.
    pub fn wait_for(
        &mut self,
        name: &str,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<Json> {
        let mut looks = Looks::new();
        let found = watch::until(deadline, tick, |watch| {
            watch.doorbell(self.listen()?);
            looks.once(self, |document| {
                let found = Object::find(document.snapshot()?, name);
                found.map_err(|error| not_an_object(&document.public_path, &error))
            })
        })?;
        found.ok_or_else(|| Error::timed_out(&format!("{name} in {}", self.public_path.display())))
    }
}

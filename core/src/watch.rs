//! Waiting for a change of files through inotify, or of a document through its [`Doorbell`].
//!
//! What changes through a memory mapping raises no event, and a user may be out of inotify
//! instances; so every tick looks again, and events only make that sooner.

use crate::error::Result;
use crate::values::{TICK, Tick};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

/// A way to sleep until a writer wakes us, better than watching a file.
pub(crate) trait Doorbell {
    /// Sleeps until it rings or `until`, whichever is first; now and then shorter.
    fn sleep(&self, until: Instant);
}

/// What a check names as worth waking for, before it looks.
pub(crate) struct Watch {
    inotify: Option<Inotify>,
    doorbell: RefCell<Option<Box<dyn Doorbell>>>,
}

impl Watch {
    /// Wakes when `doorbell` rings, and does not look at files until the next check.
    pub(crate) fn doorbell(&self, doorbell: impl Doorbell + 'static) {
        self.doorbell.replace(Some(Box::new(doorbell)));
    }

    /// Wakes when a name in `folder` is created, replaced, removed or finished writing.
    pub(crate) fn folder(&self, folder: &Path) {
        self.add(
            folder,
            AddWatchFlags::IN_CREATE
                | AddWatchFlags::IN_MOVED_TO
                | AddWatchFlags::IN_CLOSE_WRITE
                | AddWatchFlags::IN_DELETE,
        );
    }

    /// Wakes when `folder` gains a name: for folders where much else is written.
    pub(crate) fn arrivals(&self, folder: &Path) {
        self.add(folder, AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO);
    }

    /// Adding a path twice is one watch. What can't be watched is looked at every tick.
    fn add(&self, path: &Path, flags: AddWatchFlags) -> bool {
        self.inotify.as_ref().is_some_and(|inotify| inotify.add_watch(path, flags).is_ok())
    }

    /// Sleeps until an event or `until`, whichever is first.
    fn sleep(&self, until: Instant) {
        if let Some(doorbell) = self.doorbell.take() {
            doorbell.sleep(until);
            return;
        }
        // Rounded up, so that the last sleep does not end just before its deadline.
        let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let Some(inotify) = &self.inotify else {
            let _ = poll(&mut [], timeout);
            return;
        };
        // A signal ends the sleep early: the tick that follows answers it.
        if let Ok(1..) = poll(&mut [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)], timeout) {
            let _ = inotify.read_events();
        }
    }
}

/// Calls `check` until it finds something; `None` when `deadline` passes first.
///
/// `check` names what it depends on to the [`Watch`] and then looks: in that order no change can
/// fall between the two.
pub(crate) fn until<T>(
    deadline: Option<Instant>,
    tick: Tick<'_>,
    mut check: impl FnMut(&Watch) -> Result<Option<T>>,
) -> Result<Option<T>> {
    // What is there already needs no inotify.
    let mut watch = Watch { inotify: None, doorbell: RefCell::new(None) };
    if let Some(found) = check(&watch)? {
        return Ok(Some(found));
    }
    watch.inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).ok();
    loop {
        if let Some(found) = check(&watch)? {
            return Ok(Some(found));
        }
        tick()?;
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Ok(None);
        }
        let next_tick = now + TICK;
        watch.sleep(deadline.map_or(next_tick, |deadline| deadline.min(next_tick)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use std::time::Duration;
    use std::{fs, thread};

    #[test]
    fn a_file_that_appears_wakes_the_waiter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let writer = {
            let path = path.clone();
            thread::spawn(move || fs::write(path, b"x").unwrap())
        };
        let found = until(None, &mut || Ok(()), |watch| {
            watch.folder(folder.path());
            Ok(fs::read(&path).ok().filter(|bytes| !bytes.is_empty()))
        });
        assert_eq!(found.unwrap().unwrap(), b"x");
        writer.join().unwrap();
    }

    #[test]
    fn the_deadline_ends_the_wait_and_a_tick_can_too() {
        let start = Instant::now();
        let deadline = start + Duration::from_millis(120);
        let mut ticks = 0;
        let found = until::<()>(
            Some(deadline),
            &mut || {
                ticks += 1;
                Ok(())
            },
            |_| Ok(None),
        );
        assert!(found.unwrap().is_none());
        assert!(start.elapsed() >= Duration::from_millis(120));
        assert!(ticks >= 3, "{ticks}");

        let mut stop = || Err(Error::new(ErrorKind::Interrupted, "stop"));
        let stopped = until::<()>(None, &mut stop, |_| Ok(None));
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    }
}

//! The control file of a document: lock, sequence number and journal.

use super::layout::{self, HEADER_BYTES, MAGIC, MAPPED_BYTES, VERSION};
use super::map::{ControlPage, process_id};
use super::{place, room};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::{Unforked, Unshared};
use crate::lock::{self, Exclusive, Holder};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::thread::futex::{self, Flags, Timespec};
use std::cell::Cell;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

/// How long a writer waits for the lock before it asks the others to give way.
const STARVING: Duration = Duration::from_millis(5);
/// How long these stay away then: a sleeping core takes about 50 us to wake up.
const HAND_OVER: Duration = Duration::from_micros(200);

#[derive(Debug)]
pub(super) struct Control {
    pub(super) file: Unshared,
    /// Both files of the document: otherwise nothing is stored to the page, and the lock is of no use.
    pub(super) writable: bool,
    pub(super) page: Arc<ControlPage>,
    path: PathBuf,
    /// A forked child shares our descriptor and with it our lock; it has to open its own.
    opener: u32,
    /// The mapped part of the journal has memory behind it for certain.
    journal_backed: Cell<bool>,
}

impl Control {
    /// The control file at `path`; `None` when there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Control>> {
        let unforked = Unforked::begin();
        let Some((file, found, writable)) = place::open_widely(path)? else { return Ok(None) };
        let mut start = [0; 16];
        let whole = found.st_size >= HEADER_BYTES as i64
            && file.read_exact_at(&mut start, 0).is_ok()
            && layout::is_header(&start);
        if !whole {
            return Err(not_ours(path, &start));
        }
        Control::of(file, path, writable, &unforked).map(Some)
    }

    /// The control file at `path`, made where missing: it appears complete or not at all.
    pub(super) fn create(path: &Path) -> Result<Control> {
        loop {
            if let Some(control) = Control::open(path)? {
                return Ok(control);
            }
            let unforked = Unforked::begin();
            let file = place::nameless(path)?;
            let random = RandomState::new();
            let (high, low) = (random.hash_one(0), random.hash_one(1));
            let uuid = u128::from(high) << 64 | u128::from(low);
            file.write_all_at(&layout::new_header(uuid.to_ne_bytes()), 0)
                .map_err(|error| room::refused(path, MAPPED_BYTES as u64, error))?;
            if place::name(&file, path)? {
                return Control::of(file, path, true, &unforked);
            }
        }
    }

    fn of(file: File, path: &Path, writable: bool, unforked: &Unforked) -> Result<Control> {
        // Through an opening of its own: forked children inherit the mapping, and would keep the
        // lock if the mapping held what is locked.
        let map = if writable { ControlPage::new } else { ControlPage::read_only };
        let page = place::open_again(&file, writable)
            .and_then(|file| map(&file))
            .map_err(|error| Error::io("map", path, error))?;
        Ok(Control {
            file: Unshared::new(file, unforked),
            writable,
            page: Arc::new(page),
            path: path.to_owned(),
            opener: process_id(),
            journal_backed: Cell::new(false),
        })
    }

    /// Whether the file is still the one of its name, and long enough to be read through the
    /// mapping: to be asked before each use, since a cut file would raise SIGBUS.
    pub(super) fn is_usable(&self) -> Result<bool> {
        let found = place::status(&self.file, &self.path)?;
        if found.st_size < HEADER_BYTES as i64 {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("{} has been cut short: remove it", self.path.display()),
            ));
        }
        if found.st_size < MAPPED_BYTES as i64 {
            self.journal_backed.set(false);
        }
        Ok(found.st_nlink > 0)
    }

    /// Takes memory for the mapped part of the journal, so that storing to it can't fail; under
    /// the lock, after [`Control::is_usable`].
    pub(super) fn back_journal(&self) -> std::io::Result<()> {
        while !self.journal_backed.get() {
            match fallocate(&*self.file, FallocateFlags::empty(), 0, MAPPED_BYTES as u64) {
                Ok(()) => self.journal_backed.set(true),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether this process opened the file itself, so that its lock is its own.
    pub(super) fn is_own(&self) -> bool {
        self.opener == process_id()
    }

    /// Says who holds the lock, for those who wait in vain.
    pub(super) fn sign(&self) {
        self.page.writer().store(self.opener, Relaxed);
    }

    /// Takes the lock of all writers, to write; only for a file that
    /// [is our own](Control::is_own).
    pub(super) fn lock(&self) -> Result<Exclusive<'_>> {
        if !self.writable {
            return Err(Error::new(
                ErrorKind::Io,
                format!(
                    "the document of {} may only be read here and can't be changed",
                    self.path.display()
                ),
            ));
        }
        self.exclusive()
    }

    /// Takes the lock of all writers, also where the document can't be written.
    pub(super) fn exclusive(&self) -> Result<Exclusive<'_>> {
        let sleep = |time, waited| match waited < STARVING {
            true => thread::sleep(time),
            false => self.ask_for_turn(time),
        };
        lock::exclusive_by(process_id, &self.file, &self.path, || self.holder(), sleep)
    }

    /// Waits for the lock to be free, for so long at most. Writers that take it again at once leave
    /// others no moment: this tells them so.
    pub(super) fn ask_for_turn(&self, time: Duration) {
        if !self.writable || !self.is_usable().unwrap_or(false) {
            return thread::sleep(time);
        }
        self.page.starving().store(1, Relaxed);
        if let Ok(time) = Timespec::try_from(time) {
            let _ = futex::wait(self.page.starving(), Flags::empty(), 1, Some(&time));
        }
    }

    /// Lets a writer that has said so have the lock, which has just been released.
    pub(super) fn give_way(&self) {
        if self.page.starving().load(Relaxed) != 0 {
            self.page.starving().store(0, Relaxed);
            let _ = futex::wake(self.page.starving(), Flags::empty(), 1);
            thread::sleep(HAND_OVER);
        }
    }

    /// Takes the lock if it is free.
    pub(super) fn try_lock(&self) -> Option<Exclusive<'_>> {
        if self.is_own() && self.writable {
            lock::try_exclusive(process_id, &self.file)
        } else {
            None
        }
    }

    fn holder(&self) -> Holder {
        if !self.is_usable().unwrap_or(false) {
            return Holder { process: None, progress: 0 };
        }
        let process = Some(self.page.writer().load(Relaxed)).filter(|id| *id != 0);
        Holder { process, progress: self.page.sequence().load(Relaxed) }
    }
}

fn not_ours(path: &Path, start: &[u8; 16]) -> Error {
    let what = if start.starts_with(&MAGIC) {
        format!("is not of version {VERSION}")
    } else {
        "is no control file of a document".to_owned()
    };
    Error::new(ErrorKind::Corrupt, format!("{} {what}: remove it", path.display()))
}

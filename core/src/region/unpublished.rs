//! The file of a dataset before it has a name: in memory, or on disk where memory has no room.

use super::map::process_id;
use super::{place, room};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::{Unforked, Unshared};
use crate::key::TaskName;
use crate::limits::ALLOCATION_STEP_BYTES;
use crate::run::{self, Belonging, RunId, SHARED_MEMORY, still_there};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use std::fs::{self, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What to do when memory has no room for a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spill {
    /// Fail with [`ErrorKind::Full`].
    #[default]
    Never,
    /// Put it on disk, in `/var/tmp`, under the same name.
    WhenFull,
}

/// Room to be left for a label: that of most, in whole pages.
pub(super) const LABEL_BYTES: u64 = 4096;

/// Below this size it is not looked whether the machine has that much memory left.
const SMALL_BYTES: u64 = 1 << 20;

/// The size of a data file, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Needed {
    Exactly(u64),
    AtLeast(u64),
}

/// Asked while memory is taken, at least every 50 ms; an error ends that.
pub(super) type GoOn<'a> = &'a mut dyn FnMut() -> Result<()>;

/// A data file that nobody can find yet; gone when it is dropped. Its publisher holds it locked,
/// so that whoever gets that lock knows that the publisher is done, or dead.
#[derive(Debug)]
pub(super) struct Unpublished {
    pub(super) file: Unshared,
    /// Where it lies, if that is on disk.
    pub(super) on_disk: Option<PathBuf>,
    /// The name it will get, for messages.
    path: PathBuf,
    /// A forked child has a copy of this value, and no business with the file.
    owner: u32,
    pub(super) belonging: Belonging,
}

impl Unpublished {
    pub(super) fn in_memory(run: RunId, name: &TaskName) -> Result<Unpublished> {
        let (path, belonging) = (run.dataset_path(name), Belonging::of(run));
        belonging.check()?;
        let unforked = Unforked::begin();
        let file = Unshared::new(place::nameless(&path)?, &unforked);
        file.try_lock().map_err(|error| Error::io("lock", &path, error.into()))?;
        Ok(Unpublished::of(file, None, path, belonging))
    }

    pub(super) fn on_disk(run: RunId, name: &TaskName) -> Result<Unpublished> {
        let belonging = Belonging::of(run);
        belonging.check()?;
        let folder = run::make_spilled(run)?;
        loop {
            let random = RandomState::new().hash_one(0);
            let on_disk = folder.join(format!("{name}.{random:016x}"));
            let failed = |error| Error::io("create", &on_disk, error);
            let mut options = OpenOptions::new();
            let unforked = Unforked::begin();
            let file =
                match options.read(true).write(true).create_new(true).mode(0o600).open(&on_disk) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    opened => Unshared::new(opened.map_err(failed)?, &unforked),
                };
            drop(unforked);
            match file.try_lock() {
                Ok(()) if still_there(&file, &on_disk) => {
                    let path = run.dataset_path(name);
                    return Ok(Unpublished::of(file, Some(on_disk), path, belonging));
                }
                // A sweeper that came in between takes it for what a dead publisher left.
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    let _ = fs::remove_file(&on_disk);
                    return Err(Error::io("lock", &on_disk, error));
                }
            }
        }
    }

    fn of(
        file: Unshared,
        on_disk: Option<PathBuf>,
        path: PathBuf,
        belonging: Belonging,
    ) -> Unpublished {
        let owner = process_id();
        Unpublished { file, on_disk, path, owner, belonging }
    }

    /// Refuses a forked child, which has no more than a copy of this value.
    pub(super) fn check_own(&self, name: &TaskName) -> Result<()> {
        if self.owner == process_id() {
            return Ok(());
        }
        let message = format!("dataset {name} can be published only by the process that began it");
        Err(Error::usage(message))
    }

    /// A file for `size` bytes, taken from memory; where that has no room, as `spill` says.
    ///
    /// # Errors
    /// [`ErrorKind::Full`], naming the space needed and the space there is.
    pub(super) fn allocated(
        run: RunId,
        name: &TaskName,
        size: u64,
        spill: Spill,
        go_on: GoOn<'_>,
    ) -> Result<Unpublished> {
        let memory = Unpublished::in_memory(run, name)?;
        match memory.allocate(size, go_on) {
            Err(error) if error.kind() == ErrorKind::Full && spill == Spill::WhenFull => {}
            taken => return taken.map(|()| memory),
        }
        drop(memory);
        let disk = Unpublished::on_disk(run, name)?;
        disk.allocate(size, go_on)?;
        Ok(disk)
    }

    /// Takes the space for `size` bytes and makes the file that long.
    pub(super) fn allocate(&self, size: u64, go_on: GoOn<'_>) -> Result<()> {
        let (mut done, mut step) = (0, ALLOCATION_STEP_BYTES);
        while done < size {
            go_on()?;
            // Asked first, so that nothing is filled up in vain.
            self.check_room(Needed::Exactly(size), size - done)?;
            let length = step.min(size - done);
            match fallocate(&*self.file, FallocateFlags::empty(), done, length) {
                Ok(()) => {
                    done += length;
                    step = (step * 2).min(ALLOCATION_STEP_BYTES);
                }
                // What a signal interrupts is undone, so the next try must be shorter.
                Err(Errno::INTR) => step = (step / 2).max(4096),
                Err(Errno::OPNOTSUPP) => {
                    let zeros = vec![0; length.min(1 << 20) as usize];
                    self.file
                        .write_all_at(&zeros, done)
                        .map_err(|error| self.failed(Needed::Exactly(size), error))?;
                    done += zeros.len() as u64;
                }
                Err(error) => return Err(self.failed(Needed::Exactly(size), error.into())),
            }
        }
        Ok(())
    }

    /// Refuses `more` bytes beyond those there are already, if there is no room for them and a label.
    pub(super) fn check_room(&self, needed: Needed, more: u64) -> Result<()> {
        let free = match self.folder() {
            Some(folder) => room::on(folder),
            // What is small beside any machine's memory need only fit.
            None if (1..SMALL_BYTES).contains(&more) => room::on(Path::new(SHARED_MEMORY)),
            None => room::in_memory(),
        };
        if free.is_some_and(|free| free < more.saturating_add(LABEL_BYTES)) {
            return Err(self.full(needed));
        }
        Ok(())
    }

    /// What to say of an error while the file is filled.
    pub(super) fn failed(&self, needed: Needed, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.full(needed),
            _ => Error::io("publish", &self.path, error),
        }
    }

    fn full(&self, needed: Needed) -> Error {
        let needed = match needed {
            Needed::Exactly(size) => format!("{size} bytes"),
            Needed::AtLeast(size) => format!("at least {size} bytes"),
        };
        let free = self.free().map_or("too few".to_owned(), |free| free.to_string());
        let (what, cure) = match self.folder() {
            Some(disk) => (format!("the disk of {}", disk.display()), "make room there"),
            None => (
                SHARED_MEMORY.to_owned(),
                "remove regions, enlarge it, or spill to disk (--spill, spill=True)",
            ),
        };
        let name = self.path.display();
        Error::new(
            ErrorKind::Full,
            format!(
                "no room for {name}: it needs {needed}, and {LABEL_BYTES} for its label; {what} has \
                 {free} bytes free; {cure}"
            ),
        )
    }

    /// Bytes free where the file lies, its own among them; `None` where there is no limit.
    fn free(&self) -> Option<u64> {
        let free = self.folder().map_or_else(room::in_memory, room::on)?;
        Some(free.saturating_add(self.file.metadata().map_or(0, |found| found.blocks() * 512)))
    }

    fn folder(&self) -> Option<&Path> {
        self.on_disk.as_deref().and_then(Path::parent)
    }

    /// It has its name: it is no longer ours to remove.
    pub(super) fn release(&mut self) {
        self.on_disk = None;
        let _ = self.file.unlock();
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if let Some(path) = &self.on_disk
            && self.owner == process_id()
        {
            let _ = fs::remove_file(path);
        }
    }
}

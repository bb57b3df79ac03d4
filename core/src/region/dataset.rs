//! Datasets: bytes in shared memory, immutable once published, read without a copy.
//!
//! A dataset is a file with nothing but what was published in it, and a label beside it with what
//! is known about that. It is written under no name and then put in place as a whole, so that
//! whoever opens the name finds all of it; a replaced dataset lives on for those who hold it open.

use super::builder::NOWHERE;
use super::current::Current;
use super::map::ReadOnly;
use super::pouring::{Stopped, pour};
use super::{place, room};
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::TaskName;
use crate::lock::{self, Holder};
use crate::run::RunId;
use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What is known about a dataset without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Its size in bytes.
    pub size: u64,
    /// Where its bytes begin in its file: behind the header of another format, for programs that
    /// read the file by its path. Mostly 0.
    pub offset: u64,
    /// How often its name has been published since it was last free, this time included;
    /// 0 for a file that another program put there.
    pub generation: u64,
    /// What its producer said about it, such as element type and shape; `null` when nothing.
    pub about: Json,
    /// Whether its file lies on disk, because memory had no room.
    pub on_disk: bool,
}

/// A published dataset, mapped for reading.
///
/// ```
/// use otto_core::{Json, TaskName, region::Dataset, run::{Descendants, Run}};
/// let run = Run::create(Descendants::Left).unwrap();
/// let name = TaskName::parse("features").unwrap();
/// Dataset::publish(run.id(), &name, &mut &b"first"[..], Some(5), &Json::null()).unwrap();
/// let first = Dataset::open(run.id(), &name).unwrap();
/// Dataset::publish(run.id(), &name, &mut &b"second"[..], None, &Json::null()).unwrap();
///
/// let mut bytes = [0; 5];
/// first.read_at(0, &mut bytes).unwrap();
/// assert_eq!(&bytes, b"first");
/// let second = Dataset::open(run.id(), &name).unwrap();
/// assert_eq!((second.info().size, second.info().generation), (6, 2));
/// assert_eq!(std::fs::read(second.path()).unwrap(), b"second");
/// ```
#[derive(Debug)]
pub struct Dataset {
    file: File,
    bytes: DatasetBytes,
    info: DatasetInfo,
    path: PathBuf,
}

/// The bytes of a dataset alone, as [`Dataset::into_bytes`] leaves them: to be held for long, also
/// by thousands, since they take no file descriptor.
#[derive(Debug)]
pub struct DatasetBytes {
    /// Nothing is mapped where there are no bytes.
    map: Option<ReadOnly>,
    offset: usize,
    length: usize,
}

impl DatasetBytes {
    /// As [`Dataset::as_ptr`].
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        let start = |map: &ReadOnly| map.as_ptr().wrapping_add(self.offset);
        self.map.as_ref().map_or(NOWHERE.cast_const(), start)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Dataset {
    /// Opens the dataset `name`. What this value maps stays as it is, whatever happens to the name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; [`ErrorKind::Corrupt`] when its label is
    /// damaged, or its file was changed after it was published; [`ErrorKind::Full`] when another
    /// program made the file with holes that memory has no room for.
    pub fn open(run: RunId, name: &TaskName) -> Result<Dataset> {
        let path = run.dataset_path(name);
        let (current, info) = current(run, name)?;
        let end = info.offset.checked_add(info.size).filter(|end| *end <= isize::MAX as u64);
        let end = end.ok_or_else(|| {
            Error::new(ErrorKind::TooLarge, format!("{} is too large to map", path.display()))
        })?;
        let length = NonZeroUsize::new(end as usize).filter(|_| info.size > 0);
        let map = length.map(|length| ReadOnly::new(&current.file, length)).transpose();
        let map = map.map_err(|error| Error::io("map", &path, error))?;
        // Another program's, with holes: reading one takes memory.
        let is_sparse = (current.status.st_blocks as u64).saturating_mul(512) < end;
        if let Some(map) = map.as_ref().filter(|_| is_sparse && current.on_disk.is_none()) {
            map.populate()
                .map_err(|_| room::refused(&path, end, io::ErrorKind::StorageFull.into()))?;
        }
        // What has been mapped fits.
        let bytes = DatasetBytes { map, offset: info.offset as usize, length: info.size as usize };
        Ok(Dataset { file: current.file, bytes, info, path })
    }

    /// What is known about the dataset `name`.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn stat(run: RunId, name: &TaskName) -> Result<DatasetInfo> {
        current(run, name).map(|(_, info)| info)
    }

    /// The names of all datasets of `run`, sorted.
    ///
    /// # Errors
    /// When shared memory can't be listed.
    pub fn list(run: RunId) -> Result<Vec<TaskName>> {
        place::names(&format!("otto-{run}.ds-"))
    }

    /// Removes the name; the memory is freed when the last reader lets go of it. Whatever else
    /// stands in a dataset's place is removed as well.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; [`ErrorKind::TimedOut`] when a publisher has
    /// been stopped while it was replacing it.
    pub fn remove(run: RunId, name: &TaskName) -> Result<()> {
        let path = run.dataset_path(name);
        let unlink = || {
            fs::remove_file(&path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => missing(name),
                _ => Error::io("remove", &path, error),
            })
        };
        loop {
            let Ok(found) = Current::open(run, name) else { return unlink() };
            let current = found.ok_or_else(|| missing(name))?;
            // No publisher is replacing it now.
            let nobody = || Holder { process: None, progress: 0 };
            let file = place::lockable(&current.file, &path)?;
            let _held = lock::exclusive(&file, &path, nobody)?;
            if current.is_current() {
                unlink()?;
                current.discard();
                return Ok(());
            }
        }
    }

    /// What is known about it.
    #[must_use]
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// The path under which any program finds the file, as long as the dataset has its name: the
    /// [`offset`](DatasetInfo::offset) bytes of its header, then its bytes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The address of its first byte, aligned to a page where there is no header before it;
    /// [`DatasetInfo::size`] bytes are readable from there as long as this value lives. They are
    /// immutable by agreement of all programs that publish: one of the same user that breaks it by
    /// writing to the file changes them, and one that cuts the file short makes touching them raise
    /// SIGBUS.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    /// Its bytes alone: closes the file, which they don't need.
    ///
    /// ```
    /// use otto_core::{Json, TaskName, region::Dataset, run::{Descendants, Run}};
    /// let run = Run::create(Descendants::Left).unwrap();
    /// let name = TaskName::parse("features").unwrap();
    /// Dataset::publish(run.id(), &name, &mut &b"first"[..], Some(5), &Json::null()).unwrap();
    /// let bytes = Dataset::open(run.id(), &name).unwrap().into_bytes();
    /// assert_eq!(bytes.len(), 5);
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> DatasetBytes {
        self.bytes
    }

    /// Copies the bytes from `start` on into `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] beyond the end.
    pub fn read_at(&self, start: u64, out: &mut [u8]) -> Result<()> {
        let size = self.info.size;
        if start.checked_add(out.len() as u64).is_none_or(|end| end > size) {
            return Err(Error::usage(format!(
                "{} bytes at {start} reach beyond the {size} of this dataset",
                out.len()
            )));
        }
        let read = self.file.read_exact_at(out, self.info.offset + start);
        read.map_err(|error| Error::io("read", &self.path, error))
    }

    /// Writes all of it to `out`, at its position, moved inside the kernel where that is possible.
    /// `progress` is told how many bytes have been copied, at least every 50 ms; an error from it
    /// ends the copy.
    ///
    /// # Errors
    /// Those of `out` and of `progress`; [`ErrorKind::Corrupt`] when the file has been cut short.
    pub fn copy_to(
        &self,
        out: impl AsFd,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let (start, size) = (self.info.offset, self.info.size);
        pour(&self.file, start, size, out.as_fd(), progress).map_err(|stopped| match stopped {
            Stopped::Asked(error) => error,
            Stopped::Failed(error) => Error::io("copy", &self.path, error),
            Stopped::Short => Error::new(
                ErrorKind::Corrupt,
                format!("{} has been cut short: publish the dataset anew", self.path.display()),
            ),
        })
    }
}

/// The file that has the name now, and what is known about it.
fn current(run: RunId, name: &TaskName) -> Result<(Current, DatasetInfo)> {
    loop {
        let current = Current::open(run, name)?.ok_or_else(|| missing(name))?;
        if let Some(info) = current.info()? {
            return Ok((current, info));
        }
    }
}

fn missing(name: &TaskName) -> Error {
    Error::new(ErrorKind::NotFound, format!("not found: dataset {name}"))
}

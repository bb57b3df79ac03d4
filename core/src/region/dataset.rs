//! Datasets: bytes in shared memory, immutable once published, read without a copy.
//!
//! A dataset is one file: the bytes, then a footer with what is known about them. It is written
//! under no name and then put in place as a whole, so that whoever opens the name finds all of it;
//! a replaced dataset lives on for those who hold it open.

use super::footer::Footer;
use super::map::ReadOnly;
use super::place;
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::TaskName;
use crate::limits::DATASET_ABOUT_BYTES_MAX;
use crate::lock::{self, Holder};
use crate::run::{RunId, SHARED_MEMORY};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is known about a dataset without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Its size in bytes.
    pub size: u64,
    /// How often its name has been published since it was last free, this time included;
    /// 0 for a file that another program put there.
    pub generation: u64,
    /// What its producer said about it, such as element type and shape; `null` when nothing.
    pub about: Json,
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
/// ```
#[derive(Debug)]
pub struct Dataset {
    file: File,
    map: ReadOnly,
    info: DatasetInfo,
}

impl Dataset {
    /// Publishes what `source` gives as the dataset `name`, replacing its predecessor for those
    /// who open it from now on. With its `size` known in advance the memory is taken first. One
    /// copy is made, by the kernel where `source` is a file.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when shared memory is, naming the space needed; [`ErrorKind::Io`] when
    /// `source` fails. What was published before stays in either case.
    pub fn publish(
        run: RunId,
        name: &TaskName,
        source: &mut impl Read,
        size: Option<u64>,
        about: &Json,
    ) -> Result<DatasetInfo> {
        let path = run.dataset_path(name);
        if about.as_str().len() > DATASET_ABOUT_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "dataset {name}: a description of {} bytes is above the limit of \
                     {DATASET_ABOUT_BYTES_MAX}",
                    about.as_str().len()
                ),
            ));
        }
        let mut file = place::nameless(&path)?;
        if let Some(size) = size.filter(|size| *size > 0) {
            allocate(&file, size, &path)?;
        }
        let size = io::copy(source, &mut file).map_err(|error| failed(&path, size, error))?;
        let mut info = DatasetInfo { size, generation: 1, about: about.clone() };
        loop {
            let Some((current, _)) = place::open(&path, false)? else {
                finish(&file, &info, &path)?;
                if place::name(&file, &path)? {
                    return Ok(info);
                }
                continue;
            };
            // One publisher at a time replaces a given predecessor.
            let _held = lock::exclusive(&current, &path, || Holder { process: None, progress: 0 })?;
            let found = place::status(&current, &path)?;
            if found.st_nlink == 0 {
                continue;
            }
            info.generation = read_info(&current, found.st_size as u64, &path)?.generation + 1;
            finish(&file, &info, &path)?;
            replace(&file, &path, run, name)?;
            return Ok(info);
        }
    }

    /// Opens the dataset `name`. What this value maps stays as it is, whatever happens to the name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; [`ErrorKind::Corrupt`] when its footer is
    /// damaged.
    pub fn open(run: RunId, name: &TaskName) -> Result<Dataset> {
        let path = run.dataset_path(name);
        let (file, found) = place::open(&path, false)?.ok_or_else(|| missing(name))?;
        let info = read_info(&file, found.st_size as u64, &path)?;
        let length = usize::try_from(info.size).ok().filter(|size| *size <= isize::MAX as usize);
        let length = length.ok_or_else(|| {
            Error::new(ErrorKind::TooLarge, format!("{} is too large to map", path.display()))
        })?;
        // An empty dataset maps a byte of its footer, which nobody looks at.
        let length = NonZeroUsize::new(length).unwrap_or(NonZeroUsize::MIN);
        let map = ReadOnly::new(&file, length).map_err(|error| Error::io("map", &path, error))?;
        Ok(Dataset { file, map, info })
    }

    /// What is known about the dataset `name`.
    ///
    /// # Errors
    /// As [`Dataset::open`].
    pub fn stat(run: RunId, name: &TaskName) -> Result<DatasetInfo> {
        let path = run.dataset_path(name);
        let (file, found) = place::open(&path, false)?.ok_or_else(|| missing(name))?;
        read_info(&file, found.st_size as u64, &path)
    }

    /// The names of all datasets of `run`, sorted.
    ///
    /// # Errors
    /// When shared memory can't be listed.
    pub fn list(run: RunId) -> Result<Vec<TaskName>> {
        place::names(&format!("otto-{run}.ds-"))
    }

    /// Removes the name; the memory is freed when the last reader lets go of it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none.
    pub fn remove(run: RunId, name: &TaskName) -> Result<()> {
        let path = run.dataset_path(name);
        fs::remove_file(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(name),
            _ => Error::io("remove", &path, error),
        })
    }

    /// What is known about it.
    #[must_use]
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// The address of its first byte, aligned to a page; [`DatasetInfo::size`] bytes are readable
    /// from there as long as this value lives. They are immutable by agreement of all programs
    /// that publish: one of the same user that breaks it by writing to the file changes them, and
    /// one that cuts the file short makes touching them raise SIGBUS.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.map.as_ptr()
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
        let read = self.file.read_exact_at(out, start);
        read.map_err(|error| Error::io("read", Path::new("a dataset"), error))
    }

    /// Writes all of it to `out`, through the kernel alone where that is possible.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn copy_to(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.file.rewind()?;
        let copied = io::copy(&mut (&self.file).take(self.info.size), out)?;
        if copied < self.info.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

fn missing(name: &TaskName) -> Error {
    Error::new(ErrorKind::NotFound, format!("not found: dataset {name}"))
}

fn allocate(file: &File, size: u64, path: &Path) -> Result<()> {
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, size) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(path, Some(size), error.into())),
        }
    }
}

/// A copy that failed; a full memory says how much was needed and how much there is.
fn failed(path: &Path, size: Option<u64>, error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::StorageFull {
        return Error::io("publish", path, error);
    }
    let needed = size.map_or("it".to_owned(), |size| format!("{size} bytes"));
    let free = statvfs(SHARED_MEMORY).map_or(0, |found| found.f_bavail * found.f_frsize);
    Error::new(
        ErrorKind::Full,
        format!(
            "no room for {needed} in {}: shared memory has {free} bytes free, remove regions or enlarge it",
            path.display()
        ),
    )
}

/// Puts the footer behind the bytes, and ends the file there.
fn finish(file: &File, info: &DatasetInfo, path: &Path) -> Result<()> {
    let footer = Footer::encode(info);
    file.set_len(info.size)
        .and_then(|()| file.write_all_at(&footer, info.size))
        .map_err(|error| failed(path, Some(footer.len() as u64), error))
}

/// Gives `file` the name `path` in the place of what has it now.
fn replace(file: &File, path: &Path, run: RunId, name: &TaskName) -> Result<()> {
    let random = RandomState::new().hash_one(0);
    let temporary = path.with_file_name(format!(".otto-{run}.ds-{name}.{random:016x}"));
    if !place::name(file, &temporary)? {
        let taken = io::ErrorKind::AlreadyExists.into();
        return Err(Error::io("create", &temporary, taken));
    }
    fs::rename(&temporary, path).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::io("publish", path, error)
    })
}

fn read_info(file: &File, size: u64, path: &Path) -> Result<DatasetInfo> {
    let found = Footer::read(file, size).map_err(|error| Error::io("read", path, error))?;
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            format!("the footer of {} is damaged: publish the dataset anew", path.display()),
        )
    })
}

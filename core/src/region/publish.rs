//! Publishing a dataset from bytes, or from something that is read to its end.

use super::dataset::{Dataset, DatasetInfo};
use super::filling::{BUFFER_BYTES, Filling, Progress, unreadable};
use super::unpublished::Spill;
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::TaskName;
use crate::limits::{COPY_STEP_BYTES, DATASET_ABOUT_BYTES_MAX};
use crate::run::RunId;
use rustix::fs::{FileType, fstat, tell};
use std::io::{self, Read};
use std::os::fd::AsFd;

/// A dataset about to be published, and how.
///
/// ```
/// use otto_core::{Json, TaskName, region::{Dataset, Publisher, Spill}, run::{Descendants, Run}};
/// let run = Run::create(Descendants::Left).unwrap();
/// let name = TaskName::parse("features").unwrap();
/// let about = Json::parse(r#"{"dtype":"<u2","shape":[3]}"#).unwrap();
/// let info = Publisher::new(run.id(), &name)
///     .about(&about)
///     .header(b"a header of another format")
///     .spill(Spill::WhenFull)
///     .bytes(&[1, 0, 2, 0, 3, 0])
///     .unwrap();
/// assert_eq!((info.offset, info.size, info.on_disk), (26, 6, false));
/// assert_eq!(Dataset::stat(run.id(), &name).unwrap(), info);
/// ```
pub struct Publisher<'a> {
    run: RunId,
    name: &'a TaskName,
    about: Json,
    header: &'a [u8],
    spill: Spill,
    progress: Option<Progress<'a>>,
}

impl<'a> Publisher<'a> {
    /// Publishes the dataset `name` of `run`: nothing said about it, no header, never on disk.
    #[must_use]
    pub fn new(run: RunId, name: &'a TaskName) -> Publisher<'a> {
        let about = Json::null();
        Publisher { run, name, about, header: b"", spill: Spill::Never, progress: None }
    }

    /// Says what it is, such as element type and shape.
    #[must_use]
    pub fn about(mut self, about: &Json) -> Publisher<'a> {
        self.about = about.clone();
        self
    }

    /// Puts `header` before the bytes in the file, for programs that read it by its path; it is no
    /// part of the dataset's bytes. A multiple of 64 keeps these aligned.
    #[must_use]
    pub fn header(mut self, header: &'a [u8]) -> Publisher<'a> {
        self.header = header;
        self
    }

    /// What to do when memory has no room for it.
    #[must_use]
    pub fn spill(mut self, spill: Spill) -> Publisher<'a> {
        self.spill = spill;
        self
    }

    /// Calls `progress` with the count of bytes copied, at least every 50 ms while they come; an
    /// error from it ends the copy and is returned.
    #[must_use]
    pub fn progress(mut self, progress: &'a mut dyn FnMut(u64) -> Result<()>) -> Publisher<'a> {
        self.progress = Some(progress);
        self
    }

    /// Publishes `bytes`.
    ///
    /// # Errors
    /// As [`Dataset::publish`].
    pub fn bytes(self, bytes: &[u8]) -> Result<DatasetInfo> {
        self.parts(&[bytes])
    }

    /// Publishes `parts`, one behind the other.
    ///
    /// # Errors
    /// As [`Dataset::publish`].
    pub fn parts(self, parts: &[&[u8]]) -> Result<DatasetInfo> {
        let size = parts.iter().map(|part| part.len() as u64).sum();
        let (about, mut filling) = self.begin(Some(size))?;
        for chunk in parts.iter().flat_map(|part| part.chunks(COPY_STEP_BYTES)) {
            filling.write(chunk)?;
            filling.go_on()?;
        }
        filling.publish(&about)
    }

    /// Publishes what the descriptor `source` gives from its position on, moved inside the kernel
    /// where that is possible: all of a pipe, of a plain file what it holds now, also while it
    /// grows.
    ///
    /// # Errors
    /// As [`Dataset::publish`]; [`ErrorKind::Usage`] for a folder.
    pub fn file(self, source: impl AsFd) -> Result<DatasetInfo> {
        let source = source.as_fd();
        let found = fstat(source).map_err(|error| unreadable(error.into()))?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            return Err(Error::usage("a folder can't be published: give a file"));
        }
        let size = Publisher::size_of(source);
        let (about, mut filling) = self.begin(size)?;
        filling.copy(source, size.unwrap_or(u64::MAX))?;
        filling.publish(&about)
    }

    /// How many bytes [`file`](Self::file) will find in `source`, if that can be known.
    #[must_use]
    pub fn size_of(source: impl AsFd) -> Option<u64> {
        let found = fstat(&source).ok()?;
        let plain = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        // Plain files that seem empty are those of /proc, among others.
        let size = u64::try_from(found.st_size).ok().filter(|size| *size > 0 && plain)?;
        Some(size.saturating_sub(tell(&source).unwrap_or(0)))
    }

    /// Publishes what `source` gives until its end; `size` is how much that will be, if known.
    ///
    /// # Errors
    /// As [`Dataset::publish`]; [`ErrorKind::Io`] also where there is less than `size`.
    pub fn read(self, source: &mut impl Read, size: Option<u64>) -> Result<DatasetInfo> {
        let (about, mut filling) = self.begin(size)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => filling.write(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
            filling.go_on()?;
        }
        match size {
            Some(size) if filling.copied() < size => {
                let ended = format!("it ended after {} of {size} bytes", filling.copied());
                Err(unreadable(io::Error::new(io::ErrorKind::UnexpectedEof, ended)))
            }
            _ => filling.publish(&about),
        }
    }

    fn begin(self, size: Option<u64>) -> Result<(Json, Filling<'a>)> {
        check_about(self.name, &self.about)?;
        let Publisher { run, name, about, header, spill, progress } = self;
        Ok((about, Filling::begin(run, name, header, size, spill, progress)?))
    }
}

/// Refuses a description that is too long.
pub(super) fn check_about(name: &TaskName, about: &Json) -> Result<()> {
    let length = about.as_str().len();
    if length <= DATASET_ABOUT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!(
            "dataset {name}: a description of {length} bytes is above the limit of \
             {DATASET_ABOUT_BYTES_MAX}"
        ),
    ))
}

impl Dataset {
    /// Publishes what `source` gives as the dataset `name`, replacing its predecessor for those
    /// who open it from now on. With its `size` known in advance the memory is taken first.
    /// [`Publisher`] can more, and without a buffer in between.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when shared memory is, naming the space needed and the space there is;
    /// [`ErrorKind::Io`] when `source` fails. What was published before stays in either case.
    pub fn publish(
        run: RunId,
        name: &TaskName,
        source: &mut impl Read,
        size: Option<u64>,
        about: &Json,
    ) -> Result<DatasetInfo> {
        Publisher::new(run, name).about(about).read(source, size)
    }
}

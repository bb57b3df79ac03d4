//! Publishing a dataset from bytes, or from something that is read to its end.

use super::dataset::{Dataset, DatasetInfo};
use super::placing::put_in_place;
use super::unpublished::{Spill, Unpublished};
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt;
use crate::json::Json;
use crate::key::TaskName;
use crate::limits::{COPY_STEP_BYTES, DATASET_ABOUT_BYTES_MAX};
use crate::run::RunId;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Read at a time where bytes come from anywhere.
const BUFFER_BYTES: usize = 256 << 10;

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
    progress: Option<&'a mut dyn FnMut(u64) -> Result<()>>,
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
    pub fn parts(mut self, parts: &[&[u8]]) -> Result<DatasetInfo> {
        let size = parts.iter().map(|part| part.len() as u64).sum();
        let mut filling = self.begin(Some(size))?;
        for chunk in parts.iter().flat_map(|part| part.chunks(COPY_STEP_BYTES)) {
            filling.write(chunk)?;
            self.go_on(filling.copied())?;
        }
        filling.publish(&self.about)
    }

    /// Publishes what `source` gives until its end; `size` is how much that will be, if known.
    ///
    /// # Errors
    /// As [`Dataset::publish`].
    pub fn read(mut self, source: &mut impl Read, size: Option<u64>) -> Result<DatasetInfo> {
        let mut filling = self.begin(size)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return filling.publish(&self.about),
                Ok(count) => filling.write(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Error::io("read", Path::new("what is to be published"), error));
                }
            }
            self.go_on(filling.copied())?;
        }
    }

    fn begin(&mut self, size: Option<u64>) -> Result<Filling<'a>> {
        check_about(self.name, &self.about)?;
        let header = self.header.len() as u64;
        let needed = size.unwrap_or(0).saturating_add(header);
        let Publisher { run, name, spill, .. } = *self;
        let file = Unpublished::allocated(run, name, needed, spill, &mut || self.go_on(0));
        let mut filling = Filling { run, name, spill, file: file?, header, filled: 0, needed };
        filling.write(self.header)?;
        Ok(filling)
    }

    fn go_on(&mut self, copied: u64) -> Result<()> {
        interrupt::check()?;
        self.progress.as_mut().map_or(Ok(()), |progress| progress(copied))
    }
}

/// A data file that is being filled.
struct Filling<'a> {
    run: RunId,
    name: &'a TaskName,
    spill: Spill,
    file: Unpublished,
    /// Bytes before the payload.
    header: u64,
    /// Bytes written so far, the header's among them.
    filled: u64,
    /// Bytes there will be, as far as is known.
    needed: u64,
}

impl Filling<'_> {
    fn copied(&self) -> u64 {
        self.filled - self.header
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.file.file.write_at(bytes, self.filled) {
                Ok(count) => {
                    self.filled += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.make_room(bytes.len() as u64, error)?,
            }
        }
        Ok(())
    }

    /// After a write of `more` bytes has failed: moves to disk if memory is full and that helps.
    fn make_room(&mut self, more: u64, error: io::Error) -> Result<()> {
        let needed = self.needed.max(self.filled + more);
        let full = self.file.failed(needed, error);
        let in_memory = self.file.on_disk.is_none();
        if full.kind() != ErrorKind::Full || self.spill == Spill::Never || !in_memory {
            return Err(full);
        }
        let mut disk = Unpublished::on_disk(self.run, self.name)?;
        disk.allocate(self.filled, &mut interrupt::check)?;
        let mut memory = &self.file.file;
        memory
            .rewind()
            .and_then(|()| io::copy(&mut memory.take(self.filled), &mut disk.file))
            .map_err(|error| disk.failed(needed, error))?;
        self.file = disk;
        Ok(())
    }

    fn publish(mut self, about: &Json) -> Result<DatasetInfo> {
        // A source that gave less than it had promised.
        let cut = self.file.file.set_len(self.filled);
        cut.map_err(|error| self.file.failed(self.filled, error))?;
        let size = self.copied();
        put_in_place(self.run, self.name, &mut self.file, self.header, size, about)
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

//! A dataset that its producer builds in place, without any copy.

use super::dataset::DatasetInfo;
use super::filling::moved_to_disk;
use super::map::Writable;
use super::place;
use super::placing::put_in_place;
use super::publish::check_about;
use super::unpublished::{Needed, Spill, Unpublished};
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt;
use crate::json::Json;
use crate::key::TaskName;
use crate::run::RunId;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;

/// A dataset being built: memory that is published as it is. Dropped before that, it leaves
/// nothing.
///
/// ```
/// use otto_core::{Json, TaskName, region::{Dataset, DatasetBuilder, Spill}, run::{Descendants, Run}};
/// let run = Run::create(Descendants::Left).unwrap();
/// let name = TaskName::parse("features").unwrap();
/// let mut builder = DatasetBuilder::new(run.id(), &name, b"", 1000, Spill::Never).unwrap();
/// let payload = builder.as_mut_ptr(); // 1000 bytes, zero at first, to be filled from here on
/// assert!(!payload.is_null());
/// assert!(Dataset::open(run.id(), &name).is_err(), "not published yet");
/// assert_eq!(builder.publish(&Json::null()).unwrap().size, 1000);
/// assert_eq!(Dataset::open(run.id(), &name).unwrap().info().size, 1000);
/// ```
#[derive(Debug)]
pub struct DatasetBuilder {
    run: RunId,
    name: TaskName,
    file: Unpublished,
    /// Nothing is mapped for an empty payload.
    map: Option<Writable>,
    header: usize,
    size: usize,
    spill: Spill,
    published: bool,
}

impl DatasetBuilder {
    /// Takes the memory for `size` bytes of zeros behind `header`, which is no part of the
    /// dataset's bytes and is written here. A header that is a multiple of 64 bytes long keeps them
    /// aligned to 64.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when there is no room, now and not when the memory is written to; what
    /// an installed [`interrupt`] check returned.
    pub fn new(
        run: RunId,
        name: &TaskName,
        header: &[u8],
        size: u64,
        spill: Spill,
    ) -> Result<DatasetBuilder> {
        let length = size.checked_add(header.len() as u64);
        let length = length.filter(|length| *length <= isize::MAX as u64).ok_or_else(|| {
            Error::new(ErrorKind::TooLarge, format!("dataset {name}: {size} bytes are too many"))
        })?;
        let go_on = &mut interrupt::check;
        let unpublished = Unpublished::allocated(run, name, length, spill, go_on)?;
        let file = &unpublished.file;
        file.write_all_at(header, 0)
            .map_err(|error| unpublished.failed(Needed::Exactly(length), error))?;
        let length = NonZeroUsize::new(length as usize).filter(|_| size > 0);
        // Through an opening of its own: a forked child inherits the mapping, and would keep the
        // lock that tells others of a living publisher.
        let map =
            |length| place::open_again(file, true).and_then(|file| Writable::new(&file, length));
        let map = length.map(map).transpose().map_err(|error| {
            Error::io(&format!("map {size} bytes of"), &run.dataset_path(name), error)
        })?;
        let (header, size) = (header.len(), size as usize);
        let name = name.clone();
        Ok(DatasetBuilder {
            run,
            name,
            file: unpublished,
            map,
            header,
            size,
            spill,
            published: false,
        })
    }

    /// The address of the first byte behind the header; [`len`](Self::len) bytes are there to be
    /// written and read until this value is dropped. What is written after
    /// [`publish`](Self::publish) is seen by this process alone.
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        let start = self.map.as_ref().map_or(NOWHERE, Writable::as_mut_ptr);
        if self.size == 0 { NOWHERE } else { start.wrapping_add(self.header) }
    }

    /// How many bytes there are behind the header.
    #[must_use]
    pub fn len(&self) -> usize {
        self.size
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Publishes the bytes as they are now, replacing what had the name for those who open it from
    /// now on. Nobody may write to them meanwhile. After an error they can no longer be changed,
    /// and another try is possible.
    ///
    /// # Errors
    /// As [`Dataset::publish`](super::Dataset::publish); [`ErrorKind::Usage`] the second time,
    /// and in a forked child.
    pub fn publish(&mut self, about: &Json) -> Result<DatasetInfo> {
        if self.published {
            let message = format!("dataset {} is published already: build a new one", self.name);
            return Err(Error::usage(message));
        }
        check_about(&self.name, about)?;
        self.file.check_own(&self.name)?;
        if let Some(map) = &mut self.map {
            let path = self.run.dataset_path(&self.name);
            map.detach(&self.file.file).map_err(|error| Error::io("map", &path, error))?;
        }
        let (offset, size) = (self.header as u64, self.size as u64);
        loop {
            match put_in_place(self.run, &self.name, &mut self.file, offset, size, about) {
                // Others have taken the room for the label meanwhile.
                Err(error) if error.kind() == ErrorKind::Full && self.may_spill() => {
                    let (memory, size) = (&self.file.file, offset + size);
                    let (needed, go_on) = (Needed::Exactly(size), &mut interrupt::check);
                    let disk = moved_to_disk(self.run, &self.name, memory, size, needed, go_on)?;
                    self.file = disk;
                }
                result => {
                    self.published = result.is_ok();
                    return result;
                }
            }
        }
    }

    fn may_spill(&self) -> bool {
        self.spill == Spill::WhenFull && self.file.on_disk.is_none()
    }
}

/// The address of no bytes, aligned as any would be.
pub(super) const NOWHERE: *mut u8 = std::ptr::without_provenance_mut(4096);

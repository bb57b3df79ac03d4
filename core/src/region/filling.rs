//! Filling the file of a dataset to be published, in memory first and on disk where that is full.

use super::copy::{Moving, Piece, ready};
use super::dataset::DatasetInfo;
use super::placing::put_in_place;
use super::unpublished::{GoOn, Needed, Spill, Unpublished};
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt;
use crate::json::Json;
use crate::key::TaskName;
use crate::run::RunId;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Read at a time where the kernel can't move the bytes itself.
pub(super) const BUFFER_BYTES: usize = 256 << 10;

/// Written between two looks whether memory has room for more, where the size is not known.
const LOOK_BYTES: u64 = 16 << 20;

/// A function that is told how many bytes have been copied; an error from it ends the copy.
pub(super) type Progress<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// A data file that is being filled, from its start to its end.
pub(super) struct Filling<'a> {
    run: RunId,
    name: &'a TaskName,
    spill: Spill,
    file: Unpublished,
    /// Bytes before the payload.
    header: u64,
    /// Bytes written so far, the header's among them.
    filled: u64,
    /// Bytes there will be, if that is known.
    needed: Option<u64>,
    progress: Option<Progress<'a>>,
    /// From so many bytes on it is looked again whether there is room for more.
    next_look: u64,
}

impl<'a> Filling<'a> {
    /// A file with `header` in it and room for `size` bytes behind that.
    pub(super) fn begin(
        run: RunId,
        name: &'a TaskName,
        header: &[u8],
        size: Option<u64>,
        spill: Spill,
        mut progress: Option<Progress<'a>>,
    ) -> Result<Filling<'a>> {
        let length = header.len() as u64;
        let needed = size.map(|size| size.saturating_add(length));
        let file = Unpublished::allocated(run, name, needed.unwrap_or(length), spill, &mut || {
            go_on(&mut progress, 0)
        })?;
        let (filled, next_look) = (0, LOOK_BYTES);
        let mut filling =
            Filling { run, name, spill, file, header: length, filled, needed, progress, next_look };
        filling.write(header)?;
        Ok(filling)
    }

    /// Bytes copied so far.
    pub(super) fn copied(&self) -> u64 {
        self.filled.saturating_sub(self.header)
    }

    /// Tells of the progress, and asks whether to go on.
    pub(super) fn go_on(&mut self) -> Result<()> {
        let copied = self.copied();
        go_on(&mut self.progress, copied)
    }

    /// Where the size was not known, looks now and then whether memory has room for more: it may
    /// have less than its limit.
    fn look_at_room(&mut self) -> Result<()> {
        if self.needed.is_some() || self.filled < self.next_look {
            return Ok(());
        }
        self.next_look = self.filled + LOOK_BYTES;
        let least = Needed::AtLeast(self.filled);
        match self.file.check_room(least, 0) {
            Err(_) if self.may_spill() => self.spill_over(least),
            looked => looked,
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match (&*self.file.file).write(bytes) {
                Ok(0) => self.make_room(bytes.len() as u64, io::ErrorKind::WriteZero.into())?,
                Ok(count) => {
                    self.filled += count as u64;
                    bytes = &bytes[count..];
                    self.look_at_room()?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.go_on()?,
                Err(error) => self.make_room(bytes.len() as u64, error)?,
            }
        }
        Ok(())
    }

    /// Copies from `source`, at its position, until it ends or has given `limit` bytes.
    pub(super) fn copy(&mut self, source: BorrowedFd<'_>, limit: u64) -> Result<()> {
        let mut moving = Moving::new(source, None, self.file.file.as_fd());
        let end = self.filled.saturating_add(limit);
        while self.filled < end {
            match moving.piece(source, self.file.file.as_fd(), end - self.filled) {
                Piece::Moved(count) => {
                    self.filled += count;
                    self.look_at_room()?;
                }
                Piece::Nothing => {}
                Piece::Full(error) => self.make_room(1, error)?,
                Piece::End => break,
                Piece::Unable => return self.copy_through_memory(source, end),
            }
            self.go_on()?;
        }
        Ok(())
    }

    fn copy_through_memory(&mut self, source: BorrowedFd<'_>, end: u64) -> Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        while self.filled < end {
            let most = buffer.len().min(usize::try_from(end - self.filled).unwrap_or(usize::MAX));
            if ready(source, PollFlags::IN) {
                match rustix::io::read(source, &mut buffer[..most]) {
                    Ok(0) => break,
                    Ok(count) => self.write(&buffer[..count])?,
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(error) => return Err(unreadable(error.into())),
                }
            }
            self.go_on()?;
        }
        Ok(())
    }

    /// After a write of `more` bytes has failed: moves to disk if memory is full and that helps.
    fn make_room(&mut self, more: u64, error: io::Error) -> Result<()> {
        let least = Needed::AtLeast(self.filled + more);
        let full = self.file.failed(self.needed.map_or(least, Needed::Exactly), error);
        if full.kind() != ErrorKind::Full || !self.may_spill() {
            return Err(full);
        }
        self.spill_over(least)
    }

    fn may_spill(&self) -> bool {
        self.spill == Spill::WhenFull && self.file.on_disk.is_none()
    }

    /// Moves what there is so far to disk.
    fn spill_over(&mut self, needed: Needed) -> Result<()> {
        let (copied, progress) = (self.copied(), &mut self.progress);
        let memory = &self.file.file;
        self.file = moved_to_disk(self.run, self.name, memory, self.filled, needed, &mut || {
            go_on(progress, copied)
        })?;
        Ok(())
    }

    pub(super) fn publish(mut self, about: &Json) -> Result<DatasetInfo> {
        // A source that gave less than it had promised.
        let cut = self.file.file.set_len(self.filled);
        cut.map_err(|error| self.file.failed(Needed::Exactly(self.filled), error))?;
        let size = self.copied();
        loop {
            let (run, name, header) = (self.run, self.name, self.header);
            match put_in_place(run, name, &mut self.file, header, size, about) {
                // The label had no room any more.
                Err(error) if error.kind() == ErrorKind::Full && self.may_spill() => {
                    self.spill_over(Needed::Exactly(self.filled))?;
                }
                result => return result,
            }
        }
    }
}

/// A file on disk with the first `size` bytes of `memory`, of which `needed` are needed in the end.
pub(super) fn moved_to_disk(
    run: RunId,
    name: &TaskName,
    mut memory: &File,
    size: u64,
    needed: Needed,
    go_on: GoOn<'_>,
) -> Result<Unpublished> {
    let disk = Unpublished::on_disk(run, name)?;
    disk.allocate(size, go_on)?;
    let (from, to) = (memory.as_fd(), disk.file.as_fd());
    let mut moving = Moving::new(from, Some(0), to);
    let mut done = 0;
    while done < size {
        match moving.piece(from, to, size - done) {
            Piece::Moved(count) => done += count,
            Piece::Nothing => {}
            Piece::Full(error) => return Err(disk.failed(needed, error)),
            Piece::End => return Err(unreadable(io::ErrorKind::UnexpectedEof.into())),
            Piece::Unable => {
                memory
                    .seek(SeekFrom::Start(done))
                    .and_then(|_| io::copy(&mut memory.take(size - done), &mut &*disk.file))
                    .map_err(|error| disk.failed(needed, error))?;
                done = size;
            }
        }
        go_on()?;
    }
    Ok(disk)
}

fn go_on(progress: &mut Option<Progress<'_>>, copied: u64) -> Result<()> {
    interrupt::check()?;
    progress.as_mut().map_or(Ok(()), |progress| progress(copied))
}

pub(super) fn unreadable(error: io::Error) -> Error {
    Error::io("read", Path::new("what is to be published"), error)
}

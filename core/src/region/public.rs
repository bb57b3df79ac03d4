//! The public file of a document: one image at its start, slack after it.

use super::layout::{
    CRC_BYTES, FRAME_BYTES, IMAGE_BYTES_MAX, Image, REMOVED, SEAL_BYTES, SEALED_BYTES_MAX, decode,
    encode, sealed, size_of_image,
};
use super::{place, room};
use crate::error::{Error, Result};
use crate::run::still_there;
use rustix::fs::{FallocateFlags, Stat, fallocate, ftruncate};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Public {
    pub(super) file: File,
    pub(super) inode: u64,
    pub(super) writable: bool,
    path: PathBuf,
    /// So many bytes from the start have memory behind them for certain.
    allocated: u64,
}

impl Public {
    pub(super) fn open(path: &Path) -> Result<Option<Public>> {
        let opened = place::open_widely(path)?;
        Ok(opened.map(|(file, found, writable)| Public::of(file, &found, path, writable)))
    }

    /// An empty document of `size` bytes (at least what an empty one takes), sparse. Called under
    /// the lock; a foreign program may still be first, then its file it is.
    pub(super) fn create(path: &Path, size: u64) -> Result<Public> {
        let failed = |error| Error::io("create", path, error);
        loop {
            if let Some(public) = Public::open(path)? {
                return Ok(public);
            }
            let file = place::nameless(path)?;
            let mut image = Vec::new();
            encode(b"", &mut image);
            file.set_len(size.max(FRAME_BYTES as u64)).map_err(failed)?;
            file.write_all_at(&image, 0).map_err(failed)?;
            if place::name(&file, path)? {
                let found = place::status(&file, path)?;
                return Ok(Public::of(file, &found, path, true));
            }
        }
    }

    fn of(file: File, found: &Stat, path: &Path, writable: bool) -> Public {
        // Nothing sparse in it: what is there is allocated.
        let whole = found.st_blocks * 512 >= found.st_size;
        let allocated = if whole { found.st_size as u64 } else { 0 };
        Public { file, inode: found.st_ino, writable, path: path.to_owned(), allocated }
    }

    /// Whether its name leads to the file, which may have been moved away.
    pub(super) fn has_its_name(&self) -> bool {
        still_there(&self.file, &self.path)
    }

    /// Whether the file has a name still, most likely its own.
    pub(super) fn is_current(&mut self) -> Result<bool> {
        let found = place::status(&self.file, &self.path)?;
        // Someone's `> file` took the memory away again.
        self.allocated = self.allocated.min(found.st_size as u64);
        Ok(found.st_nlink > 0)
    }

    /// One look at a small document: the JSON within `buffer` if the image proves by itself that it
    /// is whole.
    pub(super) fn glance(&self, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        if buffer.len() > SEALED_BYTES_MAX {
            // What stood here last was larger: so is this, most likely.
            return None;
        }
        buffer.resize(buffer.len().next_multiple_of(512).max(512), 0);
        let size = self.file.read_at(buffer, 0).ok()?;
        sealed(&buffer[..size])
    }

    /// Tells those who have the file open that it has lost its name, if it has.
    pub(super) fn mark_removed(&self) {
        if place::status(&self.file, &self.path).is_ok_and(|found| found.st_nlink == 0) {
            let _ = self.file.write_all_at(&REMOVED, 0);
        }
    }

    /// Makes the file at least `size` bytes long; memory comes with use.
    pub(super) fn extend(&self, size: u64) -> Result<()> {
        let found = place::status(&self.file, &self.path)?;
        if (found.st_size as u64) < size {
            ftruncate(&self.file, size)
                .map_err(|error| Error::io("enlarge", &self.path, error.into()))?;
        }
        Ok(())
    }

    /// Gives back the memory that [`Public::reserve`] took for an image that was not written then.
    pub(super) fn give_back(&mut self) {
        let mut length = [0; 4];
        let Ok(found) = place::status(&self.file, &self.path) else { return };
        if self.file.read_exact_at(&mut length, 0).is_err() {
            return;
        }
        let used = u64::from(u32::from_le_bytes(length)) + FRAME_BYTES as u64;
        let (from, size) = (used.next_multiple_of(4096), found.st_size as u64);
        if from < size {
            // The size stays: the file is never cut under someone who maps it.
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(&self.file, hole, from, size - from);
        }
        self.allocated = self.allocated.min(from);
    }

    /// Makes sure that an image of `size` bytes will fit: a full memory shows here, before
    /// anything is changed.
    pub(super) fn reserve(&mut self, size: usize) -> Result<()> {
        let size = size as u64;
        if size <= self.allocated {
            return Ok(());
        }
        let found = place::status(&self.file, &self.path)?;
        loop {
            match fallocate(&self.file, FallocateFlags::empty(), 0, size) {
                Ok(()) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(room::refused(&self.path, size, error.into())),
            }
        }
        if size > found.st_size as u64 {
            // Slack, so that growing programs that map the file need not map anew each time.
            let roomy = (size + size / 2).next_multiple_of(4096);
            self.extend(roomy)?;
        }
        self.allocated = size;
        Ok(())
    }
}

/// Reads the image at `start` of `file` into `buffer` and judges it. [`Image::Longer`] then means
/// that the file ends too early.
pub(super) fn read_image(file: &File, start: u64, buffer: &mut Vec<u8>) -> io::Result<Image> {
    // As large as the last image was, roughly: one system call does as long as sizes stay.
    buffer.resize(buffer.len().next_multiple_of(512).max(512), 0);
    loop {
        let size = read_up_to(file, start, buffer)?;
        match decode(&buffer[..size]) {
            Image::Longer(needed) if size == buffer.len() && needed <= IMAGE_BYTES_MAX => {
                // Nothing is allocated for a length that the file does not have.
                let least = start + (needed - CRC_BYTES) as u64;
                if file.metadata()?.len() < least {
                    return Ok(Image::Longer(needed));
                }
                buffer.resize((needed + SEAL_BYTES).next_multiple_of(512), 0);
            }
            // A script may leave off the CRC and end the file right there.
            Image::Longer(needed) if needed > FRAME_BYTES && size + CRC_BYTES >= needed => {
                return Ok(Image::Unchecked(4..needed - CRC_BYTES));
            }
            image => {
                if let Image::Whole(range) | Image::Unchecked(range) = &image {
                    buffer.truncate(size_of_image(range.end).next_multiple_of(512));
                }
                return Ok(image);
            }
        }
    }
}

/// Reads until `buffer` is full or the file ends.
fn read_up_to(file: &File, start: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], start + done as u64) {
            Ok(0) => break,
            Ok(size) => done += size,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

//! Writing a document under its lock: the journal first, then the public file.

use super::control::Control;
use super::foreign::{damaged, read_foreign};
use super::layout::{Image, JOURNAL_MAPPED_BYTES, encode, offset, size_of_image};
use super::public::{Public, read_image};
use super::wait::ring;
use super::{room, sequence};
use crate::error::{Error, ErrorKind, Result};
use crate::objects::check_size;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

/// A document whose lock is held.
pub(super) struct Held<'a> {
    pub(super) path: &'a Path,
    pub(super) control_path: &'a Path,
    pub(super) control: &'a Control,
    pub(super) public: &'a mut Public,
    pub(super) image: &'a mut Vec<u8>,
}

impl Held<'_> {
    /// Finishes what a killed writer had begun.
    pub(super) fn recover(&mut self) -> Result<()> {
        let sequence = self.control.page.sequence().load(Relaxed);
        if sequence.is_multiple_of(2) {
            return Ok(());
        }
        let image = read_image(&self.control.file, offset::JOURNAL, self.image)
            .map_err(|error| Error::io("read", self.control_path, error))?;
        match image {
            Image::Whole(json) if is_journal_of(self.control, sequence, self.image, &json) => {
                finish(self.control, self.public, whole(self.image, &json), sequence)
            }
            _ => Err(damaged_journal(self.control_path)),
        }
    }

    /// The public file; no writer of ours is at work.
    pub(super) fn read(&mut self) -> Result<Range<usize>> {
        let image = read_image(&self.public.file, 0, self.image)
            .map_err(|error| Error::io("read", self.path, error))?;
        if let Image::Whole(json) = image {
            return Ok(json);
        }
        let found = read_foreign(self.public, self.path, self.image, || true)?;
        found.ok_or_else(|| damaged(self.path))
    }

    /// Writes `json`, which is valid; returns where it stands in the image.
    pub(super) fn commit(&mut self, json: &[u8]) -> Result<Range<usize>> {
        check_size(self.path, json.len())?;
        let crc = encode(json, self.image);
        let reserved = self.public.reserve(self.image.len());
        reserved.map_err(|error| self.explained(error))?;
        let page = &self.control.page;
        let sequence = page.sequence().load(Relaxed).wrapping_add(1);
        // A full memory shows here at the latest; nothing is valid in the journal before the commit.
        if let Err(error) = write_journal(self.control, self.image) {
            let _ = self.control.file.set_len(offset::JOURNAL);
            self.public.give_back();
            return Err(self.explained(Error::io("write", self.control_path, error)));
        }
        page.journal_length().store(json.len() as u32, Relaxed);
        page.journal_crc().store(crc, Relaxed);
        page.journal_sequence().store(sequence, Relaxed);
        // The commit: from here on the journal is the document.
        sequence::commit(page.sequence(), sequence);
        // The next writer would finish it from the journal; but those who find the old image whole
        // in the public file see nothing of it until then.
        finish(self.control, self.public, self.image, sequence)?;
        Ok(4..4 + json.len())
    }

    /// `error`; where memory is full, how much both copies of the image lack.
    fn explained(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Full {
            return error;
        }
        let lacks = |file: &File, end: u64| {
            let has = file.metadata().map_or(0, |found| found.blocks() * 512);
            end.next_multiple_of(4096).saturating_sub(has)
        };
        let size = self.image.len() as u64;
        let needed =
            lacks(&self.public.file, size) + lacks(&self.control.file, offset::JOURNAL + size);
        room::refused(self.path, needed, io::ErrorKind::StorageFull.into())
    }
}

/// The image in `buffer` whose JSON stands at `json`.
pub(super) fn whole<'a>(buffer: &'a [u8], json: &Range<usize>) -> &'a [u8] {
    &buffer[..size_of_image(json.end).min(buffer.len())]
}

/// Small images are stored through the mapping: a system call costs more than the copy.
fn write_journal(control: &Control, image: &[u8]) -> io::Result<()> {
    if image.len() > JOURNAL_MAPPED_BYTES {
        return control.file.write_all_at(image, offset::JOURNAL);
    }
    control.back_journal()?;
    let words = image.chunks(8).zip(control.page.journal());
    for (bytes, word) in words {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        word.store(u64::from_ne_bytes(padded), Relaxed);
    }
    Ok(())
}

/// Copies a committed image to the public file and ends the commit, under the lock.
pub(super) fn finish(
    control: &Control,
    public: &mut Public,
    image: &[u8],
    sequence: u64,
) -> Result<()> {
    public.reserve(image.len())?;
    public
        .file
        .write_all_at(image, 0)
        .map_err(|error| Error::io("write", Path::new("a document's public file"), error))?;
    sequence::end(control.page.sequence(), sequence);
    ring(&control.page);
    Ok(())
}

/// Whether `image`, whole with its JSON at `json`, is what the writer of `sequence` committed.
pub(super) fn is_journal_of(
    control: &Control,
    sequence: u64,
    image: &[u8],
    json: &Range<usize>,
) -> bool {
    let crc = image[json.end..].first_chunk().map(|crc| u32::from_le_bytes(*crc));
    control.page.journal_sequence().load(Relaxed) == sequence
        && control.page.journal_length().load(Relaxed) as usize == json.len()
        && Some(control.page.journal_crc().load(Relaxed)) == crc
}

pub(super) fn damaged_journal(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the journal {} is damaged: remove it and write the document anew", path.display()),
    )
}

//! Reading a document: without a lock, and with one only where it is free.

use super::commit::{damaged_journal, finish, is_journal_of, whole};
use super::document::{Document, Gone};
use super::foreign::read_foreign;
use super::layout::{Image, SEALED_BYTES_MAX, offset};
use super::public::read_image;
use super::sequence;
use crate::error::{Error, Result};
use crate::interrupt;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Reads that writers overtake before a reader asks them for a turn.
const READS_MAX: u32 = 64;
/// How long it waits for that before it looks again: a writer may have been stopped by then.
const TURN: Duration = Duration::from_millis(1);

impl Document {
    /// The JSON text; no bytes when nothing has been written yet.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the memory holds neither a document of ours nor JSON that a
    /// script put there; [`ErrorKind::NotFound`] when the document has been removed.
    pub fn read(&mut self) -> Result<Vec<u8>> {
        self.snapshot().map(<[u8]>::to_vec)
    }

    /// As [`Document::read`], without a copy beyond the one into this handle.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn snapshot(&mut self) -> Result<&[u8]> {
        self.json = 0..0;
        self.json = match self.look_once() {
            Some(json) => json,
            None => self.look()?,
        };
        Ok(&self.image[self.json.clone()])
    }

    /// As [`Document::snapshot`] where one look does, which takes half a microsecond and never
    /// waits: so with a small document that nobody is writing at this very moment. `None`
    /// otherwise.
    pub fn glance(&mut self) -> Option<&[u8]> {
        let json = self.look_once()?;
        self.json = json.clone();
        Some(&self.image[json])
    }

    fn look_once(&mut self) -> Option<Range<usize>> {
        if !self.names_are_fresh() {
            return None;
        }
        // A failed look leaves no image that this handle knows.
        self.json = 0..0;
        self.public.glance(&mut self.image)
    }

    /// Reads one consistent image: a small one that is whole in the public file is the document,
    /// whatever the sequence number says, for that is all that [`Document::look_once`] sees.
    fn look(&mut self) -> Result<Range<usize>> {
        let mut overtaken = 0;
        loop {
            if overtaken >= READS_MAX {
                interrupt::check()?;
                self.control.ask_for_turn(TURN);
                let found = self.locked_by(
                    Gone::Refused,
                    |control| Ok(control.try_lock()),
                    |held| held.read(),
                )?;
                if let Some(json) = found {
                    return Ok(json);
                }
            }
            overtaken += 1;
            self.refresh()?;
            let sequence = sequence::begin(self.control.page.sequence());
            let image = if sequence.is_multiple_of(2) {
                read_image(&self.public.file, 0, &mut self.image)
            } else {
                read_image(&self.control.file, offset::JOURNAL, &mut self.image)
            };
            let image = image.map_err(|error| Error::io("read", &self.public_path, error))?;
            // What the control file says of the journal is part of what has to be whole.
            let is_journal = match &image {
                Image::Whole(json) => is_journal_of(&self.control, sequence, &self.image, json),
                _ => false,
            };
            if !sequence::is_whole(self.control.page.sequence(), sequence) {
                continue;
            }
            match image {
                Image::Whole(json) if sequence.is_multiple_of(2) => return Ok(json),
                Image::Whole(json) if is_journal => return Ok(self.choose(sequence, json)),
                _ if !sequence.is_multiple_of(2) => {
                    return Err(damaged_journal(&self.control_path));
                }
                _ => {
                    if !self.public.is_current()? {
                        self.attach_anew(Gone::Refused)?;
                        continue;
                    }
                    if let Some(json) = self.read_foreign(sequence)? {
                        return Ok(json);
                    }
                }
            }
        }
    }

    /// Between the journal of `sequence`, in `image` with its JSON at `json`, and the public file.
    /// If its writer is dead its work is finished, for the sake of those who read that file only.
    fn choose(&mut self, sequence: u64, json: Range<usize>) -> Range<usize> {
        if let Some(_held) = self.control.try_lock() {
            let changed = self.control.page.sequence().load(Relaxed) != sequence;
            let image = whole(&self.image, &json);
            // If it fails the next writer tries again.
            if changed || finish(&self.control, &mut self.public, image, sequence).is_ok() {
                return json;
            }
        }
        let mut image = vec![0; SEALED_BYTES_MAX];
        match self.public.glance(&mut image) {
            Some(json) => {
                self.image = image;
                json
            }
            None => json,
        }
    }

    /// What someone wrote straight into the public file: read as it stands once it holds still
    /// and is JSON. `None` when one of ours wrote meanwhile.
    fn read_foreign(&mut self, sequence: u64) -> Result<Option<Range<usize>>> {
        let path = &self.public_path;
        let found = read_foreign(&self.public, path, &mut self.image, || {
            sequence::is_whole(self.control.page.sequence(), sequence)
        })?;
        Ok(found)
    }
}

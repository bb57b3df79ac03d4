//! What can be said about a document without its content.

use super::document::{Document, generation_of};
use super::place;
use crate::error::Result;
use crate::run::was_running;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, UNIX_EPOCH};

/// What is known about a document.
///
/// ```
/// use otto_core::{TaskName, region::Document, run::{Descendants, Run}};
/// let run = Run::create(Descendants::Left).unwrap();
/// let mut document =
///     Document::create(run.id(), &TaskName::parse("build").unwrap(), 4096).unwrap();
/// document.write(b"[1]").unwrap();
/// let stat = document.stat().unwrap();
/// assert_eq!((stat.size, stat.capacity, stat.generation), (3, 4096, 1));
/// assert_eq!((stat.writer, stat.writer_alive), (Some(std::process::id()), true));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentStat {
    /// Bytes of JSON that a reader gets; 0 when nothing has been written.
    pub size: u64,
    /// Bytes of the public file: it grows when an image needs more.
    pub capacity: u64,
    /// Writes committed through Otto since the document was made.
    pub generation: u64,
    /// Process of the last writer, if one of ours ever wrote.
    pub writer: Option<u32>,
    /// Whether that process still lives.
    pub writer_alive: bool,
}

impl Document {
    /// What is known about the document; reads all of it, so that `size` is what a reader gets.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn stat(&mut self) -> Result<DocumentStat> {
        let size = self.snapshot()?.len() as u64;
        let generation = generation_of(self.sequence()?);
        let found = place::status(&self.public.file, &self.public_path)?;
        let writer = Some(self.control.page.writer().load(Relaxed)).filter(|id| *id != 0);
        let written = Duration::new(
            u64::try_from(found.st_mtime).unwrap_or(0),
            u32::try_from(found.st_mtime_nsec).unwrap_or(0),
        );
        Ok(DocumentStat {
            size,
            capacity: found.st_size as u64,
            generation,
            writer,
            writer_alive: writer.is_some_and(|id| was_running(id, UNIX_EPOCH + written)),
        })
    }
}

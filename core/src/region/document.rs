//! A document: JSON in shared memory, updated in place, whole for every reader at any moment.
//!
//! The mechanism, with every offset, is in `docs/region-format.md`. In short: a writer puts the new
//! image into the journal, makes the sequence number odd (from here on it is written, and readers
//! take the journal), copies the image to the public file and makes the number even again. Readers
//! take no lock; a writer killed at any instruction leaves the old document or the new one.

use super::control::Control;
use super::layout::{Image, encode, offset};
use super::place;
use super::public::{Public, read_image};
use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::key::TaskName;
use crate::limits::DOCUMENT_BYTES_DEFAULT;
use crate::object::Object;
use crate::objects::{check_size, not_an_object};
use crate::run::RunId;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::fence;
use std::thread;
use std::time::Duration;

/// Size of a document unless told otherwise, in bytes.
pub const SIZE_DEFAULT: usize = DOCUMENT_BYTES_DEFAULT;

/// Lock-free reads before a reader asks the writers to pause.
const READS_MAX: u32 = 64;
/// Equal reads in a row after which a foreign write counts as finished.
const STABLE_READS: u32 = 3;
/// Looks at a foreign write that makes no sense yet, a millisecond apart.
const FOREIGN_LOOKS_MAX: u32 = 20;

/// One task's document. Handles are independent: any number of them, in any threads and processes,
/// read and write the same document.
///
/// ```
/// use otto_core::{Json, TaskName, region::{Document, SIZE_DEFAULT}, run::{Descendants, Run}};
/// let run = Run::create(Descendants::Left).unwrap();
/// let task = TaskName::parse("build").unwrap();
/// let mut document = Document::create(run.id(), &task, SIZE_DEFAULT).unwrap();
/// assert_eq!(document.read().unwrap(), b"");
/// document.write(br#"{"n": 1}"#).unwrap();
/// document.update(|object| Ok(object.set("m", Json::number(2)))).unwrap();
/// assert_eq!(document.read().unwrap(), br#"{"n":1,"m":2}"#);
/// ```
#[derive(Debug)]
pub struct Document {
    public_path: PathBuf,
    control_path: PathBuf,
    control: Control,
    public: Public,
    /// The image last read or written.
    image: Vec<u8>,
}

impl Document {
    /// The document of `task`, made where missing, with room for `size` bytes of image (JSON and
    /// 8 more; it grows when needed). Its content stays if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] without memory; [`ErrorKind::TooLarge`] above the limit;
    /// [`ErrorKind::Corrupt`] when something else stands in its place.
    pub fn create(run: RunId, task: &TaskName, size: usize) -> Result<Document> {
        let (public_path, control_path) = (run.document_path(task), run.control_path(task));
        check_size(&public_path, size)?;
        let mut control = Control::create(&control_path)?;
        loop {
            let held = control.lock()?;
            if control.is_usable()? {
                let public = Public::create(&public_path, size as u64)?;
                public.extend(size as u64)?;
                control.page.inode().store(public.inode, Relaxed);
                drop(held);
                let image = Vec::new();
                return Ok(Document { public_path, control_path, control, public, image });
            }
            // Removed since it was opened: take part in its successor.
            drop(held);
            control = Control::create(&control_path)?;
        }
    }

    /// The document of `task`; one that a script made without us is taken as it stands.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none, otherwise as [`Document::create`].
    pub fn open(run: RunId, task: &TaskName) -> Result<Document> {
        Document::attach(run.document_path(task), run.control_path(task))
    }

    fn attach(public_path: PathBuf, control_path: PathBuf) -> Result<Document> {
        let public = Public::open(&public_path)?.ok_or_else(|| missing(&public_path))?;
        let control = match Control::open(&control_path)? {
            Some(control) => control,
            None => Control::create(&control_path)?,
        };
        Ok(Document { public_path, control_path, control, public, image: Vec::new() })
    }

    /// The tasks of `run` that have a document, sorted.
    ///
    /// # Errors
    /// When shared memory can't be listed.
    pub fn list(run: RunId) -> Result<Vec<TaskName>> {
        place::names(&format!("otto-{run}-"))
    }

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
        for _ in 0..READS_MAX {
            self.refresh()?;
            let sequence = self.control.page.sequence().load(Acquire);
            let image = if sequence.is_multiple_of(2) {
                read_image(&self.public.file, 0, &mut self.image)
            } else {
                read_image(&self.control.file, offset::JOURNAL, &mut self.image)
            };
            let image = image.map_err(|error| Error::io("read", &self.public_path, error))?;
            fence(Acquire);
            if self.control.page.sequence().load(Relaxed) != sequence {
                continue;
            }
            match image {
                Image::Whole(json) if sequence.is_multiple_of(2) => return Ok(&self.image[json]),
                Image::Whole(json) if self.is_journal_of(sequence, &json) => {
                    self.finish_dead_writer(sequence, json.end);
                    return Ok(&self.image[json]);
                }
                _ if !sequence.is_multiple_of(2) => {
                    return Err(damaged_journal(&self.control_path));
                }
                _ => {
                    if let Some(json) = self.read_foreign(sequence)? {
                        return Ok(&self.image[json]);
                    }
                }
            }
        }
        // Writers are faster than we read: they pause for one read.
        let json = self.locked(|held| held.read())?;
        Ok(&self.image[json])
    }

    /// Replaces the whole document with `json`, any JSON value in UTF-8.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when that is no JSON; [`ErrorKind::Full`] and
    /// [`ErrorKind::TooLarge`], the old document stays then; [`ErrorKind::TimedOut`] when another
    /// writer keeps the lock.
    pub fn write(&mut self, json: &[u8]) -> Result<()> {
        json::scan(json::utf8(json)?.as_bytes())?;
        self.locked(|held| held.commit(json))
    }

    /// Changes the object that the document holds; no other writer's change is lost. When
    /// `change` fails nothing is written.
    ///
    /// # Errors
    /// What `change` returns; [`ErrorKind::Corrupt`] when the document holds no JSON object;
    /// otherwise as [`Document::write`].
    pub fn update<R>(&mut self, change: impl FnOnce(&mut Object) -> Result<R>) -> Result<R> {
        self.locked(|held| {
            let json = held.read()?;
            let mut object = Object::parse(&held.image[json])
                .map_err(|error| not_an_object(held.path, &error))?;
            let result = change(&mut object)?;
            held.commit(&object.to_bytes())?;
            Ok(result)
        })
    }

    /// The path any program can read the document at.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.public_path
    }

    /// Whether both files still bear their names.
    pub(super) fn is_there(&mut self) -> bool {
        matches!(self.control.is_usable(), Ok(true)) && matches!(self.public.is_current(), Ok(true))
    }

    /// Opens anew what has been removed and made anew since.
    fn refresh(&mut self) -> Result<()> {
        if !self.control.is_usable()? {
            *self = Document::attach(self.public_path.clone(), self.control_path.clone())?;
        }
        let inode = self.control.page.inode().load(Relaxed);
        if inode != self.public.inode
            && let Some(public) = Public::open(&self.public_path)?
        {
            self.public = public;
        }
        Ok(())
    }

    fn locked<R>(&mut self, work: impl FnOnce(&mut Held<'_>) -> Result<R>) -> Result<R> {
        loop {
            if !self.control.is_own() || !self.control.is_usable()? {
                *self = Document::attach(self.public_path.clone(), self.control_path.clone())?;
            }
            let guard = self.control.lock()?;
            if !self.control.is_usable()? {
                continue;
            }
            self.control.page.writer().store(process::id(), Relaxed);
            if !self.public.is_current()? {
                self.public =
                    Public::open(&self.public_path)?.ok_or_else(|| missing(&self.public_path))?;
            }
            self.control.page.inode().store(self.public.inode, Relaxed);
            let mut held = Held {
                path: &self.public_path,
                control_path: &self.control_path,
                control: &self.control,
                public: &mut self.public,
                image: &mut self.image,
            };
            let result = held.recover().and_then(|()| work(&mut held));
            drop(guard);
            return result;
        }
    }

    fn is_journal_of(&self, sequence: u64, json: &Range<usize>) -> bool {
        is_journal_of(&self.control, sequence, &self.image, json)
    }

    /// Copies the journal in `image` to the public file if its writer is dead, for the sake of
    /// those who read that file only.
    fn finish_dead_writer(&mut self, sequence: u64, end: usize) {
        let Some(_held) = self.control.try_lock() else { return };
        if self.control.page.sequence().load(Relaxed) == sequence {
            // If it fails now the next writer tries again; the reader has its document.
            let _ = finish(&self.control, &mut self.public, &self.image[..end + 4], sequence);
        }
    }

    /// What someone wrote straight into the public file: read as it stands once it holds still
    /// and is JSON. `None` when one of ours wrote meanwhile.
    fn read_foreign(&mut self, sequence: u64) -> Result<Option<Range<usize>>> {
        let path = &self.public_path;
        let found = read_foreign(&self.public, path, &mut self.image, || {
            self.control.page.sequence().load(Acquire) == sequence
        })?;
        Ok(found)
    }
}

/// A document whose lock is held.
struct Held<'a> {
    path: &'a Path,
    control_path: &'a Path,
    control: &'a Control,
    public: &'a mut Public,
    image: &'a mut Vec<u8>,
}

impl Held<'_> {
    /// Finishes what a killed writer had begun.
    fn recover(&mut self) -> Result<()> {
        let sequence = self.control.page.sequence().load(Relaxed);
        if sequence.is_multiple_of(2) {
            return Ok(());
        }
        let image = read_image(&self.control.file, offset::JOURNAL, self.image)
            .map_err(|error| Error::io("read", self.control_path, error))?;
        match image {
            Image::Whole(json) if is_journal_of(self.control, sequence, self.image, &json) => {
                finish(self.control, self.public, &self.image[..json.end + 4], sequence)
            }
            _ => Err(damaged_journal(self.control_path)),
        }
    }

    /// The public file; no writer of ours is at work.
    fn read(&mut self) -> Result<Range<usize>> {
        let image = read_image(&self.public.file, 0, self.image)
            .map_err(|error| Error::io("read", self.path, error))?;
        if let Image::Whole(json) = image {
            return Ok(json);
        }
        let found = read_foreign(self.public, self.path, self.image, || true)?;
        found.ok_or_else(|| damaged(self.path))
    }

    fn commit(&mut self, json: &[u8]) -> Result<()> {
        check_size(self.path, json.len())?;
        let crc = encode(json, self.image);
        self.public.reserve(self.image.len())?;
        let page = &self.control.page;
        let sequence = page.sequence().load(Relaxed) + 1;
        // A full memory shows in this call; what it left there is not valid until the commit.
        self.control
            .file
            .write_all_at(self.image, offset::JOURNAL)
            .map_err(|error| Error::io("write", self.control_path, error))?;
        page.journal_length().store(json.len() as u32, Relaxed);
        page.journal_crc().store(crc, Relaxed);
        page.journal_sequence().store(sequence, Relaxed);
        // The commit: from here on the journal is the document.
        page.sequence().store(sequence, Release);
        fence(Release);
        // Written, whatever happens below: the next writer would finish it from the journal.
        let _ = finish(self.control, self.public, self.image, sequence);
        Ok(())
    }
}

/// Copies a committed image to the public file and ends the commit, under the lock.
fn finish(control: &Control, public: &mut Public, image: &[u8], sequence: u64) -> Result<()> {
    public.reserve(image.len())?;
    public
        .file
        .write_all_at(image, 0)
        .map_err(|error| Error::io("write", Path::new("a document's public file"), error))?;
    control.page.sequence().store(sequence + 1, Release);
    control.page.notify().fetch_add(1, Release);
    Ok(())
}

/// Whether `image`, whole with its JSON at `json`, is what the writer of `sequence` committed.
fn is_journal_of(control: &Control, sequence: u64, image: &[u8], json: &Range<usize>) -> bool {
    let crc = image[json.end..].first_chunk().map(|crc| u32::from_le_bytes(*crc));
    control.page.journal_sequence().load(Relaxed) == sequence
        && control.page.journal_length().load(Relaxed) as usize == json.len()
        && Some(control.page.journal_crc().load(Relaxed)) == crc
}

/// See [`Document::read_foreign`]; `undisturbed` says whether no writer of ours has come between.
fn read_foreign(
    public: &Public,
    path: &Path,
    buffer: &mut Vec<u8>,
    undisturbed: impl Fn() -> bool,
) -> Result<Option<Range<usize>>> {
    let mut previous = Vec::new();
    let mut equal = 0;
    for look in 0..FOREIGN_LOOKS_MAX * STABLE_READS {
        let image =
            read_image(&public.file, 0, buffer).map_err(|error| Error::io("read", path, error))?;
        if !undisturbed() {
            return Ok(None);
        }
        match image {
            Image::Whole(json) => return Ok(Some(json)),
            Image::Unchecked(json) if json::utf8(&buffer[json.clone()]).is_ok_and(is_json) => {
                equal = if buffer[..json.end] == previous[..] { equal + 1 } else { 1 };
                if equal == STABLE_READS {
                    return Ok(Some(json));
                }
                previous.clear();
                previous.extend_from_slice(&buffer[..json.end]);
                thread::yield_now();
            }
            // Half written perhaps.
            _ if look % STABLE_READS == STABLE_READS - 1 => thread::sleep(Duration::from_millis(1)),
            _ => equal = 0,
        }
    }
    Err(damaged(path))
}

fn is_json(text: &str) -> bool {
    json::scan(text.as_bytes()).is_ok()
}

fn missing(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, format!("not found: document {}", path.display()))
}

fn damaged(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("{} holds neither a document nor JSON: write it anew or remove it", path.display()),
    )
}

fn damaged_journal(path: &Path) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("the journal {} is damaged: remove it and write the document anew", path.display()),
    )
}

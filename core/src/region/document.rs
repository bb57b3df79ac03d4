//! A document: JSON in shared memory, updated in place, whole for every reader at any moment.
//!
//! The mechanism, with every offset, is in `docs/region-format.md`. In short: a writer puts the new
//! image into the journal, makes the sequence number odd (from here on it is written, and readers
//! take the journal), copies the image to the public file and makes the number even again. Readers
//! take no lock; a writer killed at any instruction leaves the old document or the new one.

use super::commit::Held;
use super::control::Control;
use super::place;
use super::public::Public;
use super::wait::ring;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, Json};
use crate::key::TaskName;
use crate::limits::DOCUMENT_BYTES_DEFAULT;
use crate::lock::Exclusive;
use crate::object::Object;
use crate::objects::{check_size, not_an_object};
use crate::run::{Belonging, RunId};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Size of a document unless told otherwise, in bytes.
pub const SIZE_DEFAULT: usize = DOCUMENT_BYTES_DEFAULT;

/// A reader looks no more often than this whether the public file still bears its name.
const NAMES_CHECK: Duration = Duration::from_millis(1);

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
    pub(super) public_path: PathBuf,
    pub(super) control_path: PathBuf,
    belonging: Belonging,
    pub(super) control: Control,
    pub(super) public: Public,
    /// The image last read or written.
    pub(super) image: Vec<u8>,
    /// Where its JSON stands in there; nowhere at first, as in an empty document.
    pub(super) json: Range<usize>,
    names_checked: Option<Instant>,
}

impl Document {
    /// The document of `task`, made where missing, with room for `size` bytes of image (JSON and
    /// 8 more; it grows when needed). Its content stays if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] without memory; [`ErrorKind::TooLarge`] above the limit;
    /// [`ErrorKind::Corrupt`] when something else stands in its place; [`ErrorKind::NoRun`] when the
    /// run has ended.
    pub fn create(run: RunId, task: &TaskName, size: usize) -> Result<Document> {
        let (public_path, control_path) = (run.document_path(task), run.control_path(task));
        Document::create_at(public_path, control_path, Belonging::of(run), size)
    }

    fn create_at(
        public_path: PathBuf,
        control_path: PathBuf,
        belonging: Belonging,
        size: usize,
    ) -> Result<Document> {
        check_size(&public_path, size)?;
        belonging.check()?;
        let mut control = Control::create(&control_path)?;
        loop {
            let held = control.lock()?;
            if control.is_usable()? {
                let public = Public::create(&public_path, size as u64)?;
                public.extend(size as u64)?;
                control.page.inode().store(public.inode, Relaxed);
                drop(held);
                if let Err(error) = belonging.check() {
                    let _ = Document::remove_at(&public_path, &control_path);
                    return Err(error);
                }
                return Ok(Document::of(public_path, control_path, belonging, control, public));
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
        let (public_path, control_path) = (run.document_path(task), run.control_path(task));
        Document::attach(public_path, control_path, Belonging::of(run))
    }

    fn attach(
        public_path: PathBuf,
        control_path: PathBuf,
        belonging: Belonging,
    ) -> Result<Document> {
        let public = Public::open(&public_path)?.ok_or_else(|| missing(&public_path))?;
        let control = match Control::open(&control_path)? {
            Some(control) => control,
            None => Control::create(&control_path)?,
        };
        Ok(Document::of(public_path, control_path, belonging, control, public))
    }

    fn of(
        public_path: PathBuf,
        control_path: PathBuf,
        belonging: Belonging,
        mut control: Control,
        public: Public,
    ) -> Document {
        control.writable &= public.writable;
        Document {
            public_path,
            control_path,
            belonging,
            control,
            public,
            image: Vec::new(),
            json: 0..0,
            names_checked: None,
        }
    }

    /// Removes the document of `task`, whatever state it is in. Its handles notice at their next
    /// use, and its waiters at once.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; [`ErrorKind::TimedOut`] when a writer keeps the
    /// lock.
    ///
    /// ```
    /// use otto_core::{ErrorKind, TaskName, region::Document, run::{Descendants, Run}};
    /// let run = Run::create(Descendants::Left).unwrap();
    /// let task = TaskName::parse("build").unwrap();
    /// Document::create(run.id(), &task, 4096).unwrap();
    /// Document::remove(run.id(), &task).unwrap();
    /// let error = Document::open(run.id(), &task).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    pub fn remove(run: RunId, task: &TaskName) -> Result<()> {
        Document::remove_at(&run.document_path(task), &run.control_path(task))
    }

    fn remove_at(public_path: &Path, control_path: &Path) -> Result<()> {
        loop {
            // A damaged control file is no reason to keep the document, nor is a full memory.
            let control = match Control::open(control_path) {
                // Somebody may be making it.
                Ok(None) if public_path.exists() => Control::create(control_path).ok(),
                opened => opened.ok().flatten(),
            };
            let _held = control.as_ref().map(Control::exclusive).transpose()?;
            let is_usable = control.as_ref().map(Control::is_usable);
            if matches!(is_usable, Some(Ok(false))) {
                // Removed while we waited: what may be there now has a lock of its own.
                continue;
            }
            let public = Public::open(public_path).ok().flatten();
            let removed = place::remove(public_path)?;
            let removed = place::remove(control_path)? || removed;
            if let Some(public) = public {
                public.mark_removed();
            }
            if let (Some(control), Some(Ok(true))) = (&control, is_usable)
                && control.writable
            {
                ring(&control.page);
            }
            return if removed { Ok(()) } else { Err(missing(public_path)) };
        }
    }

    /// The tasks of `run` that have a document, sorted.
    ///
    /// # Errors
    /// When shared memory can't be listed.
    pub fn list(run: RunId) -> Result<Vec<TaskName>> {
        place::names(&format!("otto-{run}-"))
    }

    /// Replaces the whole document with `json`, any JSON value in UTF-8.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when that is no JSON; [`ErrorKind::Full`] and
    /// [`ErrorKind::TooLarge`], the old document stays then; [`ErrorKind::TimedOut`] when another
    /// writer keeps the lock.
    pub fn write(&mut self, json: &[u8]) -> Result<()> {
        check_size(&self.public_path, json.len())?;
        json::scan(json::utf8(json)?.as_bytes())?;
        self.put(json)
    }

    /// As [`Document::write`], with a value that has been checked already.
    ///
    /// # Errors
    /// As [`Document::write`].
    pub fn write_json(&mut self, json: &Json) -> Result<()> {
        self.put(json.as_str().as_bytes())
    }

    fn put(&mut self, json: &[u8]) -> Result<()> {
        self.json = 0..0;
        self.json = self.locked(Gone::Refused, |held| held.commit(json))?;
        Ok(())
    }

    /// As [`Document::write`] if no other writer is at work at this moment, which takes a few
    /// microseconds and never waits. False: nothing has been done.
    ///
    /// # Errors
    /// As [`Document::write`].
    ///
    /// ```
    /// use otto_core::{TaskName, region::Document, run::{Descendants, Run}};
    /// let run = Run::create(Descendants::Left).unwrap();
    /// let task = TaskName::parse("build").unwrap();
    /// let mut document = Document::create(run.id(), &task, 4096).unwrap();
    /// assert!(document.try_write(b"1").unwrap());
    /// assert_eq!(document.read().unwrap(), b"1");
    /// ```
    pub fn try_write(&mut self, json: &[u8]) -> Result<bool> {
        json::scan(json::utf8(json)?.as_bytes())?;
        self.try_put(json)
    }

    /// As [`Document::try_write`], with a value that has been checked already.
    ///
    /// # Errors
    /// As [`Document::write`].
    pub fn try_write_json(&mut self, json: &Json) -> Result<bool> {
        self.try_put(json.as_str().as_bytes())
    }

    fn try_put(&mut self, json: &[u8]) -> Result<bool> {
        self.json = 0..0;
        let found = self.locked_by(
            Gone::Refused,
            |control| Ok(control.try_lock()),
            |held| held.commit(json),
        )?;
        self.json = found.clone().unwrap_or_default();
        Ok(found.is_some())
    }

    /// Changes the object that the document holds; no other writer's change is lost. When
    /// `change` fails nothing is written.
    ///
    /// # Errors
    /// What `change` returns; [`ErrorKind::Corrupt`] when the document holds no JSON object;
    /// otherwise as [`Document::write`].
    pub fn update<R>(&mut self, change: impl FnOnce(&mut Object) -> Result<R>) -> Result<R> {
        self.change(Gone::Refused, change)
    }

    /// As [`Document::update`], on a new document if this one has been removed.
    pub(super) fn update_or_create<R>(
        &mut self,
        change: impl FnOnce(&mut Object) -> Result<R>,
    ) -> Result<R> {
        self.change(Gone::MadeAnew, change)
    }

    fn change<R>(
        &mut self,
        gone: Gone,
        change: impl FnOnce(&mut Object) -> Result<R>,
    ) -> Result<R> {
        self.json = 0..0;
        let (result, json) = self.locked(gone, |held| {
            let json = held.read()?;
            let mut object = Object::parse(&held.image[json])
                .map_err(|error| not_an_object(held.path, &error))?;
            let result = change(&mut object)?;
            Ok((result, held.commit(&object.to_bytes())?))
        })?;
        self.json = json;
        Ok(result)
    }

    /// The path any program can read the document at.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.public_path
    }

    pub(super) fn attach_anew(&mut self, gone: Gone) -> Result<()> {
        let (public_path, control_path) = (self.public_path.clone(), self.control_path.clone());
        let successor = match gone {
            Gone::Refused => Document::attach(public_path, control_path, self.belonging)?,
            Gone::MadeAnew => {
                Document::create_at(public_path, control_path, self.belonging, SIZE_DEFAULT)?
            }
        };
        let public = std::mem::replace(&mut self.public, successor.public);
        // Other handles of it may take another look only for this.
        public.mark_removed();
        self.control = successor.control;
        Ok(())
    }

    /// Opens anew what has been removed and made anew since.
    pub(super) fn refresh(&mut self) -> Result<()> {
        // The control file each time: it is about to be read through its mapping. A forked child's
        // own descriptor of it may lead nowhere.
        let mut usable = self.control.is_own() && self.control.is_usable()?;
        if !self.names_are_fresh() {
            usable = usable && self.public.has_its_name();
            self.names_checked = Some(Instant::now());
        }
        if usable { Ok(()) } else { self.attach_anew(Gone::Refused) }
    }

    pub(super) fn names_are_fresh(&self) -> bool {
        self.names_checked.is_some_and(|at| at.elapsed() < NAMES_CHECK)
    }

    fn locked<R>(
        &mut self,
        gone: Gone,
        work: impl FnOnce(&mut Held<'_>) -> Result<R>,
    ) -> Result<R> {
        let done = self.locked_by(gone, |control| control.lock().map(Some), work)?;
        done.ok_or_else(|| missing(&self.public_path))
    }

    /// `work` under the lock that `take` gets; `None` when it gets none.
    pub(super) fn locked_by<R>(
        &mut self,
        gone: Gone,
        take: impl Fn(&Control) -> Result<Option<Exclusive<'_>>>,
        work: impl FnOnce(&mut Held<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        loop {
            if !self.control.is_own() {
                self.attach_anew(gone)?;
            }
            let Some(guard) = take(&self.control)? else { return Ok(None) };
            let fresh = self.names_are_fresh();
            let is_moved = !fresh && !self.public.has_its_name();
            if is_moved || !self.control.is_usable()? || !self.public.is_current()? {
                drop(guard);
                self.attach_anew(gone)?;
                continue;
            }
            if !fresh {
                self.names_checked = Some(Instant::now());
            }
            self.control.sign();
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
            self.control.give_way();
            return result.map(Some);
        }
    }
}

/// How many writes have been committed when the sequence number is `sequence`.
pub(super) fn generation_of(sequence: u64) -> u64 {
    sequence.div_ceil(2)
}

/// What to do about a document that has been removed.
#[derive(Clone, Copy)]
pub(super) enum Gone {
    Refused,
    MadeAnew,
}

fn missing(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, format!("not found: document {}", path.display()))
}

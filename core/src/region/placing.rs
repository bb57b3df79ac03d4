//! Putting a dataset in place: one link or rename before which everything is as it was, and after
//! which the new dataset is there, whatever happens to its publisher.

use super::abandoned;
use super::current::Current;
use super::dataset::{Dataset, DatasetInfo};
use super::label::{self, Label, modified_at};
use super::place;
use super::unpublished::{LABEL_BYTES, Needed, Unpublished};
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::TaskName;
use crate::lock::{self, Holder};
use crate::run::{self, RunId, SHARED_MEMORY};
use rustix::fs::{Mode, fchmod};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Publishes the file as it is as the dataset `name`: `size` bytes from `offset` on.
pub(super) fn put_in_place(
    run: RunId,
    name: &TaskName,
    unpublished: &mut Unpublished,
    offset: u64,
    size: u64,
    about: &Json,
) -> Result<DatasetInfo> {
    unpublished.check_own(name)?;
    let placing = Placing { run, name, unpublished };
    let on_disk = unpublished.on_disk.is_some();
    let info = DatasetInfo { size, offset, generation: 1, about: about.clone(), on_disk };
    let info = placing.publish(info)?;
    unpublished.release();
    if let Err(error) = unpublished.belonging.check() {
        let _ = Dataset::remove(run, name);
        // With it what was made for it on disk.
        let _ = fs::remove_dir(run::spilled(run));
        return Err(error);
    }
    abandoned::sweep(run, name);
    Ok(info)
}

struct Placing<'a> {
    run: RunId,
    name: &'a TaskName,
    unpublished: &'a Unpublished,
}

impl Placing<'_> {
    fn publish(&self, mut info: DatasetInfo) -> Result<DatasetInfo> {
        let path = self.run.dataset_path(self.name);
        // Nobody is to change it any more, by a stray `> file` least of all.
        fchmod(&*self.unpublished.file, Mode::RUSR)
            .map_err(|error| Error::io("seal", &path, error.into()))?;
        loop {
            match Current::open(self.run, self.name) {
                Ok(None) => {
                    let label = self.label(&info)?;
                    if self.link(&path)? {
                        label.release();
                        return Ok(info);
                    }
                }
                Ok(Some(current)) => {
                    // One publisher at a time replaces a given predecessor.
                    let nobody = || Holder { process: None, progress: 0 };
                    let file = place::lockable(&current.file, &path)?;
                    let _held = lock::exclusive(&file, &path, nobody)?;
                    if !current.is_current() {
                        continue;
                    }
                    info.generation = current.generation().saturating_add(1);
                    let label = self.label(&info)?;
                    self.replace(&path)?;
                    label.release();
                    current.discard();
                    return Ok(info);
                }
                // A link to nothing: there is nothing to lock, and nothing to lose.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    info.generation = 1;
                    let label = self.label(&info)?;
                    self.replace(&path)?;
                    label.release();
                    return Ok(info);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What is known about the file goes beside it before it has a name; without one, nobody asks.
    fn label(&self, info: &DatasetInfo) -> Result<Label> {
        let on_disk = self.unpublished.on_disk.as_deref().and_then(Path::parent);
        let folder = on_disk.unwrap_or(Path::new(SHARED_MEMORY));
        let found = place::status(&self.unpublished.file, folder)?;
        let path = label::path_of(folder, self.run, self.name, &found);
        Label::write(path, info, modified_at(&found)).map_err(|error| match error.io_source() {
            Some(source) if error.kind() == ErrorKind::Full => self.unpublished.failed(
                Needed::Exactly(info.offset + info.size + LABEL_BYTES),
                source.kind().into(),
            ),
            _ => error,
        })
    }

    /// Gives the file the name `path`, or a link to it; false when that name is taken.
    fn link(&self, path: &Path) -> Result<bool> {
        let Some(target) = &self.unpublished.on_disk else {
            return place::name(&self.unpublished.file, path);
        };
        match symlink(target, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io("create", path, error)),
        }
    }

    /// Puts the file in the place of what has the name `path` now.
    fn replace(&self, path: &Path) -> Result<()> {
        let random = RandomState::new().hash_one(0);
        let name = format!("{}{random:016x}", label::prefix(self.run, self.name));
        let temporary = path.with_file_name(name);
        if !self.link(&temporary)? {
            let taken = io::ErrorKind::AlreadyExists.into();
            return Err(Error::io("create", &temporary, taken));
        }
        fs::rename(&temporary, path).map_err(|error| {
            let _ = fs::remove_file(&temporary);
            Error::io("publish", path, error)
        })
    }
}

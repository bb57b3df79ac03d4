//! The file that a dataset's name leads to now: in memory, or through a link on disk.

use super::dataset::DatasetInfo;
use super::{label, place};
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::TaskName;
use crate::run::{self, RunId, SHARED_MEMORY};
use nix::libc::ELOOP;
use nix::unistd::geteuid;
use rustix::fs::Stat;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A dataset's data file, open for reading.
pub(super) struct Current {
    pub(super) file: File,
    pub(super) status: Stat,
    /// Where it lies, if that is on disk.
    pub(super) on_disk: Option<PathBuf>,
    run: RunId,
    name: TaskName,
}

impl Current {
    /// Opens what has the name `name`; `None` when nothing has.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it is not a plain file of ours, or a link to one in our folder;
    /// [`ErrorKind::Corrupt`] for a link to nothing.
    pub(super) fn open(run: RunId, name: &TaskName) -> Result<Option<Current>> {
        let path = run.dataset_path(name);
        let of = |(file, status), on_disk| {
            Some(Current { file, status, on_disk, run, name: name.clone() })
        };
        loop {
            match place::open(&path, false) {
                Err(error) if is_link(&error) => {}
                opened => return Ok(opened?.and_then(|opened| of(opened, None))),
            }
            let Some(target) = target(run, name)? else { continue };
            if let Some(opened) = place::open(&target, false)? {
                return Ok(of(opened, Some(target)));
            }
            if fs::read_link(&path).is_ok_and(|now| now == target) {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "{} leads to {}, which is gone: publish the dataset anew",
                        path.display(),
                        target.display()
                    ),
                ));
            }
        }
    }

    /// What is known about it; `None` when it has been replaced or removed since it was opened.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when its label is damaged or it was changed after it was published.
    pub(super) fn info(&self) -> Result<Option<DatasetInfo>> {
        let path = self.run.dataset_path(&self.name);
        let on_disk = self.on_disk.is_some();
        if let Some(info) = label::read(&self.label_path(), &path, &self.status)? {
            return Ok(Some(DatasetInfo { on_disk, ..info }));
        }
        // The label is there before the data has its name, and stays until that leads elsewhere.
        let now = place::status(&self.file, &path)?;
        if now.st_nlink == 0 || !self.is_current() {
            return Ok(None);
        }
        let size = now.st_size as u64;
        Ok(Some(DatasetInfo { size, offset: 0, generation: 0, about: Json::null(), on_disk }))
    }

    /// The generation its label tells, if it tells any, whatever has become of it; else 0.
    pub(super) fn generation(&self) -> u64 {
        label::generation(&self.label_path())
    }

    /// Whether the name still leads to it.
    pub(super) fn is_current(&self) -> bool {
        identity(self.run, &self.name) == Some((self.status.st_dev, self.status.st_ino))
    }

    pub(super) fn label_path(&self) -> PathBuf {
        let folder = self.on_disk.as_deref().and_then(Path::parent);
        let folder = folder.unwrap_or(Path::new(SHARED_MEMORY));
        label::path_of(folder, self.run, &self.name, &self.status)
    }

    /// Removes what belongs to it besides its name, which is gone: the file first, so that a
    /// reader who misses the label sees why.
    pub(super) fn discard(&self) {
        if let Some(path) = &self.on_disk {
            let _ = fs::remove_file(path);
        }
        let _ = fs::remove_file(self.label_path());
    }
}

/// Device and inode of the file that `name` leads to.
pub(super) fn identity(run: RunId, name: &TaskName) -> Option<(u64, u64)> {
    let path = run.dataset_path(name);
    let mut found = fs::symlink_metadata(&path).ok()?;
    if found.is_symlink() {
        found = fs::symlink_metadata(target(run, name).ok()??).ok()?;
    }
    Some((found.dev(), found.ino()))
}

/// Where the link of that name leads: into our folder of this run, or it is none of ours. `None`
/// when there is no link (any more).
fn target(run: RunId, name: &TaskName) -> Result<Option<PathBuf>> {
    let path = run.dataset_path(name);
    let (Ok(found), Ok(target)) = (fs::symlink_metadata(&path), fs::read_link(&path)) else {
        return Ok(None);
    };
    let prefix = format!("{name}.");
    let is_named = target
        .file_name()
        .is_some_and(|name| name.to_str().is_some_and(|name| name.starts_with(&prefix)));
    let is_ours = found.uid() == geteuid().as_raw();
    if is_ours && is_named && target.parent() == Some(&run::spilled(run)) {
        run::find_spilled(run)?;
        return Ok(Some(target));
    }
    Err(Error::new(
        ErrorKind::Io,
        format!("{} is a link that Otto did not make: remove it", path.display()),
    ))
}

fn is_link(error: &Error) -> bool {
    error.io_source().and_then(std::io::Error::raw_os_error) == Some(ELOOP)
}

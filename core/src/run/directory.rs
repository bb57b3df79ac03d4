//! The private folder of a run, and the per-user folder above it.

use super::RunId;
use crate::error::{Error, ErrorKind, Result};
use nix::unistd::{Uid, geteuid};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The folder of all runs of this user: `otto` in `runtime`, which is `$XDG_RUNTIME_DIR`, when that
/// folder is ours alone, else `/tmp/otto-<uid>`. Created 0700 where it is missing, refused where it is
/// not ours.
pub(super) fn of_user(runtime: Option<&Path>) -> Result<PathBuf> {
    let uid = geteuid();
    let path = match runtime.filter(|path| path.is_absolute() && private(path, uid).is_ok()) {
        Some(runtime) => runtime.join("otto"),
        None => PathBuf::from(format!("/tmp/otto-{uid}")),
    };
    create(&path)?;
    private(&path, uid)?;
    Ok(path)
}

/// Where the folder of `run` belongs; the per-user folder above it is there afterwards.
pub(super) fn of_run(run: RunId, runtime: Option<&Path>) -> Result<PathBuf> {
    Ok(of_user(runtime)?.join(run.to_string()))
}

/// Where streams outside all runs lie. A run's folder beside it is named by a number, and clean-up
/// removes nothing else.
pub(super) fn of_streams(runtime: Option<&Path>) -> Result<PathBuf> {
    let path = of_user(runtime)?.join("streams");
    create(&path)?;
    private(&path, geteuid())?;
    Ok(path)
}

/// Where datasets of `run` lie that memory had no room for: the same whatever the environment, so
/// that every reader and cleaner looks there. On a disk, and kept by the system as long as needed.
pub(crate) fn spilled(run: RunId) -> PathBuf {
    PathBuf::from(format!("/var/tmp/otto-{}/{run}", geteuid()))
}

/// [`spilled`], if that folder and the one above it are there, ours, and closed to others.
pub(crate) fn find_spilled(run: RunId) -> Result<Option<PathBuf>> {
    let (path, uid) = (spilled(run), geteuid());
    for folder in [path.parent().unwrap_or(&path), &path] {
        match fs::symlink_metadata(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            _ => private(folder, uid)?,
        }
    }
    Ok(Some(path))
}

/// [`spilled`], made where it is missing.
pub(crate) fn make_spilled(run: RunId) -> Result<PathBuf> {
    let path = spilled(run);
    if let Some(user) = path.parent() {
        create(user)?;
        private(user, geteuid())?;
    }
    create(&path)?;
    private(&path, geteuid())?;
    Ok(path)
}

/// Makes the folder of a run anew: what stands in its place is no longer anybody's.
pub(super) fn make(path: &Path) -> Result<()> {
    match create_new(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io("create", path, error)),
    }
    fs::remove_dir_all(path).map_err(|error| Error::io("clear", path, error))?;
    create(path)
}

fn create(path: &Path) -> Result<()> {
    match create_new(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create", path, error))
        }
        _ => Ok(()),
    }
}

/// Makes a folder of mode 0700; a umask can narrow that further, down to nothing.
fn create_new(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Checks that `path` is a real folder, ours, and closed to everybody else.
pub(super) fn private(path: &Path, uid: Uid) -> Result<()> {
    let found = fs::symlink_metadata(path).map_err(|error| Error::io("look at", path, error))?;
    if found.is_dir() && found.uid() == uid.as_raw() && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Io,
        format!(
            "{} must be a folder of yours with mode 0700: remove it or mend it",
            path.display()
        ),
    ))
}

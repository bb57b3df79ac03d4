//! Opening and creating the files of a region: private, ours, never half made.

use super::room;
use crate::error::{Error, ErrorKind, Result};
use crate::fork::{Unforked, Unshared};
use crate::key::TaskName;
use crate::run::SHARED_MEMORY;
use nix::libc::{O_NOFOLLOW, O_NONBLOCK, O_TMPFILE};
use nix::unistd::geteuid;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Stat, fchmod, fstat, linkat};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Opens the file `path` if it exists and looks at it.
///
/// # Errors
/// [`ErrorKind::Io`] when it is not a plain file of this user with one name.
pub(super) fn open(path: &Path, writable: bool) -> Result<Option<(File, Stat)>> {
    let opened = OpenOptions::new()
        .read(true)
        .write(writable)
        // Non-blocking, or a FIFO in the file's place would hold us up.
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path, error)),
    };
    let found = status(&file, path)?;
    if !FileType::from_raw_mode(found.st_mode).is_file()
        || found.st_uid != geteuid().as_raw()
        || found.st_nlink > 1
    {
        return Err(Error::new(
            ErrorKind::Io,
            format!("{} is not a plain file of yours with one name: remove it", path.display()),
        ));
    }
    // A script that created it went by its umask; what is shared here is nobody else's.
    if found.st_mode & 0o077 != 0 {
        fchmod(&file, Mode::RUSR | Mode::WUSR)
            .map_err(|error| Error::io("make private", path, error.into()))?;
    }
    Ok(Some((file, found)))
}

/// [`open`] for reading, to lock the file.
pub(super) fn open_to_lock(path: &Path) -> Result<Option<Unshared>> {
    let unforked = Unforked::begin();
    Ok(open(path, false)?.map(|(file, _)| Unshared::new(file, &unforked)))
}

/// The file once more, to lock it: forked children may share `file` itself, and its locks.
pub(super) fn lockable(file: &File, path: &Path) -> Result<Unshared> {
    let unforked = Unforked::begin();
    let again = open_again(file, false).map_err(|error| Error::io("lock", path, error))?;
    Ok(Unshared::new(again, &unforked))
}

/// [`open`] for writing, or only for reading where no more is allowed; which of the two it is.
pub(super) fn open_widely(path: &Path) -> Result<Option<(File, Stat, bool)>> {
    let writable = match open(path, true) {
        Err(error) if is_refused(&error) => false,
        opened => return Ok(opened?.map(|(file, found)| (file, found, true))),
    };
    Ok(open(path, writable)?.map(|(file, found)| (file, found, writable)))
}

/// Whether it is not for us to write: another mode, or a file system mounted for reading.
fn is_refused(error: &Error) -> bool {
    let kind = error.io_source().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem))
}

pub(super) fn status(file: &File, path: &Path) -> Result<Stat> {
    fstat(file).map_err(|error| Error::io("look at", path, error.into()))
}

/// A new file without a name in the folder of `path`: gone with its last descriptor.
pub(super) fn nameless(path: &Path) -> Result<File> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    OpenOptions::new()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(O_TMPFILE)
        .open(folder)
        .map_err(|error| room::not_made(path, error))
}

/// The file once more, under another file description.
pub(super) fn open_again(file: &File, writable: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(writable).open(by_descriptor(file))
}

fn by_descriptor(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Gives a nameless file the name `path`; false when that name is taken.
pub(super) fn name(file: &File, path: &Path) -> Result<bool> {
    let nameless = by_descriptor(file);
    match linkat(CWD, nameless.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        Err(error) => Err(room::not_made(path, error.into())),
    }
}

/// Removes the name `path`; whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", path, error)),
    }
}

/// The names behind `prefix` in shared memory that are task names, sorted; not those of other users.
pub(super) fn names(prefix: &str) -> Result<Vec<TaskName>> {
    let folder = Path::new(SHARED_MEMORY);
    let entries = fs::read_dir(folder).map_err(|error| Error::io("list", folder, error))?;
    let names = entries.flatten().filter_map(|entry| {
        let name = TaskName::parse(entry.file_name().to_str()?.strip_prefix(prefix)?).ok()?;
        entry.metadata().is_ok_and(|found| found.uid() == geteuid().as_raw()).then_some(name)
    });
    let mut names: Vec<TaskName> = names.collect();
    names.sort_unstable();
    Ok(names)
}

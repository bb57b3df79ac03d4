//! Reading a file of values, and replacing it so that it is never half there.

use crate::error::{Error, ErrorKind, Result};
use crate::fork::{Unforked, Unshared};
use crate::json::Json;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::lock::{self, Holder};
use crate::object::Object;
use crate::objects::{check_size, not_an_object};
use nix::libc::{ELOOP, O_NOFOLLOW, O_NONBLOCK};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

/// The object in the file `path`, following links; empty when there is no such file.
///
/// # Errors
/// [`ErrorKind::Corrupt`] when the file holds something else, [`ErrorKind::TooLarge`] above
/// [`DOCUMENT_BYTES_MAX`].
pub fn read(path: &Path) -> Result<Object> {
    let bytes = contents(path, Links::Followed)?;
    Object::parse(&bytes).map_err(|error| not_an_object(path, &error))
}

/// The value of `name` in the file `path`.
pub(super) fn find(path: &Path, name: &str) -> Result<Option<Json>> {
    let bytes = contents(path, Links::Followed)?;
    Object::find(&bytes, name).map_err(|error| not_an_object(path, &error))
}

/// Changes the object in the file `path`, which is created where missing (0600), so that no other
/// writer's change is lost. When `change` or the writing fails the file stays as it was.
///
/// ```
/// use otto_core::{Json, files};
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("output.build.json");
/// files::update(&path, |object| Ok(object.set("n", Json::number(1)))).unwrap();
/// assert_eq!(files::read(&path).unwrap().get("n"), Some(&Json::number(1)));
/// ```
///
/// # Errors
/// What `change` returns; [`ErrorKind::Full`] on a full disk; [`ErrorKind::Corrupt`] when the file
/// holds no JSON object; [`ErrorKind::TimedOut`] when another writer keeps the lock; otherwise
/// [`ErrorKind::Io`], also when `path` is a symbolic link.
pub fn update<R>(path: &Path, change: impl FnOnce(&mut Object) -> Result<R>) -> Result<R> {
    let names = Names::of(path)?;
    loop {
        let lock = open_lock(&names, path)?;
        let _held = lock::exclusive(&lock, &names.lock, || holder(&lock))?;
        let status = lock.metadata().map_err(|error| Error::io("look at", &names.lock, error))?;
        if status.nlink() == 0 {
            // Tidied away meanwhile; the next writers lock a new one.
            continue;
        }
        if status.len() > 0 {
            // A writer that finishes empties the lock file: this one was killed.
            remove_leftovers(&names);
        }
        let bytes = contents(path, Links::Refused)?;
        let mut object = Object::parse(&bytes).map_err(|error| not_an_object(path, &error))?;
        let result = change(&mut object)?;
        let mut bytes = object.to_bytes();
        bytes.push(b'\n');
        check_size(path, bytes.len())?;
        replace(&names, path, &lock, &bytes).map_err(|error| Error::io("write", path, error))?;
        return Ok(result);
    }
}

/// Puts a file of `bytes` (0600) in the place of `path`, or of what that links to. Whatever happens
/// meanwhile, the old file or the new one is there, whole. Nobody else's change is looked for.
///
/// ```
/// use otto_core::files;
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("state.json");
/// files::write(&path, b"{}\n").unwrap();
/// assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
/// ```
///
/// # Errors
/// [`ErrorKind::Full`] on a full disk, otherwise [`ErrorKind::Io`]; the file stays as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // A device of that name must not become a file.
    if fs::symlink_metadata(&target).is_ok_and(|found| !found.is_file()) {
        return Err(no_plain_file(path));
    }
    let temporary = Names::of(&target)?.new_temporary();
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, &target));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|error| Error::io("write", path, error))
}

/// The names around one file: all in its folder, since a rename does not cross file systems.
struct Names {
    folder: PathBuf,
    lock: PathBuf,
    /// What every temporary's name begins with.
    temporary: String,
}

const TEMPORARY_END: &str = ".tmp";

impl Names {
    fn of(path: &Path) -> Result<Names> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
        else {
            return Err(Error::usage(format!("{} can't name a file of values", path.display())));
        };
        let stem = name.strip_suffix(".json").unwrap_or(name);
        Ok(Names {
            folder: if folder.as_os_str().is_empty() { ".".into() } else { folder.to_owned() },
            lock: folder.join(format!(".{stem}.lock")),
            temporary: format!(".{name}."),
        })
    }

    /// A name nobody can have put something under beforehand.
    fn new_temporary(&self) -> PathBuf {
        let random = RandomState::new().hash_one(process::id());
        self.folder.join(format!("{}{random:016x}{TEMPORARY_END}", self.temporary))
    }
}

fn open_lock(names: &Names, path: &Path) -> Result<Unshared> {
    let unforked = Unforked::begin();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(&names.lock)
        .map(|lock| Unshared::new(lock, &unforked))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(
                ErrorKind::NoRun,
                format!("can't write {}: no folder {}", path.display(), names.folder.display()),
            ),
            _ => Error::io("write", path, error),
        })
}

/// Who holds `lock`: a writer leaves its number there while it replaces the file.
fn holder(lock: &File) -> Holder {
    let mut text = [0; 16];
    let size = lock.read_at(&mut text, 0).unwrap_or(0);
    let process = std::str::from_utf8(&text[..size]).ok().and_then(|text| text.trim().parse().ok());
    let changed =
        lock.metadata().map_or(0, |found| found.mtime() * 1_000_000_000 + found.mtime_nsec());
    Holder { process, progress: changed.cast_unsigned() }
}

/// Puts a file of `bytes` in the place of `path`. The lock file is not empty meanwhile.
fn replace(names: &Names, path: &Path, lock: &File, bytes: &[u8]) -> io::Result<()> {
    let temporary = names.new_temporary();
    let written = lock
        .write_all_at(format!("{}\n", process::id()).as_bytes(), 0)
        .and_then(|()| write_new(&temporary, bytes))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    // If this fails the next writer looks for leftovers in vain, that is all.
    let _ = lock.set_len(0);
    written
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    // Some systems report a full disk or a quota only here; and see the module's words on power.
    file.sync_data()
}

/// Only the holder of the lock writes temporaries, so under the lock all of them are leftovers.
fn remove_leftovers(names: &Names) {
    let Ok(entries) = fs::read_dir(&names.folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(&names.temporary));
        if rest.is_some_and(|rest| rest.ends_with(TEMPORARY_END)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn no_plain_file(path: &Path) -> Error {
    Error::new(ErrorKind::Io, format!("{} is no plain file", path.display()))
}

#[derive(Clone, Copy, PartialEq)]
enum Links {
    Followed,
    Refused,
}

/// The bytes of the file `path`; none when there is no such file.
fn contents(path: &Path, links: Links) -> Result<Vec<u8>> {
    let refuse = if links == Links::Refused { O_NOFOLLOW } else { 0 };
    // Non-blocking, or a FIFO in the file's place would hold us up.
    let opened = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | refuse).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.raw_os_error() == Some(ELOOP) && links == Links::Refused => {
            return Err(Error::new(
                ErrorKind::Io,
                format!("won't write {}: it is a symbolic link, remove it", path.display()),
            ));
        }
        Err(error) => return Err(Error::io("read", path, error)),
    };
    let unreadable = |error| Error::io("read", path, error);
    let status = file.metadata().map_err(unreadable)?;
    if !status.is_file() {
        return Err(no_plain_file(path));
    }
    let limit = DOCUMENT_BYTES_MAX as u64;
    let too_large = || {
        Error::new(
            ErrorKind::TooLarge,
            format!("{} is above the limit of {limit} bytes for a file of values", path.display()),
        )
    };
    if status.len() > limit {
        return Err(too_large());
    }
    // One more than it should need, so that the end of the file is seen without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(status.len()).unwrap_or(0) + 1);
    // A writer of someone else's kind may be appending to it.
    (&mut file).take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

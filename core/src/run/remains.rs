//! What a dead run leaves behind, and its removal.
//!
//! A run is dead when its lock file exists and its `flock` is free. A name without a lock file is
//! of unknown state, which is not dead: it stays.

use super::ownership::{Descendants, still_there};
use super::{RunId, SHARED_MEMORY, directory, ending, processes};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::{Unforked, Unshared};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::geteuid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the lock file tells a later process about its run.
pub(super) struct Record {
    pub(super) dir: Option<PathBuf>,
    pub(super) descendants: Descendants,
}

/// More than two lines of any length a path can have, and a note of the end.
pub(super) const RECORD_BYTES_MAX: u64 = 8192;

impl Record {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = match self.descendants {
            Descendants::Swept => b"swept\n".to_vec(),
            Descendants::Left => b"left\n".to_vec(),
        };
        if let Some(dir) = &self.dir {
            out.extend_from_slice(dir.as_os_str().as_bytes());
            out.push(b'\n');
        }
        out
    }

    fn parse(bytes: &[u8]) -> Record {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let descendants = match lines.next() {
            Some(b"swept") => Descendants::Swept,
            _ => Descendants::Left,
        };
        let dir = lines.next().filter(|line| !line.is_empty());
        let dir = dir.map(|line| PathBuf::from(std::ffi::OsString::from_vec(line.to_vec())));
        Record { dir, descendants }
    }
}

pub(super) fn read_record(lock: &File) -> Result<Record> {
    let mut bytes = Vec::new();
    let mut reader = lock;
    io::Seek::rewind(&mut reader)
        .and_then(|()| reader.take(RECORD_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| Error::io("read", Path::new("the run's lock file"), error))?;
    Ok(Record::parse(&bytes))
}

/// Refuses a lock file that is not a plain file of ours.
pub(super) fn check_owner(file: &File, path: &Path) -> Result<()> {
    let found = file.metadata().map_err(|error| Error::io("look at", path, error))?;
    if found.is_file() && found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Io,
        format!("{} is not a private file of yours: remove it", path.display()),
    ))
}

/// Removes every dead run of this user and returns their numbers. Safe to run at any time beside
/// any number of live runs and other cleaners: each run is decided under its own lock.
///
/// # Errors
/// When shared memory can't be listed; a run that resists is skipped, the next start tries again.
pub fn clean_dead_runs() -> Result<Vec<RunId>> {
    let folder = Path::new(SHARED_MEMORY);
    let entries = fs::read_dir(folder).map_err(|error| Error::io("list", folder, error))?;
    let mut cleaned = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(run) = name.to_str().and_then(run_of_lock) else { continue };
        if matches!(clean_if_dead(run), Ok(true)) {
            cleaned.push(run);
        }
    }
    Ok(cleaned)
}

/// The run whose lock file has this name.
pub(super) fn run_of_lock(name: &str) -> Option<RunId> {
    RunId::parse(name.strip_prefix(".otto-")?.strip_suffix(".lock")?).ok()
}

fn clean_if_dead(run: RunId) -> Result<bool> {
    let path = run.lock_path();
    let unforked = Unforked::begin();
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        // Anybody may have made a FIFO of that name.
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(&path)
        .map(|lock| Unshared::new(lock, &unforked))
        .map_err(|error| Error::io("open", &path, error))?;
    drop(unforked);
    check_owner(&lock, &path)?;
    if lock.try_lock().is_err() || !still_there(&lock, &path) {
        return Ok(false);
    }
    let record = read_record(&lock)?;
    ending::note(&lock).map_err(|error| Error::io("write", &path, error))?;
    remove(run, &record)?;
    fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
    Ok(true)
}

/// Removes what belongs to `run`, whose lock the caller holds; the lock file itself stays.
pub(super) fn remove(run: RunId, record: &Record) -> Result<()> {
    if record.descendants == Descendants::Swept {
        processes::sweep(run);
    }
    remove_socket_link(run, record.dir.as_deref());
    remove_regions(run)?;
    // Where that folder is not ours nothing of ours is in it.
    if let Ok(Some(dir)) = directory::find_spilled(run) {
        remove_folder(&dir)?;
    }
    if let Some(dir) = record.dir.as_deref().filter(|dir| is_folder_of(run, dir)) {
        remove_folder(dir)?;
    }
    Ok(())
}

fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Whether `dir` is what `directory` would have made for `run`: nothing else is ever removed.
fn is_folder_of(run: RunId, dir: &Path) -> bool {
    let user = format!("otto-{}", geteuid());
    let parent = dir.parent().and_then(Path::file_name);
    dir.is_absolute()
        && dir.parent().is_some_and(|parent| directory::private(parent, geteuid()).is_ok())
        && dir.file_name().is_some_and(|name| name == run.to_string().as_str())
        && parent.is_some_and(|name| name == "otto" || name == user.as_str())
        && fs::symlink_metadata(dir)
            .is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw())
}

fn remove_socket_link(run: RunId, dir: Option<&Path>) {
    let link = run.socket_link();
    let Some(dir) = dir else { return };
    if fs::read_link(&link).is_ok_and(|target| target.starts_with(dir)) {
        let _ = fs::remove_file(&link);
    }
}

fn remove_regions(run: RunId) -> Result<()> {
    let folder = Path::new(SHARED_MEMORY);
    let lock = run.lock_path();
    let prefixes = ["otto-", ".otto-"].map(|start| format!("{start}{run}"));
    let entries = fs::read_dir(folder).map_err(|error| Error::io("list", folder, error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let belongs = prefixes.iter().any(|prefix| {
            let rest = name.as_bytes().strip_prefix(prefix.as_bytes());
            rest.is_some_and(|rest| matches!(rest.first(), Some(b'-' | b'.')))
        });
        let path = entry.path();
        if belongs && path != lock && entry.metadata().is_ok_and(|m| m.uid() == geteuid().as_raw())
        {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

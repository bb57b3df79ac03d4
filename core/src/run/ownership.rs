//! Owning a run: a `flock` held from its creation to the end of the process.

use super::{Environment, RunId, directory, ending, remains};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::{Unforked, Unshared};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

/// What happens to processes of a run that outlive its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descendants {
    /// They are ended (`otto-run`: its tasks are its own).
    Swept,
    /// They are left alone (`otto-serve -- command`: a build may leave a daemon on purpose).
    Left,
}

/// What is known about the process a run belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// It holds the run's lock.
    Alive,
    /// The run's lock is there, and free: the next start cleans up.
    Dead,
    /// There is no lock of ours to tell by, as where somebody set `OTTO_RUN_ID` by hand: such a run
    /// is never cleaned up.
    Unknown,
}

/// Looks whether the owner of `run` lives.
///
/// ```
/// use otto_core::run::{Descendants, Owner, Run, RunId, owner_of};
/// let run = Run::create(Descendants::Left).unwrap();
/// assert_eq!(owner_of(run.id()), Owner::Alive);
/// assert_eq!(owner_of(RunId(u64::MAX)), Owner::Unknown);
/// ```
#[must_use]
pub fn owner_of(run: RunId) -> Owner {
    let path = run.lock_path();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK);
    // A child forked while it is locked here would keep that lock.
    let _unforked = Unforked::begin();
    let Ok(lock) = options.open(&path) else { return Owner::Unknown };
    if remains::check_owner(&lock, &path).is_err() {
        return Owner::Unknown;
    }
    match lock.try_lock_shared() {
        Ok(()) => Owner::Dead,
        Err(TryLockError::WouldBlock) => Owner::Alive,
        Err(TryLockError::Error(_)) => Owner::Unknown,
    }
}

/// A run owned by this process. Dropping it removes every trace: folder, documents, datasets, link.
///
/// ```
/// use otto_core::run::{Descendants, Run};
/// let run = Run::create(Descendants::Left).unwrap();
/// assert!(run.dir().is_dir());
/// let dir = run.dir().to_owned();
/// drop(run);
/// assert!(!dir.exists());
/// ```
#[derive(Debug)]
pub struct Run {
    id: RunId,
    dir: PathBuf,
    /// Held: the kernel frees it whatever end this process takes, also while
    /// children live that it forked.
    lock: Unshared,
    owner: u32,
}

impl Run {
    /// Makes this process the owner of the run that bears its process ID.
    ///
    /// # Errors
    /// When this process owns a run already, or the system refuses a folder or the lock.
    pub fn create(descendants: Descendants) -> Result<Run> {
        Run::create_in(&Environment::from_process(), descendants)
    }

    /// As [`Run::create`], for whoever can't let the environment be read here.
    ///
    /// ```
    /// use otto_core::run::{Descendants, Environment, Run};
    /// # use std::os::unix::fs::PermissionsExt;
    /// let folder = tempfile::tempdir().unwrap();
    /// # std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    /// let runtime_dir = Some(folder.path().to_owned());
    /// let environment = Environment { runtime_dir, ..Environment::default() };
    /// let run = Run::create_in(&environment, Descendants::Left).unwrap();
    /// assert!(run.dir().starts_with(folder.path()));
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn create_in(environment: &Environment, descendants: Descendants) -> Result<Run> {
        let owner = process::id();
        let id = RunId(u64::from(owner));
        let lock = take_lock(id)?;
        // A dead run may have borne the same number.
        remains::remove(id, &remains::read_record(&lock)?)?;
        // Recorded before it is there: a death in between leaves nothing that nobody knows of.
        let dir = directory::of_run(id, environment.runtime_dir.as_deref())?;
        let record = remains::Record { dir: Some(dir.clone()), descendants };
        write_record(&lock, &record).map_err(|error| Error::io("write", &id.lock_path(), error))?;
        directory::make(&dir)?;
        Ok(Run { id, dir, lock, owner })
    }

    /// The run's number.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.id
    }

    /// The run's private folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the server's socket belongs.
    #[must_use]
    pub fn socket_path(&self) -> PathBuf {
        self.dir.join("otto.sock")
    }

    /// Where the FIFO belongs from which the server reads the progress of shells.
    #[must_use]
    pub fn progress_path(&self) -> PathBuf {
        self.dir.join("progress")
    }

    /// Notes that the server listens at `socket`, for those who look for it in the run's folder.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_socket(&self, socket: &Path) -> Result<()> {
        let place = self.socket_path();
        if socket == place {
            return Ok(());
        }
        std::os::unix::fs::symlink(socket, &place)
            .map_err(|error| Error::io("create", &place, error))
    }

    /// Links `/tmp/otto-<run>.sock` to the socket for those who look there. Whatever stands in
    /// that place already is left alone, since anybody can write there.
    pub fn link_socket(&self) {
        let _ = std::os::unix::fs::symlink(self.socket_path(), self.id.socket_link());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A forked child holds a copy of this value, not the run.
        if self.owner == process::id() {
            let record =
                remains::Record { dir: Some(self.dir.clone()), descendants: Descendants::Left };
            let _ = ending::note(&self.lock);
            // What resists stays known by its lock file, and the next start tries again.
            if remains::remove(self.id, &record).is_ok() {
                let _ = fs::remove_file(self.id.lock_path());
            }
        }
    }
}

/// Takes the lock of `id`, which bears our own process ID: whoever holds it now is cleaning up a
/// dead run of that number and soon done, or a child that a previous owner forked.
fn take_lock(id: RunId) -> Result<Unshared> {
    let path = id.lock_path();
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let file = open_lock(&path).map_err(|error| Error::io("open", &path, error))?;
        remains::check_owner(&file, &path)?;
        match file.try_lock() {
            Ok(()) if still_there(&file, &path) => {
                // Whatever the umask made of it: a later cleaner has to open it.
                let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
                return Ok(file);
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Io,
                    format!("run {id} has a live owner already (it holds {})", path.display()),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
    }
}

fn open_lock(path: &Path) -> io::Result<Unshared> {
    let unforked = Unforked::begin();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.mode(0o600).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    Ok(Unshared::new(file, &unforked))
}

/// Whether `path` still leads to the file that was locked, not to a newer one or nowhere.
pub(crate) fn still_there(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(found)) => held.ino() == found.ino() && held.dev() == found.dev(),
        _ => false,
    }
}

fn write_record(mut lock: &File, record: &remains::Record) -> io::Result<()> {
    lock.set_len(0)?;
    io::Seek::rewind(&mut lock)?;
    lock.write_all(&record.to_bytes())
}

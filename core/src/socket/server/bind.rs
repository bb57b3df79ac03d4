//! Putting a socket in its place: never with a wrong mode, never hindered by a stale one.

use super::super::address;
use crate::error::{Error, ErrorKind, Result};
use crate::fork::{Unforked, Unshared};
use nix::fcntl::OFlag;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{Mode, fchmod};
use std::fs::{self, File, Permissions, TryLockError};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The place of a listening socket; dropping it removes the path.
#[derive(Debug)]
pub struct Bound {
    path: PathBuf,
    /// The socket file's device and inode: only our own is removed.
    inode: Option<(u64, u64)>,
    /// Held until after the path is gone, never read.
    _lock: Unshared,
    owner: u32,
}

/// Listens at `path`, without waiting in `accept`: under a lock beside it, with mode 0600 before the
/// name exists, by a temporary name that is renamed over whatever stale socket stands there.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("news.sock");
/// let (listener, bound) = otto_core::socket::listen(&path).unwrap();
/// std::os::unix::net::UnixStream::connect(&path).unwrap();
/// listener.accept().unwrap();
/// drop(bound);
/// assert!(!path.exists());
/// ```
///
/// # Errors
/// When somebody listens there, something else stands in its place, or the system refuses.
pub fn listen(path: &Path) -> Result<(UnixListener, Bound)> {
    let lock = take_lock(path)?;
    let mut bound =
        Bound { path: path.to_owned(), inode: None, _lock: lock, owner: std::process::id() };
    if fs::symlink_metadata(path).is_ok_and(|found| !is_socket(&found)) {
        return Err(Error::new(
            ErrorKind::Io,
            format!("{} is there and is no socket: choose another --socket PATH", path.display()),
        ));
    }
    let failed = |error: nix::Error| Error::io("listen at", path, error.into());
    let descriptor = socket::socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )
    .map_err(failed)?;
    fchmod(&descriptor, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // Short, however long the name itself is; this process may bind several at once.
    static BOUND: AtomicU32 = AtomicU32::new(0);
    let count = BOUND.fetch_add(1, Ordering::Relaxed);
    let name = format!(".{}-{count}.new", std::process::id());
    let temporary = folder.join(&name);
    let _ = fs::remove_file(&temporary);
    let (address, _folder) = address::in_folder(folder, &name)?;
    // The address was made from a path, so it has one.
    let address = UnixAddr::new(address.as_pathname().unwrap_or(&temporary)).map_err(failed)?;
    socket::bind(descriptor.as_raw_fd(), &address).map_err(failed)?;
    // A umask can only have narrowed the mode: those who may connect are told here, all of them.
    let placed = fs::set_permissions(&temporary, Permissions::from_mode(0o600))
        .map_err(|error| Error::io("open the socket to you at", path, error));
    let placed =
        placed.and_then(|()| socket::listen(&descriptor, Backlog::MAXCONN).map_err(failed));
    let placed = placed.and_then(|()| {
        fs::rename(&temporary, path).map_err(|e| Error::io("place the socket at", path, e))
    });
    if let Err(error) = placed {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    bound.inode = fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()));
    Ok((UnixListener::from(descriptor), bound))
}

fn is_socket(found: &fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&found.file_type())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn take_lock(path: &Path) -> Result<Unshared> {
    let path_of_lock = beside(path, ".lock");
    loop {
        let unforked = Unforked::begin();
        let lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&path_of_lock)
            .map(|lock| Unshared::new(lock, &unforked))
            .map_err(|error| Error::io("lock the socket's place with", &path_of_lock, error))?;
        drop(unforked);
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                let message = format!(
                    "a server is running at {path} already: use it, or choose another path"
                );
                return Err(Error::new(ErrorKind::Io, message));
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path_of_lock, error)),
        }
        // A server that has just ended removed the file that was locked here: take the next one.
        let same = match (lock.metadata(), fs::symlink_metadata(&path_of_lock)) {
            (Ok(held), Ok(found)) => (held.dev(), held.ino()) == (found.dev(), found.ino()),
            _ => false,
        };
        if same {
            // Whatever the umask made of it: the next server of this user has to open it.
            let _ = lock.set_permissions(Permissions::from_mode(0o600));
            return Ok(lock);
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // A forked child must not remove what its parent serves.
        if self.owner != std::process::id() {
            return;
        }
        let found = fs::symlink_metadata(&self.path).ok().map(|found| (found.dev(), found.ino()));
        if self.inode.is_some() && found == self.inode {
            let _ = fs::remove_file(&self.path);
        }
        let _ = fs::remove_file(beside(&self.path, ".lock"));
    }
}

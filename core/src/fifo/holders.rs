//! Who has a FIFO open, and what is in it, without disturbing it.
//!
//! A FIFO must not be opened for this: that would wake those who wait for its other side. So a
//! descriptor of a process that has it open is borrowed, for the moment of a look.

use super::pipe::enlarge;
use crate::error::{Error, ErrorKind, Result};
use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, tee};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which end of a stream a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It reads.
    Read,
    /// It writes.
    Write,
}

/// A process that has a FIFO open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process ID.
    pub id: u32,
    /// The name of its program.
    pub name: String,
    /// Which end; who holds both is there twice.
    pub direction: Direction,
    /// Whether it waits in the kernel for the other side at this moment, as far as that can be told.
    pub waits: bool,
    descriptor: i32,
}

/// Every process of ours but this one that has the FIFO at `path` open.
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let path = otto_core::fifo::create(folder.path(), "rows").unwrap();
/// assert!(otto_core::fifo::holders(&path).unwrap().is_empty());
/// ```
///
/// # Errors
/// [`ErrorKind::Io`] when there is nothing at `path`, or processes can't be listed.
pub fn holders(path: &Path) -> Result<Vec<Holder>> {
    let wanted = identity(path)?;
    let all = Path::new("/proc");
    let entries = fs::read_dir(all).map_err(|error| Error::io("list", all, error))?;
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<Holder> =
        ids.filter(|id| *id != std::process::id()).flat_map(|id| of_process(id, wanted)).collect();
    found.sort_by_key(|holder| holder.id);
    Ok(found)
}

fn identity(path: &Path) -> Result<(u64, u64)> {
    let found = fs::metadata(path).map_err(|error| Error::io("look at", path, error))?;
    Ok((found.dev(), found.ino()))
}

/// The ends that process `id` holds, one for each direction.
fn of_process(id: u32, wanted: (u64, u64)) -> Vec<Holder> {
    let mut found: Vec<Holder> = Vec::new();
    // Other users' processes can't be looked at, and those that have just ended are none.
    let Ok(entries) = fs::read_dir(format!("/proc/{id}/fd")) else { return found };
    for entry in entries.flatten() {
        let open = fs::metadata(entry.path());
        if !open.is_ok_and(|open| (open.dev(), open.ino()) == wanted) {
            continue;
        }
        let descriptor = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let (Some(descriptor), Ok(link)) = (descriptor, entry.metadata()) else { continue };
        // The permissions of the link are the mode it was opened with.
        for (bit, direction) in [(0o400, Direction::Read), (0o200, Direction::Write)] {
            if link.mode() & bit == 0 {
                continue;
            }
            let waits = waits(id, descriptor, direction);
            match found.iter_mut().find(|holder| holder.direction == direction) {
                Some(known) => known.waits |= waits,
                None => {
                    let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
                    let name = name.trim_end().to_owned();
                    found.push(Holder { id, name, direction, waits, descriptor });
                }
            }
        }
    }
    found
}

/// Whether a thread of process `id` sleeps in the kernel until `descriptor` can be read or written.
fn waits(id: u32, descriptor: i32, direction: Direction) -> bool {
    let places: &[&str] = match direction {
        Direction::Read => &["pipe_read", "pipe_wait_readable"],
        Direction::Write => &["pipe_write", "pipe_wait_writable"],
    };
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return false };
    threads.flatten().any(|thread| {
        let told = |what| fs::read_to_string(thread.path().join(what)).unwrap_or_default();
        let place = told("wchan");
        if !places.iter().any(|known| place.contains(known)) {
            return false;
        }
        // The call's number and its arguments: what is read or written is the first of them, or,
        // of splice, the third.
        let call = told("syscall");
        let mut words = call.split(' ').skip(1);
        let wanted = format!("{descriptor:#x}");
        let mut is_wanted = |skipped: usize| words.nth(skipped).is_some_and(|word| word == wanted);
        is_wanted(0) || is_wanted(1)
    })
}

/// Bytes in the FIFO that these hold; `None` where none of them can be asked.
#[must_use]
pub fn queued(path: &Path, holders: &[Holder]) -> Option<u64> {
    holders.iter().find_map(|holder| ioctl_fionread(borrow(path, holder).ok()?).ok())
}

/// A copy of all that is in the FIFO at `path` at this moment; it stays there. `None` when nobody
/// reads it: then nothing is on its way.
///
/// # Errors
/// [`ErrorKind::Io`] when its readers can't be asked.
pub fn look(path: &Path) -> Result<Option<Vec<u8>>> {
    let readers = holders(path)?.into_iter().filter(|holder| holder.direction == Direction::Read);
    let mut refused = None;
    for reader in readers {
        match borrow(path, &reader) {
            Ok(end) => return copy_of(path, &end).map(Some),
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(None), Err)
}

fn copy_of(path: &Path, end: &OwnedFd) -> Result<Vec<u8>> {
    let failed = |errno: Errno| Error::io("look into", path, errno.into());
    let copy = super::pipe()?;
    enlarge(&copy.write);
    match tee(end, &copy.write, usize::MAX >> 1, SpliceFFlags::SPLICE_F_NONBLOCK) {
        Ok(_) | Err(Errno::EAGAIN) => {}
        Err(errno) => return Err(failed(errno)),
    }
    drop(copy.write);
    let mut bytes = Vec::new();
    File::from(copy.read)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("look into", path, error))?;
    Ok(bytes)
}

/// The descriptor that `holder` has of the FIFO. Shared, not opened anew: an opening would count as
/// one more reader or writer. Where the system forbids that (Yama, a container), a reader's may be
/// opened: nobody waits for a reader where there is one.
fn borrow(path: &Path, holder: &Holder) -> Result<OwnedFd> {
    let refused = |error: std::io::Error| {
        let Holder { id, name, .. } = holder;
        Error::io(&format!("look at what {name} (process {id}) has open:"), path, error)
    };
    let pid = i32::try_from(holder.id).ok().and_then(Pid::from_raw);
    let shared = pid.ok_or(rustix::io::Errno::SRCH).and_then(|pid| {
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        pidfd_getfd(process, holder.descriptor, PidfdGetfdFlags::empty())
    });
    let end = match shared {
        Ok(end) => end,
        Err(_) if holder.direction == Direction::Read => {
            let link = PathBuf::from(format!("/proc/{}/fd/{}", holder.id, holder.descriptor));
            let mut options = File::options();
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::libc::O_NONBLOCK);
            options.read(true).open(link).map_err(refused)?.into()
        }
        Err(errno) => return Err(refused(errno.into())),
    };
    // Its number may belong to something else by now.
    let found = File::from(end);
    let same = found
        .metadata()
        .is_ok_and(|found| identity(path).is_ok_and(|wanted| (found.dev(), found.ino()) == wanted));
    if same {
        return Ok(found.into());
    }
    Err(Error::new(ErrorKind::Io, format!("{} is being closed: try again", path.display())))
}

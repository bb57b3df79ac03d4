//! FIFOs with a name, in the folder of the run.

use super::pipe::{enlarge, set_nonblocking};
use crate::error::{Error, ErrorKind, Result};
use crate::key::TaskName;
use crate::values::{TICK, Tick};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the FIFO `name` of a run lies.
///
/// # Errors
/// [`ErrorKind::Usage`] unless the name is 1 to 100 of `A-Z a-z 0-9 _ : -`.
pub fn path(run_dir: &Path, name: &str) -> Result<PathBuf> {
    TaskName::parse(name).map_err(|_| {
        Error::new(
            ErrorKind::Usage,
            format!("{name:?} is no stream name: 1 to 100 of A-Z a-z 0-9 _ : -"),
        )
    })?;
    Ok(run_dir.join(format!("{name}.fifo")))
}

/// Makes the FIFO `name`, mode 0600; one that exists already is left as it is, so that producer
/// and consumer may both create it.
///
/// ```
/// let run_dir = tempfile::tempdir().unwrap();
/// let path = otto_core::fifo::create(run_dir.path(), "rows").unwrap();
/// assert_eq!(path, otto_core::fifo::create(run_dir.path(), "rows").unwrap());
/// ```
///
/// # Errors
/// [`ErrorKind::Usage`] for a bad name, [`ErrorKind::Io`] when it can't be made, or when something
/// else than a FIFO of ours is there.
pub fn create(run_dir: &Path, name: &str) -> Result<PathBuf> {
    let path = path(run_dir, name)?;
    match nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) => Ok(path),
        Err(Errno::EEXIST) => {
            let found = std::fs::symlink_metadata(&path)
                .map_err(|error| Error::io("look at", &path, error))?;
            if found.file_type().is_fifo() && found.uid() == nix::unistd::getuid().as_raw() {
                Ok(path)
            } else {
                Err(Error::new(
                    ErrorKind::Io,
                    format!(
                        "{} is no FIFO of yours: remove it or take another name",
                        path.display()
                    ),
                ))
            }
        }
        Err(errno) => Err(Error::io("make the FIFO", &path, errno.into())),
    }
}

/// Opens a stream for reading and waits until something was written, or a writer came and went.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such stream, [`ErrorKind::TimedOut`] when nothing came
/// until `deadline`, and whatever `tick` returned.
pub fn open_read(path: &Path, deadline: Option<Instant>, tick: Tick<'_>) -> Result<File> {
    let file = open(path, File::options().read(true))?;
    enlarge(&file);
    loop {
        // Not a blocking open: that could neither be timed nor answer Ctrl-C.
        let mut poll = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        match nix::poll::poll(&mut poll, slice_timeout(deadline)) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => break,
            Err(errno) => return Err(Error::io("wait for", path, errno.into())),
        }
        tick()?;
        expired(path, deadline, "written to")?;
    }
    blocking(path, file)
}

/// Opens a stream for writing; waits until somebody reads.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such stream, [`ErrorKind::TimedOut`] when nobody read
/// until `deadline`, and whatever `tick` returned.
pub fn open_write(path: &Path, deadline: Option<Instant>, tick: Tick<'_>) -> Result<File> {
    let mut pause = Duration::from_millis(1);
    loop {
        match open(path, File::options().write(true)) {
            Ok(file) => {
                enlarge(&file);
                return blocking(path, file);
            }
            Err(error) if error.io_source().is_some_and(nobody_reads) => {}
            Err(error) => return Err(error),
        }
        // The kernel tells nobody that a FIFO got its first reader, so this asks again, and more
        // rarely as time goes by.
        tick()?;
        expired(path, deadline, "read")?;
        std::thread::sleep(pause.min(slice(deadline)));
        pause = (pause * 2).min(TICK / 2);
    }
}

fn nobody_reads(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ENXIO as i32)
}

fn open(path: &Path, options: &std::fs::OpenOptions) -> Result<File> {
    let file = options
        .clone()
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(
                ErrorKind::NotFound,
                format!("no such stream: {}; create it with otto-pipe create", path.display()),
            ),
            _ => Error::io("open", path, error),
        })?;
    let found = file.metadata().map_err(|error| Error::io("look at", path, error))?;
    if found.file_type().is_fifo() {
        Ok(file)
    } else {
        Err(Error::new(ErrorKind::Io, format!("{} is no FIFO", path.display())))
    }
}

fn blocking(path: &Path, file: File) -> Result<File> {
    set_nonblocking(&file, false).map_err(|errno| Error::io("open", path, errno.into()))?;
    Ok(file)
}

/// How long to wait before the next tick.
fn slice(deadline: Option<Instant>) -> Duration {
    let left = deadline.map_or(TICK, |deadline| deadline.saturating_duration_since(Instant::now()));
    // Rounded up to whole milliseconds, or the last one would be spent asking.
    left.min(TICK) + Duration::from_micros(999)
}

fn slice_timeout(deadline: Option<Instant>) -> PollTimeout {
    PollTimeout::try_from(slice(deadline)).unwrap_or(PollTimeout::ZERO)
}

fn expired(path: &Path, deadline: Option<Instant>, what: &str) -> Result<()> {
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        let message = format!("timeout: {} was not {what} in time", path.display());
        return Err(Error::new(ErrorKind::TimedOut, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn no_tick() -> Result<()> {
        Ok(())
    }

    #[test]
    fn names_and_modes() {
        let run_dir = tempfile::tempdir().unwrap();
        for bad in ["", "a.b", "../x", "a/b"] {
            assert_eq!(create(run_dir.path(), bad).unwrap_err().kind(), ErrorKind::Usage);
        }
        let path = create(run_dir.path(), "a:b_c-1").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        std::fs::write(run_dir.path().join("file.fifo"), "").unwrap();
        assert_eq!(create(run_dir.path(), "file").unwrap_err().kind(), ErrorKind::Io);
        assert!(open_read(&run_dir.path().join("file.fifo"), None, &mut no_tick).is_err());
    }

    #[test]
    fn both_sides_wait_for_each_other() {
        let run_dir = tempfile::tempdir().unwrap();
        let path = create(run_dir.path(), "s").unwrap();
        let from = path.clone();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            open_read(&from, None, &mut no_tick).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        open_write(&path, None, &mut no_tick).unwrap().write_all(b"one\n").unwrap();
        assert_eq!(reader.join().unwrap(), "one\n");
    }

    #[test]
    fn waits_end_at_their_deadline_or_by_their_tick() {
        let run_dir = tempfile::tempdir().unwrap();
        let path = create(run_dir.path(), "s").unwrap();
        let soon = || Some(Instant::now() + Duration::from_millis(60));
        let kind = |result: Result<File>| result.unwrap_err().kind();
        assert_eq!(kind(open_read(&path, soon(), &mut no_tick)), ErrorKind::TimedOut);
        assert_eq!(kind(open_write(&path, soon(), &mut no_tick)), ErrorKind::TimedOut);
        let mut stop = || Err(Error::new(ErrorKind::Interrupted, "stopped"));
        assert_eq!(kind(open_read(&path, None, &mut stop)), ErrorKind::Interrupted);
        assert_eq!(kind(open_write(&path, None, &mut stop)), ErrorKind::Interrupted);
        let absent = run_dir.path().join("absent.fifo");
        assert_eq!(kind(open_read(&absent, None, &mut no_tick)), ErrorKind::NotFound);
        assert_eq!(kind(open_write(&absent, None, &mut no_tick)), ErrorKind::NotFound);
    }
}

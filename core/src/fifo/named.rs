//! FIFOs with a name, in the folder of the run.

use super::pipe::{enlarge, set_nonblocking};
use crate::error::{Error, ErrorKind, Result};
use crate::key::TaskName;
use crate::values::{TICK, Tick};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::Mode;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
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
        // A umask may have taken our own rights away, too.
        Ok(()) => match std::fs::set_permissions(&path, Permissions::from_mode(0o600)) {
            // Somebody removed it already.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("make the FIFO", &path, error))
            }
            _ => Ok(path),
        },
        Err(Errno::EEXIST) => {
            let found = std::fs::symlink_metadata(&path)
                .map_err(|error| Error::io("look at", &path, error))?;
            if is_ours(&found) {
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

/// Removes the FIFO `name`; who has it open goes on with it.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such stream, [`ErrorKind::Io`] when something else than
/// a FIFO of ours is there, or it can't be removed.
pub fn remove(run_dir: &Path, name: &str) -> Result<()> {
    let path = path(run_dir, name)?;
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(&path)),
        Err(error) => return Err(Error::io("look at", &path, error)),
        Ok(found) if is_ours(&found) => {}
        Ok(_) => {
            let message = format!("{} is no FIFO of yours: it stays", path.display());
            return Err(Error::new(ErrorKind::Io, message));
        }
    }
    std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))
}

/// The names of all FIFOs of ours in a folder, sorted.
///
/// ```
/// let run_dir = tempfile::tempdir().unwrap();
/// otto_core::fifo::create(run_dir.path(), "rows").unwrap();
/// assert_eq!(otto_core::fifo::list(run_dir.path()).unwrap(), ["rows"]);
/// otto_core::fifo::remove(run_dir.path(), "rows").unwrap();
/// assert!(otto_core::fifo::list(run_dir.path()).unwrap().is_empty());
/// ```
///
/// # Errors
/// [`ErrorKind::Io`] when the folder can't be read.
pub fn list(run_dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(run_dir).map_err(|error| Error::io("list", run_dir, error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.metadata().is_ok_and(|found| is_ours(&found)))
        .filter_map(|entry| Some(name_of(&entry.path())?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn is_ours(found: &std::fs::Metadata) -> bool {
    found.file_type().is_fifo() && found.uid() == nix::unistd::getuid().as_raw()
}

/// The name of the stream behind a [`path`].
fn name_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".fifo")?;
    TaskName::parse(name).ok().map(|_| name)
}

/// Opens a stream for reading without waiting for anybody; nor will its reads wait. Until `poll` has
/// found it readable once, a read that gives nothing says only that no writer has come yet.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such stream.
pub fn begin_read(path: &Path) -> Result<File> {
    let file = open(path, File::options().read(true))?;
    enlarge(&file);
    Ok(file)
}

/// Opens a stream for reading and waits until something was written, or a writer came and went.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such stream, [`ErrorKind::TimedOut`] when nothing came
/// until `deadline`, and whatever `tick` returned.
pub fn open_read(path: &Path, deadline: Option<Instant>, tick: Tick<'_>) -> Result<File> {
    Unread::open(path)?.wait(deadline, tick)
}

/// A stream opened for reading of which nothing has been waited for yet, so that a reader of several
/// opens them all before it waits for any: their writers may come in any order.
#[derive(Debug)]
pub struct Unread {
    path: PathBuf,
    file: File,
}

impl Unread {
    /// Opens a stream for reading; whoever waits for a reader can go on.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such stream.
    pub fn open(path: &Path) -> Result<Unread> {
        let file = begin_read(path)?;
        Ok(Unread { path: path.to_owned(), file })
    }

    /// Waits until something was written, or a writer came and went.
    ///
    /// # Errors
    /// As [`open_read`].
    pub fn wait(self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<File> {
        let Unread { path, file } = self;
        wait_for_writer(&path, &file, deadline, tick)?;
        blocking(&path, file)
    }
}

fn wait_for_writer(
    path: &Path,
    file: &File,
    deadline: Option<Instant>,
    tick: Tick<'_>,
) -> Result<()> {
    loop {
        // Not a blocking open: that could neither be timed nor answer Ctrl-C.
        let mut poll = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        match nix::poll::poll(&mut poll, slice_timeout(deadline)) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(Error::io("wait for", path, errno.into())),
        }
        tick()?;
        expired(path, deadline, "written to")?;
    }
}

/// Opens a stream for writing; waits until somebody reads.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such stream, [`ErrorKind::TimedOut`] when nobody read
/// until `deadline`, and whatever `tick` returned.
pub fn open_write(path: &Path, deadline: Option<Instant>, tick: Tick<'_>) -> Result<File> {
    let mut opened = open_writes(&[path], deadline, tick)?;
    // One for each path.
    Ok(opened.remove(0))
}

/// Opens several streams for writing, in whatever order their readers come; waits for all.
///
/// # Errors
/// As [`open_write`].
pub fn open_writes(
    paths: &[&Path],
    deadline: Option<Instant>,
    tick: Tick<'_>,
) -> Result<Vec<File>> {
    let mut opened: Vec<Option<File>> = paths.iter().map(|_| None).collect();
    let mut pause = Duration::from_millis(1);
    loop {
        let mut waited_for = None;
        for (path, opened) in paths.iter().zip(&mut opened) {
            if opened.is_none() {
                *opened = try_open_write(path)?;
            }
            if opened.is_none() {
                waited_for = Some(path);
            }
        }
        let Some(path) = waited_for else { return Ok(opened.into_iter().flatten().collect()) };
        // The kernel tells nobody that a FIFO got its first reader, so this asks again, and more
        // rarely as time goes by.
        tick()?;
        expired(path, deadline, "read")?;
        std::thread::sleep(pause.min(slice(deadline)));
        pause = (pause * 2).min(TICK / 2);
    }
}

/// `None` while nobody reads it.
fn try_open_write(path: &Path) -> Result<Option<File>> {
    match open(path, File::options().write(true)) {
        Ok(file) => {
            enlarge(&file);
            blocking(path, file).map(Some)
        }
        Err(error) if error.io_source().is_some_and(nobody_reads) => Ok(None),
        Err(error) => Err(error),
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
            io::ErrorKind::NotFound => missing(path),
            _ => Error::io("open", path, error),
        })?;
    let found = file.metadata().map_err(|error| Error::io("look at", path, error))?;
    if found.file_type().is_fifo() {
        Ok(file)
    } else {
        Err(Error::new(ErrorKind::Io, format!("{} is no FIFO", path.display())))
    }
}

fn missing(path: &Path) -> Error {
    let message = match name_of(path) {
        Some(name) => format!("no such stream: {name}; make it with: otto-pipe create {name}"),
        None => format!("no such stream: {}", path.display()),
    };
    Error::new(ErrorKind::NotFound, message)
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

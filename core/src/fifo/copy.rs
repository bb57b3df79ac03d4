//! Bytes from one descriptor to another.

use crate::error::{Error, ErrorKind, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use rustix::fs::FileType;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Asked of the kernel at a time; a pipe of the size we ask for fits.
const CHUNK_BYTES: usize = 1 << 20;
/// Read at a time where the kernel can't move the bytes itself.
const BUFFER_BYTES: usize = 128 << 10;

/// A piece below this part of what the smaller pipe holds, got without waiting, is worth a pause:
/// the next one will be larger.
const GATHERED_PART: usize = 4;
/// What comes within this was there already: the producer is at work.
const PROMPT: Duration = Duration::from_micros(40);
/// Each piece wakes the reader and the writer, which costs more than moving the bytes. Twice as
/// much goes through when both are left alone for this long; nobody notices it.
const PAUSE: Duration = Duration::from_micros(100);

/// How a [`copy`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// At the end of what there was to read, after so many bytes.
    All(u64),
    /// All readers of the target have gone, after so many bytes: no error, but more may have come.
    ReaderGone(u64),
}

impl Copied {
    /// Bytes that reached the target.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Copied::All(bytes) | Copied::ReaderGone(bytes) => bytes,
        }
    }
}

/// Copies until end of file, moving pages inside the kernel where one side is a pipe.
///
/// ```
/// use otto_core::fifo::{Copied, copy};
/// use std::io::{Read, Seek, Write};
/// let (mut from, mut to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
/// from.write_all(b"records").unwrap();
/// from.rewind().unwrap();
/// assert_eq!(copy(&from, &to).unwrap(), Copied::All(7));
/// ```
///
/// # Errors
/// When reading or writing fails, other than by the readers of `to` having gone.
pub fn copy(from: impl AsFd, to: impl AsFd) -> Result<Copied> {
    copy_counting(from, to, |_| {})
}

/// As [`copy`], telling `count` the bytes of each piece that has reached the target.
///
/// # Errors
/// As [`copy`].
pub fn copy_counting(from: impl AsFd, to: impl AsFd, mut count: impl FnMut(u64)) -> Result<Copied> {
    let (from, to) = (from.as_fd(), to.as_fd());
    let gathered = holds(from).min(holds(to)) / GATHERED_PART;
    let mut copied = 0;
    if !may_splice(from, to) {
        return copy_through_memory(from, to, copied, count);
    }
    loop {
        let asked = Instant::now();
        match splice(from, None, to, None, CHUNK_BYTES, SpliceFFlags::SPLICE_F_MOVE) {
            Ok(0) => return Ok(Copied::All(copied)),
            Ok(bytes) => {
                copied += bytes as u64;
                count(bytes as u64);
                let streaming = copied > gathered as u64;
                if streaming && bytes < gathered && asked.elapsed() < PROMPT {
                    std::thread::sleep(PAUSE);
                }
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EPIPE) => return Ok(Copied::ReaderGone(copied)),
            // Neither side is a pipe, or one is a terminal or a file opened for appending; or a
            // true failure, where splice does not say which side it was and the plain calls do.
            Err(_) => return copy_through_memory(from, to, copied, count),
        }
    }
}

/// How much a pipe holds, in bytes; what is none holds what is asked for.
fn holds(fd: BorrowedFd<'_>) -> usize {
    fcntl(fd, FcntlArg::F_GETPIPE_SZ).map_or(CHUNK_BYTES, |bytes| bytes as usize)
}

/// Whether moving pages disturbs nobody. While splice waits for a socket or a terminal it keeps the
/// pipe locked, so that whoever else looks at that pipe, even without waiting, waits with it. And
/// programs that write into one file, as children of a shell do, share the place in it: `write`
/// takes turns at that, splice writes over what the others have just written.
fn may_splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let kind = |fd| rustix::fs::fstat(fd).map(|found| FileType::from_raw_mode(found.st_mode));
    kind(to) == Ok(FileType::Fifo)
        && matches!(kind(from), Ok(FileType::Fifo | FileType::RegularFile))
}

fn copy_through_memory(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mut copied: u64,
    mut count: impl FnMut(u64),
) -> Result<Copied> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let filled = match nix::unistd::read(from, &mut buffer) {
            Ok(0) => return Ok(Copied::All(copied)),
            Ok(filled) => filled,
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(failed("read from", errno)),
        };
        let mut rest = &buffer[..filled];
        while !rest.is_empty() {
            match nix::unistd::write(to, rest) {
                Ok(written) => {
                    copied += written as u64;
                    count(written as u64);
                    rest = &rest[written..];
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE) => return Ok(Copied::ReaderGone(copied)),
                Err(errno) => return Err(failed("write to", errno)),
            }
        }
    }
}

fn failed(what: &str, errno: Errno) -> Error {
    let kind = match errno {
        Errno::ENOSPC | Errno::EDQUOT => ErrorKind::Full,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("can't {what} the stream: {}", errno.desc()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    #[test]
    fn a_file_through_a_pipe_into_a_file() {
        let bytes: Vec<u8> =
            (0..3_000_000_u32).flat_map(|i| (i as u8 ^ 0x5a).to_le_bytes()).collect();
        let mut from = tempfile::tempfile().unwrap();
        from.write_all(&bytes).unwrap();
        from.rewind().unwrap();
        let mut to = tempfile::tempfile().unwrap();
        let pipe = crate::fifo::pipe().unwrap();
        let write = pipe.write;
        let producer = std::thread::spawn(move || copy(&from, &write).unwrap());
        assert_eq!(copy(&pipe.read, &to).unwrap(), Copied::All(bytes.len() as u64));
        assert_eq!(producer.join().unwrap().bytes(), bytes.len() as u64);
        let mut back = Vec::new();
        to.rewind().unwrap();
        to.read_to_end(&mut back).unwrap();
        assert!(back == bytes);
    }

    #[test]
    fn who_looks_into_a_pipe_does_not_wait_for_what_is_copied_into_it() {
        use std::os::unix::net::UnixStream;
        let (from, _silent) = UnixStream::pair().unwrap();
        let pipe = crate::fifo::pipe().unwrap();
        let write = pipe.write;
        let copying = from.try_clone().unwrap();
        let copier = std::thread::spawn(move || copy(&copying, &write));
        let (done, looked) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            crate::fifo::pipe::set_nonblocking(&pipe.read, true).unwrap();
            let mut read = File::from(pipe.read);
            for _ in 0..20 {
                let mut fds = [nix::poll::PollFd::new(read.as_fd(), nix::poll::PollFlags::POLLIN)];
                nix::poll::poll(&mut fds, 10_u8).unwrap();
                let error = read.read(&mut [0; 10]).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            }
            done.send(()).unwrap();
        });
        let waited = looked.recv_timeout(std::time::Duration::from_secs(20));
        from.shutdown(std::net::Shutdown::Both).unwrap();
        let _ = copier.join().unwrap();
        assert!(waited.is_ok(), "the pipe was locked");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let pipe = crate::fifo::pipe().unwrap();
        drop(pipe.read);
        let zero = File::open("/dev/zero").unwrap();
        assert_eq!(copy(&zero, &pipe.write).unwrap(), Copied::ReaderGone(0));
    }

    #[test]
    fn appending_to_a_log_works_where_splice_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let log =
            File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
        for _ in 0..2 {
            let pipe = crate::fifo::pipe().unwrap();
            nix::unistd::write(&pipe.write, b"line\n").unwrap();
            drop(pipe.write);
            assert_eq!(copy(&pipe.read, &log).unwrap(), Copied::All(5));
        }
        assert_eq!(std::fs::read(folder.path().join("log")).unwrap(), b"line\nline\n");
    }
}

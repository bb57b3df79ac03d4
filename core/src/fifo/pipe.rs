//! A stream's two ends.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::PIPE_BYTES;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::os::fd::{AsFd, OwnedFd};

/// The two ends of an anonymous pipe; neither is inherited by programs this process starts.
#[derive(Debug)]
pub struct Pipe {
    /// Where the consumer reads.
    pub read: OwnedFd,
    /// Where the producer writes.
    pub write: OwnedFd,
}

/// Makes a pipe and enlarges it as [`enlarge`] does.
///
/// ```
/// use std::io::{Read, Write};
/// let pipe = otto_core::fifo::pipe().unwrap();
/// let (mut from, mut to) = (std::fs::File::from(pipe.read), std::fs::File::from(pipe.write));
/// to.write_all(b"{\"i\":1}\n").unwrap();
/// drop(to);
/// let mut text = String::new();
/// from.read_to_string(&mut text).unwrap();
/// assert_eq!(text, "{\"i\":1}\n");
/// ```
///
/// # Errors
/// [`ErrorKind::Io`] when no more descriptors are allowed.
pub fn pipe() -> Result<Pipe> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| {
        Error::new(ErrorKind::Io, format!("can't make a pipe: {}; see ulimit -n", errno.desc()))
    })?;
    enlarge(&write);
    Ok(Pipe { read, write })
}

/// Enlarges a pipe to 1 MiB where the system lets it; an ordinary user may have 64 MiB of pipes,
/// and beyond that a stream goes on with the size it has.
pub fn enlarge(pipe: impl AsFd) {
    let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
}

/// Makes reads and writes on `fd` return instead of waiting, or wait again.
pub(crate) fn set_nonblocking(fd: impl AsFd, on: bool) -> nix::Result<()> {
    let fd = fd.as_fd();
    let mut flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(fd, FcntlArg::F_SETFL(flags)).map(drop)
}

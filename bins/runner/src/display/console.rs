//! Writing to standard output and error without ever being held up for good.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Written at a time: a pipe that is ready takes this much without blocking.
const CHUNK_BYTES: usize = 4096;
/// Gathered before it is written without being asked.
const BUFFER_BYTES_MAX: usize = 64 << 10;

/// How long a reader may take for a piece once the run is to end, in milliseconds.
const HURRY_MS: u8 = 200;

/// The two outputs of this process.
#[derive(Debug)]
pub(crate) struct Console {
    out: Sink,
    err: Sink,
    ending: OwnedFd,
    /// The run is to end: whoever does not read now gets no more.
    hurried: bool,
}

#[derive(Debug)]
struct Sink {
    buffer: Vec<u8>,
    /// Its reader has gone, or does not read while the run is to end.
    closed: bool,
    color: bool,
}

impl Console {
    pub(super) fn new(ending: OwnedFd) -> Console {
        let color = |terminal: bool| {
            terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        };
        let sink = |terminal| Sink { buffer: Vec::new(), closed: false, color: color(terminal) };
        Console {
            out: sink(io::stdout().is_terminal()),
            err: sink(io::stderr().is_terminal()),
            ending,
            hurried: false,
        }
    }

    /// From here on nobody who does not read is waited for.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Whether standard output, and standard error, take colours.
    pub(super) fn colors(&self) -> (bool, bool) {
        (self.out.color, self.err.color)
    }

    /// Puts a line on standard output.
    pub(super) fn out(&mut self, parts: &[&[u8]]) {
        // What was said before a line stays before it where both go to one place.
        self.flush_err();
        push(&mut self.out, parts);
        if self.out.buffer.len() > BUFFER_BYTES_MAX {
            self.flush_out();
        }
    }

    /// Puts a line on standard error.
    pub(super) fn err(&mut self, parts: &[&[u8]]) {
        self.flush_out();
        push(&mut self.err, parts);
        if self.err.buffer.len() > BUFFER_BYTES_MAX {
            self.flush_err();
        }
    }

    /// A line of otto-run's own.
    pub(super) fn say(&mut self, message: &str) {
        self.err(&[b"otto-run: ", message.as_bytes()]);
    }

    /// Whether something waits to be shown.
    pub(super) fn is_pending(&self) -> bool {
        !self.out.buffer.is_empty() || !self.err.buffer.is_empty()
    }

    pub(super) fn flush(&mut self) {
        self.flush_out();
        self.flush_err();
    }

    fn flush_out(&mut self) {
        self.hurried |=
            flush(&mut self.out, io::stdout().as_fd(), self.ending.as_fd(), self.hurried);
    }

    fn flush_err(&mut self) {
        self.hurried |=
            flush(&mut self.err, io::stderr().as_fd(), self.ending.as_fd(), self.hurried);
    }
}

fn push(sink: &mut Sink, parts: &[&[u8]]) {
    if !sink.closed {
        for part in parts {
            sink.buffer.extend_from_slice(part);
        }
        sink.buffer.push(b'\n');
    }
}

/// Writes what has gathered; says whether the run was asked to end while nobody took it.
fn flush(sink: &mut Sink, to: BorrowedFd<'_>, ending: BorrowedFd<'_>, hurried: bool) -> bool {
    let timeout = if hurried { PollTimeout::from(HURRY_MS) } else { PollTimeout::NONE };
    let (mut done, mut asked) = (0, false);
    while done < sink.buffer.len() && !sink.closed {
        let mut fds = [PollFd::new(to, PollFlags::POLLOUT), PollFd::new(ending, PollFlags::POLLIN)];
        let ready = match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => continue,
            Err(_) => {
                sink.closed = true;
                continue;
            }
            Ok(ready) => ready,
        };
        if fds[0].any() != Some(true) {
            asked |= fds[1].any() == Some(true);
            sink.closed = asked || ready == 0;
            continue;
        }
        let end = sink.buffer.len().min(done + CHUNK_BYTES);
        match nix::unistd::write(to, &sink.buffer[done..end]) {
            Ok(bytes) => done += bytes,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // A reader that closes its end is no error; what can't be shown is in the logs.
            Err(_) => sink.closed = true,
        }
    }
    sink.buffer.clear();
    asked
}

impl Drop for Console {
    fn drop(&mut self) {
        self.flush();
    }
}

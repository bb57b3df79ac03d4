//! The client's end of the connection: requests go out, replies come in.

use super::super::address;
use super::super::binary::{self, LENGTH_BYTES};
use super::super::command::Request;
use super::answer::{Answer, Received};
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt;
use crate::limits::FRAME_BYTES_MAX;
use crate::spin::Spin;
use crate::values::{TICK, Tick};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes asked of the socket at first: enough for one reply, and no page of their own.
const FIRST_READ_BYTES: usize = 512;
/// Bytes asked of the socket at a time once replies come that fast.
const READ_BYTES: usize = 64 << 10;

/// A stream to the server and what of it has been read.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    path: PathBuf,
    /// Where requests are encoded before they are sent.
    pub(super) out: Vec<u8>,
    input: Vec<u8>,
    /// Where unread input begins and ends in `input`.
    unread: (usize, usize),
    /// Replies that have not been read.
    outstanding: usize,
    /// Whether the server closed it within a request: what it said of that is its last word.
    ended: bool,
    /// Longest wait for a reply that should come at once.
    pub(super) reply_limit: Option<Duration>,
    /// Locks that live as long as this stream does.
    pub(super) locks: Vec<Box<str>>,
    spin: Spin,
}

impl Connection {
    pub(super) fn open(path: &Path) -> Result<Connection> {
        Ok(Connection {
            stream: connect(path)?,
            path: path.to_owned(),
            out: Vec::new(),
            input: Vec::new(),
            unread: (0, 0),
            outstanding: 0,
            ended: false,
            reply_limit: None,
            locks: Vec::new(),
            spin: Spin::new(),
        })
    }

    /// The same server anew, on a fresh connection.
    pub(super) fn reopen(&mut self) -> Result<()> {
        self.stream = connect(&self.path)?;
        self.unread = (0, 0);
        self.outstanding = 0;
        self.ended = false;
        Ok(())
    }

    pub(super) fn reply_deadline(&self) -> Option<Instant> {
        self.reply_limit.and_then(|limit| Instant::now().checked_add(limit))
    }

    /// Makes ready for a request. A wait that was given up left its reply on the way: then the
    /// conversation starts anew on a fresh connection. Locks do not outlive the old one, which
    /// whoever holds them has to hear of.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.out.clear();
        if self.outstanding == 0 && !self.ended {
            return Ok(());
        }
        let locks = std::mem::take(&mut self.locks);
        self.reopen()?;
        if locks.is_empty() {
            return Ok(());
        }
        let message = format!("lost with the connection they were held on: {}", locks.join(", "));
        Err(Error::new(ErrorKind::Unreachable, message))
    }

    /// Ends a wait whose reply is no longer wanted, so that nothing is granted to who has given up.
    /// Where locks depend on this stream they come first: the wait then ends with the next request.
    pub(super) fn give_up(&mut self) {
        if self.outstanding > 0 && self.locks.is_empty() {
            // Of a stream that is closed already nothing is waited for.
            let _ = shutdown(&self.stream, Shutdown::Both);
        }
    }

    /// One request and its reply.
    pub(super) fn call<'c>(
        &'c mut self,
        request: &Request<'_>,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<Answer<'c>> {
        self.send(request)?;
        Ok(self.receive(deadline, tick)?.of(""))
    }

    /// One request, whose reply is not waited for.
    pub(super) fn send(&mut self, request: &Request<'_>) -> Result<()> {
        self.begin()?;
        binary::encode_request(request, &mut self.out);
        let bytes = self.out.len() - LENGTH_BYTES;
        if bytes > FRAME_BYTES_MAX {
            self.out = Vec::new();
            return Err(too_large(request, bytes));
        }
        self.send_out(1)
    }

    /// Sends what has been encoded, which asks for `replies`.
    pub(super) fn send_out(&mut self, replies: usize) -> Result<()> {
        self.outstanding = replies;
        let deadline = self.reply_deadline();
        let mut sent = 0;
        while sent < self.out.len() {
            match send(&self.stream, &self.out[sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(count) => sent += count,
                // More than the socket holds: the server has to read some first, and may itself
                // wait for its replies to be read.
                Err(rustix::io::Errno::AGAIN) => {
                    interrupt::check()?;
                    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Err(Error::new(ErrorKind::TimedOut, "timeout"));
                    }
                    self.sleep_until_ready(PollFlags::OUT | PollFlags::IN, TICK)?;
                    // What ended the connection shows when the reply is looked for.
                    let _ = self.receive_some(READ_BYTES);
                }
                Err(rustix::io::Errno::INTR) => {}
                // A server that closed the connection may have said why.
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => {
                    self.ended = true;
                    break;
                }
                Err(error) => return Err(self.lost(&error.into())),
            }
        }
        // A large value must not be paid for as long as the connection lives.
        if self.out.capacity() > READ_BYTES {
            self.out = Vec::new();
        }
        Ok(())
    }

    /// The next reply. `tick` is called while nothing comes; an error from it, or the deadline,
    /// leaves the reply outstanding.
    pub(super) fn receive(
        &mut self,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<Received<'_>> {
        let length = loop {
            let unread = &self.input[self.unread.0..self.unread.1];
            if let Some((length, rest)) = unread.split_first_chunk::<LENGTH_BYTES>() {
                let length = u32::from_be_bytes(*length) as usize;
                if length == 0 || length > FRAME_BYTES_MAX {
                    return Err(self.no_protocol(length));
                }
                if rest.len() >= length {
                    break length;
                }
                let wanted = length - rest.len();
                self.fill(wanted, deadline, tick)?;
            } else {
                self.fill(1, deadline, tick)?;
            }
        };
        let start = self.unread.0 + LENGTH_BYTES;
        let end = start + length;
        self.unread.0 = end;
        self.outstanding = self.outstanding.saturating_sub(1);
        Ok(Received { status: self.input[start], payload: &self.input[start + 1..end] })
    }

    fn no_protocol(&self, length: usize) -> Error {
        // A refusal before the dialect was known is a line of text.
        let line = String::from_utf8_lossy(&self.input[self.unread.0..self.unread.1]);
        let message = match line.strip_prefix("ERROR: ") {
            Some(reason) => {
                format!("the server at {} refused: {}", self.path.display(), reason.trim_end())
            }
            None => format!(
                "the server's reply claims {length} bytes: is {} an Otto server?",
                self.path.display()
            ),
        };
        Error::new(ErrorKind::Protocol, message)
    }

    /// Reads what input there is, if any, after making room for `wanted` in reasonable steps;
    /// whether anything came.
    fn receive_some(&mut self, wanted: usize) -> Result<bool> {
        if self.unread.0 == self.unread.1 {
            self.unread = (0, 0);
            if self.input.len() > 1 << 20 {
                self.input = Vec::new();
            }
        } else if self.unread.0 > 0 {
            self.input.copy_within(self.unread.0..self.unread.1, 0);
            self.unread = (0, self.unread.1 - self.unread.0);
        }
        let room = wanted.clamp(FIRST_READ_BYTES, 1 << 20);
        if self.input.len() < self.unread.1 + room {
            self.input.resize(self.unread.1 + room, 0);
        }
        let buffer = &mut self.input[self.unread.1..];
        match recv(&self.stream, buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Err(self.lost(&io::ErrorKind::UnexpectedEof.into())),
            Ok((count, _)) => {
                self.unread.1 += count;
                if self.unread.1 == self.input.len() && self.input.len() < READ_BYTES {
                    self.input.resize(self.input.len() * 2, 0);
                }
                Ok(true)
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(self.lost(&error.into())),
        }
    }

    /// Reads more input, at least one byte.
    fn fill(&mut self, wanted: usize, deadline: Option<Instant>, tick: Tick<'_>) -> Result<()> {
        let mut looked = false;
        loop {
            if self.receive_some(wanted)? {
                self.spin.found();
                return Ok(());
            }
            if !looked {
                looked = true;
                let mut spin = self.spin;
                let found = spin.look(|| Ok(self.receive_some(wanted)?.then_some(())));
                self.spin = spin;
                if found?.is_some() {
                    self.spin.found();
                    return Ok(());
                }
            }
            let left = deadline
                .map_or(TICK, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Err(Error::new(ErrorKind::TimedOut, "timeout"));
            }
            if !self.sleep_until_ready(PollFlags::IN, left.min(TICK))? {
                tick()?;
            }
        }
    }

    /// Sleeps until the socket is ready, or for `slice` (at most [`TICK`]); whether it is ready.
    fn sleep_until_ready(&self, wanted: PollFlags, slice: Duration) -> Result<bool> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(slice.subsec_nanos()).max(1) };
        match poll(&mut [PollFd::new(&self.stream, wanted)], Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(self.lost(&error.into())),
        }
    }

    fn lost(&self, error: &io::Error) -> Error {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "it has ended".into(),
            _ => error.to_string(),
        };
        let message = format!("lost the server at {}: {why}", self.path.display());
        Error::new(ErrorKind::Unreachable, message)
    }
}

/// The error for what no server takes. It would close the connection, too.
fn too_large(request: &Request<'_>, bytes: usize) -> Error {
    let cure = match request {
        Request::Batch { .. } => "make it several batches",
        _ => "use a dataset (otto-mmap-write --dataset NAME)",
    };
    let message =
        format!("request of {bytes} bytes: at most {FRAME_BYTES_MAX} are allowed; {cure}");
    Error::new(ErrorKind::TooLarge, message)
}

fn connect(path: &Path) -> Result<UnixStream> {
    let unreachable = |error: &dyn std::fmt::Display| {
        let message = format!("no server answers at {}: {error}", path.display());
        Error::new(ErrorKind::Unreachable, message)
    };
    let (address, _socket) = address::of(path).map_err(|error| match error.io_source() {
        Some(source) => unreachable(source),
        None => error,
    })?;
    UnixStream::connect_addr(&address).map_err(|error| unreachable(&error))
}

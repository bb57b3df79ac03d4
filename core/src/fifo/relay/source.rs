//! What one producer writes, as far as its slowest consumer has not taken it.

use crate::limits::RELAY_BUFFER_BYTES;
use nix::errno::Errno;
use nix::poll::PollFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Positions count bytes since the beginning of the stream.
#[derive(Debug)]
pub(super) struct Source {
    /// `None` once nobody writes any more, or nobody reads.
    from: Option<OwnedFd>,
    /// Bytes `base..` of the stream, from `head` on.
    buffer: Vec<u8>,
    head: usize,
    base: u64,
    /// Just behind the last newline seen.
    lines_end: u64,
    closed: Closed,
    drained: bool,
}

/// Whether anybody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    No,
    /// Nobody does, which has not been told yet.
    Untold,
    Told,
}

impl Source {
    pub(super) fn new(from: OwnedFd) -> Source {
        Source {
            from: Some(from),
            buffer: Vec::new(),
            head: 0,
            base: 0,
            lines_end: 0,
            closed: Closed::No,
            drained: false,
        }
    }

    /// The position up to which everything has been taken.
    pub(super) fn position(&self) -> u64 {
        self.base
    }

    /// The position up to which it has been read.
    pub(super) fn end(&self) -> u64 {
        self.base + (self.buffer.len() - self.head) as u64
    }

    /// Just behind the last whole line that has been read.
    pub(super) fn lines_end(&self) -> u64 {
        self.lines_end
    }

    /// Whether nothing more will be read.
    pub(super) fn has_ended(&self) -> bool {
        self.from.is_none()
    }

    /// Whether no more fits before something is taken.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() - self.head >= RELAY_BUFFER_BYTES
    }

    /// Whether it has ended and everything was taken.
    pub(super) fn is_drained(&self) -> bool {
        self.drained
    }

    /// What to wait for: bytes when there is room for them, else just the last writer's leaving.
    pub(super) fn wants(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let from = self.from.as_ref()?.as_fd();
        match (self.is_full(), self.closed) {
            (false, _) => Some((from, PollFlags::POLLIN)),
            (true, Closed::No) => Some((from, PollFlags::empty())),
            (true, _) => None,
        }
    }

    /// Something that was wanted has come.
    pub(super) fn take(&mut self) {
        if self.is_full() {
            self.close();
        } else {
            self.read();
        }
    }

    /// Whether it has become known, since the last call, that nobody writes any more.
    pub(super) fn take_closed(&mut self) -> bool {
        let untold = self.closed == Closed::Untold;
        if untold {
            self.closed = Closed::Told;
        }
        untold
    }

    fn close(&mut self) {
        if self.closed == Closed::No {
            self.closed = Closed::Untold;
        }
    }

    /// Reads no more.
    fn stop(&mut self) {
        self.from = None;
        self.close();
    }

    /// The bytes from `start` to `end`.
    pub(super) fn bytes(&self, start: u64, end: u64) -> &[u8] {
        let at = |position: u64| self.head + (position - self.base) as usize;
        &self.buffer[at(start)..at(end)]
    }

    /// The position just behind the first newline from `start` on.
    pub(super) fn line_end_from(&self, start: u64) -> Option<u64> {
        let rest = self.bytes(start, self.end());
        rest.iter().position(|byte| *byte == b'\n').map(|at| start + at as u64 + 1)
    }

    /// Reads what is there, as far as it fits.
    fn read(&mut self) {
        let Some(from) = &self.from else { return };
        let used = self.buffer.len();
        let room = RELAY_BUFFER_BYTES - (used - self.head);
        self.buffer.resize(used + room, 0);
        let read = nix::unistd::read(from, &mut self.buffer[used..]);
        self.buffer.truncate(used + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.stop(),
            Ok(_) => {
                let newline = self.buffer[used..].iter().rposition(|byte| *byte == b'\n');
                if let Some(at) = newline {
                    self.lines_end = self.base + (used - self.head + at) as u64 + 1;
                }
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => self.stop(),
        }
    }

    /// Drops what all sinks have taken: up to `slowest`, or all when there is no sink left, in
    /// which case the producer is told by closing. Whether this drained the source.
    pub(super) fn advance(&mut self, slowest: Option<u64>) -> bool {
        if slowest.is_none() {
            self.stop();
        }
        let taken = slowest.unwrap_or(self.end());
        self.head += (taken - self.base) as usize;
        self.base = taken;
        if self.head == self.buffer.len() {
            self.buffer.clear();
            self.head = 0;
        } else if self.head >= RELAY_BUFFER_BYTES {
            self.buffer.drain(..self.head);
            self.head = 0;
        }
        let drained = self.from.is_none() && self.buffer.is_empty();
        drained && !std::mem::replace(&mut self.drained, true)
    }
}

//! One client: its stream, what it has sent that is not a whole request, what it has yet to get.

use super::input::{Dialect, Skip};
use super::output::Output;
use crate::limits::{OUTPUT_CLOSE_BYTES, OUTPUT_PAUSE_BYTES};
use mio::net::UnixStream;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::io::{self, IoSlice, Write};
use std::time::{Duration, Instant};

/// How long a client may take nothing of what waits for it.
const STALL_MAX: Duration = Duration::from_secs(60);

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: UnixStream,
    /// The process at the other end when it connected.
    pub(super) peer: Option<i32>,
    pub(super) dialect: Option<Dialect>,
    /// Bytes of a request that is not whole, or that stand behind a wait.
    pub(super) input: Vec<u8>,
    /// How much of `input` is known to hold no line feed.
    pub(super) searched: usize,
    pub(super) skip: Option<Skip>,
    pub(super) output: Output,
    /// The socket may hold input that has not been read.
    pub(super) readable: bool,
    /// The client has closed its sending side.
    pub(super) ended: bool,
    /// A wait holds up what stands behind it.
    pub(super) waiting: bool,
    /// Gets events.
    pub(super) subscribed: bool,
    /// The end of what the client sends is in the socket, perhaps behind unread input.
    pub(super) end_seen: bool,
    /// Queued to be gone on with.
    pub(super) touched: bool,
    /// The loop is told when the socket takes output again.
    pub(super) awaits_room: bool,
    /// Nothing more is accepted; closed once its output is sent.
    pub(super) closing: bool,
    stalled: Option<Instant>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, peer: Option<i32>) -> Connection {
        Connection {
            stream,
            peer,
            dialect: None,
            input: Vec::new(),
            searched: 0,
            skip: None,
            output: Output::default(),
            readable: true,
            ended: false,
            waiting: false,
            subscribed: false,
            end_seen: false,
            touched: false,
            awaits_room: false,
            closing: false,
            stalled: None,
        }
    }

    /// Whether requests may be carried out now.
    pub(super) fn takes_requests(&self) -> bool {
        !self.waiting && !self.closing && self.output.len() < OUTPUT_PAUSE_BYTES
    }

    /// A text connection after SUBSCRIBE carries events alone.
    pub(super) fn events_only(&self) -> bool {
        self.subscribed && self.dialect == Some(Dialect::Text)
    }

    /// Whether nothing can come of this connection any more.
    pub(super) fn is_done(&self) -> bool {
        let over = self.closing || (self.ended && !self.waiting && !self.subscribed);
        over && self.output.is_empty() && (self.closing || self.input.is_empty())
    }

    /// Sends what waits, and notes whether the client takes it.
    ///
    /// # Errors
    /// When the client has gone.
    pub(super) fn flush(&mut self, now: Instant) -> io::Result<()> {
        let any = self.output.send(Quiet(&self.stream))?;
        if self.output.is_empty() {
            self.stalled = None;
        } else if any || self.stalled.is_none() {
            self.stalled = Some(now);
        }
        Ok(())
    }

    /// Whether output waits, so that time matters.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Whether the client has taken nothing for too long, or far too much waits for it.
    pub(super) fn is_hopeless(&self, now: Instant, value_bytes_max: usize) -> bool {
        let too_long = self.stalled.is_some_and(|since| now.duration_since(since) >= STALL_MAX);
        too_long || self.output.len() > OUTPUT_CLOSE_BYTES + value_bytes_max
    }

    /// Gives back memory that a large request took.
    pub(super) fn shrink(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 64 << 10 {
            self.input = Vec::new();
        }
    }
}

/// Writing that never raises SIGPIPE, whatever the host process chose for that signal.
struct Quiet<'a>(&'a UnixStream);

impl Write for Quiet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut no_descriptors = SendAncillaryBuffer::default();
        Ok(sendmsg(self.0, pieces, &mut no_descriptors, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

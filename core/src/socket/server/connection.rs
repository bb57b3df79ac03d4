//! One client: its stream, what it has sent that is not a whole request, what it has yet to get.

use super::input::{Dialect, Skip};
use super::output::Output;
use super::resp_exchange::Resp;
use crate::limits::OUTPUT_PAUSE_BYTES;
use mio::net::UnixStream;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
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
    /// The task that process belongs to, once it was looked for.
    pub(super) task: Option<Option<String>>,
    pub(super) dialect: Option<Dialect>,
    /// Bytes of a request that is not whole, or that stand behind a wait.
    pub(super) input: Vec<u8>,
    /// How much of `input` is known to hold no line feed.
    pub(super) searched: usize,
    pub(super) skip: Option<Skip>,
    /// What a Redis client has begun.
    pub(super) resp: Option<Box<Resp>>,
    pub(super) output: Output,
    /// What of it the loop has counted in its total, in bytes.
    pub(super) counted: usize,
    /// So much waits for all clients together that this one may have nothing waiting and ask on.
    pub(super) crowded: bool,
    /// The socket may hold input that has not been read.
    pub(super) readable: bool,
    /// The client has closed its sending side.
    pub(super) ended: bool,
    /// A wait holds up what stands behind it.
    pub(super) waiting: bool,
    /// Gets events.
    pub(super) subscribed: bool,
    /// Is still to be told of events of the past.
    pub(super) replaying: bool,
    /// The end of what the client sends is in the socket, perhaps behind unread input.
    pub(super) end_seen: bool,
    /// Queued to be gone on with.
    pub(super) touched: bool,
    /// The loop is told when the socket takes output again.
    pub(super) awaits_room: bool,
    /// Nothing more is accepted; closed once its output is sent.
    pub(super) closing: bool,
    /// Its turn was over before its requests were: it has another one.
    pub(super) goes_on: bool,
    /// The client has closed altogether: nobody reads what is sent.
    pub(super) gone: bool,
    stalled: Option<Instant>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, peer: Option<i32>) -> Connection {
        Connection {
            stream,
            peer,
            task: None,
            dialect: None,
            input: Vec::new(),
            searched: 0,
            skip: None,
            resp: None,
            output: Output::default(),
            counted: 0,
            crowded: false,
            readable: true,
            ended: false,
            waiting: false,
            subscribed: false,
            replaying: false,
            end_seen: false,
            touched: false,
            awaits_room: false,
            closing: false,
            goes_on: false,
            gone: false,
            stalled: None,
        }
    }

    /// Whether requests may be carried out now.
    pub(super) fn takes_requests(&self) -> bool {
        !self.waiting && !self.closing && self.has_room()
    }

    /// Whether more may be put into the output now.
    pub(super) fn has_room(&self) -> bool {
        self.output.len() < if self.crowded { 1 } else { OUTPUT_PAUSE_BYTES }
    }

    /// A text connection after SUBSCRIBE carries events alone.
    pub(super) fn events_only(&self) -> bool {
        self.subscribed && self.dialect == Some(Dialect::Text)
    }

    /// Whether nothing can come of this connection any more.
    pub(super) fn is_done(&self) -> bool {
        if self.goes_on {
            return false;
        }
        let over = self.closing || (self.ended && !self.waiting && !self.subscribed);
        self.gone || (over && self.output.is_empty() && (self.closing || self.input.is_empty()))
    }

    /// Sends what waits, and notes whether the client takes it.
    pub(super) fn flush(&mut self) {
        if self.output.is_empty() {
            self.stalled = None;
            return;
        }
        match self.output.send(Quiet(&self.stream)) {
            Ok(_) if self.output.is_empty() => self.stalled = None,
            Ok(any) => {
                if any || self.stalled.is_none() {
                    self.stalled = Some(Instant::now());
                }
            }
            Err(_) => self.gone = true,
        }
        if self.gone {
            // What it has asked for is still carried out; its replies hold nothing up.
            self.output = Output::default();
            self.stalled = None;
        }
    }

    /// Says one line to a client that is not taken, as far as it fits.
    pub(super) fn turn_away(stream: &UnixStream, line: &str) {
        // A client that has gone already missed nothing.
        let _ = Quiet(stream).write(line.as_bytes());
    }

    /// Whether output waits, so that time matters.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Whether the client has taken nothing for too long. A subscriber may stop for as long as it
    /// likes: what waits for it is bounded, and going beyond is told it.
    pub(super) fn is_hopeless(&self) -> bool {
        let patience = self.subscribed && !self.closing;
        !patience && self.stalled.is_some_and(|since| since.elapsed() >= STALL_MAX)
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
        Ok(send(self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut no_descriptors = SendAncillaryBuffer::default();
        Ok(sendmsg(self.0, pieces, &mut no_descriptors, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

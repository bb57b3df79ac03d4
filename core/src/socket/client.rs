//! The client: one connection in the binary dialect.

use super::address;
use super::binary::{self, LENGTH_BYTES, status};
use super::command::Request;
use super::subscription::Subscription;
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt;
use crate::json::Json;
use crate::key::{Key, Pattern};
use crate::limits::FRAME_BYTES_MAX;
use crate::progress::Record;
use crate::spin::Spin;
use crate::values::{Condition, TICK, Tick, Values};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::borrow::Cow;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long after its deadline a wait is given up on a server that does not say so.
const WAIT_GRACE: Duration = Duration::from_secs(1);
/// Bytes asked of the socket at first: enough for one reply, and no page of their own.
const FIRST_READ_BYTES: usize = 512;
/// Bytes asked of the socket at a time once replies come that fast.
const READ_BYTES: usize = 64 << 10;

/// A connection to a server. Requests are answered in order; see [`Values`] for the vocabulary.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    out: Vec<u8>,
    input: Vec<u8>,
    /// Where unread input begins and ends in `input`.
    unread: (usize, usize),
    /// Replies that have not been read.
    outstanding: usize,
    /// Longest wait for a reply that should come at once.
    reply_limit: Option<Duration>,
    spin: Spin,
}

/// One reply, read off the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received<'a> {
    pub(super) status: u8,
    pub(super) payload: &'a [u8],
}

impl Client {
    /// Connects to the server at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] when nobody listens there.
    pub fn connect(path: &Path) -> Result<Client> {
        let stream = connect(path)?;
        Ok(Client {
            stream,
            path: path.to_owned(),
            out: Vec::new(),
            input: Vec::new(),
            unread: (0, 0),
            outstanding: 0,
            reply_limit: None,
            spin: Spin::new(),
        })
    }

    /// Gives up on a reply that takes longer than `limit` (waits have their own deadlines). The
    /// call then fails with [`ErrorKind::TimedOut`], and the next one starts on a fresh connection.
    pub fn set_reply_limit(&mut self, limit: Option<Duration>) {
        self.reply_limit = limit;
    }

    /// Whether the server still holds this connection, idle now. Costs one system call.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
        matches!(recv(&self.stream, &mut [0; 1], flags), Err(rustix::io::Errno::AGAIN))
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// When it is not; so for every call here.
    pub fn ping(&mut self) -> Result<()> {
        self.call(&Request::Ping)?.done()
    }

    /// Tells the subscribers of `channel`; nothing is stored.
    ///
    /// # Errors
    /// When the server is not there, or the value is above its limit.
    pub fn publish(&mut self, channel: &Key, value: &Json) -> Result<()> {
        let value = Cow::Borrowed(value.as_str());
        self.call(&Request::Publish { channel: channel.as_str(), value })?.done()
    }

    /// Reports progress.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn progress(&mut self, record: &Record) -> Result<()> {
        self.call(&Request::Progress { record: Cow::Owned(record.to_json()) })?.done()
    }

    /// Figures about the server, a JSON object.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn stats(&mut self) -> Result<Json> {
        self.call(&Request::Stats)?.json()
    }

    /// The values of `keys`, asked for at once: one round trip for all of them.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn get_many(&mut self, keys: &[Key]) -> Result<Vec<Option<Json>>> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(1024) {
            self.begin()?;
            for key in keys {
                binary::encode_request(&Request::Get { key: key.as_str() }, &mut self.out);
            }
            self.send_out(keys.len())?;
            let deadline = self.reply_deadline();
            for key in keys {
                let reply = self.receive(deadline, &mut interrupt::check)?;
                values.push(match reply.status {
                    status::NOT_FOUND => None,
                    _ => Some(reply.of(key.as_str()).json()?),
                });
            }
        }
        Ok(values)
    }

    /// Turns this connection into a stream of events.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn subscribe(mut self, pattern: &Pattern) -> Result<Subscription> {
        self.call(&Request::Subscribe { pattern: pattern.as_str() })?.done()?;
        Ok(Subscription::new(self))
    }

    fn reply_deadline(&self) -> Option<Instant> {
        self.reply_limit.and_then(|limit| Instant::now().checked_add(limit))
    }

    fn call<'c>(&'c mut self, request: &Request<'_>) -> Result<Answer<'c>> {
        let deadline = self.reply_deadline();
        self.call_until(request, deadline, &mut interrupt::check)
    }

    fn call_until<'c>(
        &'c mut self,
        request: &Request<'_>,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<Answer<'c>> {
        self.begin()?;
        binary::encode_request(request, &mut self.out);
        self.send_out(1)?;
        Ok(self.receive(deadline, tick)?.of(""))
    }

    /// Makes ready for a request. A wait that was given up left its reply on the way: then the
    /// conversation starts anew on a fresh connection.
    fn begin(&mut self) -> Result<()> {
        self.out.clear();
        if self.outstanding > 0 {
            self.stream = connect(&self.path)?;
            self.unread = (0, 0);
            self.outstanding = 0;
        }
        Ok(())
    }

    /// Sends what has been encoded, which asks for `replies`.
    fn send_out(&mut self, replies: usize) -> Result<()> {
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
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => break,
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

/// A reply together with the key it is about.
struct Answer<'a> {
    received: Received<'a>,
    key: &'a str,
}

impl<'a> Received<'a> {
    fn of(self, key: &'a str) -> Answer<'a> {
        Answer { received: self, key }
    }
}

impl Answer<'_> {
    /// The error this reply is, if it is one.
    fn check(&self) -> Result<()> {
        let key = self.key;
        Err(match self.received.status {
            status::OK => return Ok(()),
            status::NOT_FOUND => Error::not_found(key),
            status::TIMED_OUT => Error::timed_out(key),
            status::CONDITION => {
                Error::new(ErrorKind::Condition, format!("condition not met: {key}"))
            }
            status::PRODUCER_ENDED => {
                let message = format!("producer ended: {key} can no longer come");
                Error::new(ErrorKind::ProducerEnded, message)
            }
            _ => {
                let message = String::from_utf8_lossy(self.received.payload).into_owned();
                Error::new(ErrorKind::Io, message)
            }
        })
    }

    fn done(self) -> Result<()> {
        self.check()
    }

    fn json(self) -> Result<Json> {
        self.check()?;
        server_json(self.received.payload)
    }
}

/// JSON the server has checked and compacted already.
pub(super) fn server_json(bytes: &[u8]) -> Result<Json> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Json::from_checked(Cow::Borrowed(text))),
        Err(_) => Err(Error::new(ErrorKind::Protocol, "the server's reply is not UTF-8")),
    }
}

impl Values for Client {
    fn set(&mut self, key: &Key, value: &Json, condition: Condition) -> Result<()> {
        let (key, value) = (key.as_str(), Cow::Borrowed(value.as_str()));
        let request = match condition {
            Condition::Always => Request::Set { key, value },
            Condition::IfAbsent => Request::SetIfAbsent { key, value },
            Condition::IfRevision(revision) => Request::CompareAndSet { key, revision, value },
        };
        let received = self.call(&request)?.received;
        match (received.status, condition) {
            (status::CONDITION, Condition::IfAbsent) => {
                Err(Error::new(ErrorKind::Condition, format!("exists: {key}")))
            }
            (status::CONDITION, _) => {
                Err(Error::new(ErrorKind::Condition, format!("conflict: {key}")))
            }
            _ => received.of(key).done(),
        }
    }

    fn get(&mut self, key: &Key) -> Result<Option<Json>> {
        let received = self.call(&Request::Get { key: key.as_str() })?.received;
        match received.status {
            status::NOT_FOUND => Ok(None),
            _ => received.of(key.as_str()).json().map(Some),
        }
    }

    fn get_with_revision(&mut self, key: &Key) -> Result<Option<(u64, Json)>> {
        let received = self.call(&Request::GetRevision { key: key.as_str() })?.received;
        if received.status == status::NOT_FOUND {
            return Ok(None);
        }
        received.of(key.as_str()).check()?;
        let (revision, json) = binary::split_revision(received.payload)?;
        Ok(Some((revision, server_json(json)?)))
    }

    fn list(&mut self, pattern: &Pattern) -> Result<Vec<String>> {
        let keys = self.call(&Request::List { pattern: pattern.as_str() })?.json()?;
        serde_json::from_str(keys.as_str())
            .map_err(|_| Error::new(ErrorKind::Protocol, "the server's reply is no list of keys"))
    }

    fn delete(&mut self, key: &Key) -> Result<()> {
        self.call(&Request::Delete { key: key.as_str() })?.received.of(key.as_str()).done()
    }

    fn increment(&mut self, key: &Key, by: i64) -> Result<i64> {
        let answer = self.call(&Request::Increment { key: key.as_str(), by })?;
        let sum = answer.received.of(key.as_str()).json()?;
        sum.as_str()
            .parse()
            .map_err(|_| Error::new(ErrorKind::Protocol, "the server's reply is no number"))
    }

    fn wait(&mut self, key: &Key, deadline: Option<Instant>, tick: Tick<'_>) -> Result<Json> {
        let timeout = deadline
            .map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        let request = Request::Wait { key: key.as_str(), timeout };
        // The server keeps the time. This side steps in only where the server is stopped.
        let given_up = deadline.and_then(|deadline| deadline.checked_add(WAIT_GRACE));
        match self.call_until(&request, given_up, tick) {
            Ok(answer) => answer.received.of(key.as_str()).json(),
            Err(error) if given_up.is_some_and(|at| at <= Instant::now()) => {
                let late = error.kind() == ErrorKind::TimedOut;
                Err(if late { Error::timed_out(key.as_str()) } else { error })
            }
            Err(error) => Err(error),
        }
    }
}

//! The client: one connection in the binary dialect.

mod answer;
mod connection;
mod coordination;
mod event;
mod pending;
mod subscription;
mod values;

pub use event::{Event, Gap};
pub use pending::Pending;
pub use subscription::Subscription;

use super::command::{From, Request};
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt;
use crate::json::Json;
use crate::key::{Key, Pattern};
use crate::progress::Record;
use crate::values::Tick;
use answer::Answer;
use connection::Connection;
use rustix::net::{RecvFlags, recv};
use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long after its deadline a wait is given up on a server that does not say so.
const WAIT_GRACE: Duration = Duration::from_secs(1);

/// A connection to a server. Requests are answered in order; see [`Values`](crate::Values) for the
/// vocabulary.
#[derive(Debug)]
pub struct Client {
    wire: Connection,
}

impl Client {
    /// Connects to the server at `path`.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] when nobody listens there.
    pub fn connect(path: &Path) -> Result<Client> {
        Ok(Client { wire: Connection::open(path)? })
    }

    /// Gives up on a reply that takes longer than `limit` (waits have their own deadlines). The
    /// call then fails with [`ErrorKind::TimedOut`], and the next one starts on a fresh connection.
    pub fn set_reply_limit(&mut self, limit: Option<Duration>) {
        self.wire.reply_limit = limit;
    }

    /// Whether the server still holds this connection, idle now. Costs one system call.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
        matches!(recv(&self.wire.stream, &mut [0; 1], flags), Err(rustix::io::Errno::AGAIN))
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

    /// Turns this connection into a stream of events.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn subscribe(mut self, pattern: &Pattern) -> Result<Subscription> {
        self.call(&Request::Subscribe { pattern: pattern.as_str() })?.done()?;
        Ok(Subscription::live(self.wire))
    }

    /// As [`Client::subscribe`], from a number of the run on: past changes come first, then what
    /// happens. Changes that are not there any more are reported as one event of the kind
    /// [`EventKind::Gap`](super::EventKind::Gap). See [`Subscription::resuming`].
    ///
    /// ```
    /// use otto_core::socket::{Client, EventKind, From, Options, Server};
    /// use otto_core::{Condition, Json, Key, Pattern, Values};
    /// # fn main() -> otto_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
    /// let mut client = Client::connect(running.path())?;
    /// client.set(&Key::parse("build.version")?, &Json::number(7), Condition::Always)?;
    /// let mut events = client.subscribe_from(&Pattern::all(), From::Start)?.resuming(true);
    /// let event = events.next(None, &mut || Ok(()))?.unwrap();
    /// assert_eq!((event.seq, event.kind), (1, EventKind::Set));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the server is not there.
    pub fn subscribe_from(self, pattern: &Pattern, from: From) -> Result<Subscription> {
        Subscription::replaying(self.wire, pattern, from)
    }

    fn call<'c>(&'c mut self, request: &Request<'_>) -> Result<Answer<'c>> {
        let deadline = self.wire.reply_deadline();
        self.call_until(request, deadline, &mut interrupt::check)
    }

    fn call_until<'c>(
        &'c mut self,
        request: &Request<'_>,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<Answer<'c>> {
        self.wire.call(request, deadline, tick)
    }

    /// A request that the server answers in its time, at `deadline` the latest. This side steps in
    /// only where the server is stopped.
    fn call_patiently<'c>(
        &'c mut self,
        request: &Request<'_>,
        key: &'c str,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<Answer<'c>> {
        let given_up = deadline.and_then(|deadline| deadline.checked_add(WAIT_GRACE));
        match self.call_until(request, given_up, tick) {
            Ok(answer) => Ok(answer.received.of(key)),
            Err(error) if given_up.is_some_and(|at| at <= Instant::now()) => {
                let late = error.kind() == ErrorKind::TimedOut;
                Err(if late { Error::timed_out(key) } else { error })
            }
            Err(error) => Err(error),
        }
    }
}

/// The time left until `deadline`, without end where there is none.
fn time_until(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()))
}

/// For whoever hands the connection on to a child: what is bound to it, such as a lock, then lives
/// as long as the last of them has it.
impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.stream.as_fd()
    }
}

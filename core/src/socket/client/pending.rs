//! Requests whose replies are taken when they have come: for programs with an event loop of their
//! own.

use super::super::command::Request;
use super::answer::Answer;
use super::{Client, time_until};
use crate::error::{ErrorKind, Result};
use crate::interrupt;
use crate::json::Json;
use crate::key::Key;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// A request that waits for its reply. Whoever drops it gives up the wait at once; a connection
/// with a wait of its own holds up nobody else.
///
/// ```
/// use otto_core::socket::{Client, Options, Server};
/// use otto_core::{Condition, Json, Key, Values};
/// use rustix::event::{PollFd, PollFlags, poll};
/// # fn main() -> otto_core::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
/// let key = Key::parse("build.version")?;
/// let mut pending = Client::connect(running.path())?.begin_wait(&key, None)?;
/// assert_eq!(pending.reply()?, None);
/// Client::connect(running.path())?.set(&key, &Json::number(7), Condition::Always)?;
/// let version = loop {
///     poll(&mut [PollFd::new(&pending, PollFlags::IN)], None).unwrap();
///     if let Some(version) = pending.reply()? {
///         break version;
///     }
/// };
/// assert_eq!(version, Json::number(7));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Pending {
    client: Client,
    key: String,
    is_lock: bool,
}

impl Client {
    /// Begins [`Values::wait`](crate::Values::wait); the reply is the value.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn begin_wait(self, key: &Key, deadline: Option<Instant>) -> Result<Pending> {
        let request = Request::Wait { key: key.as_str(), timeout: time_until(deadline) };
        self.begin(&request, key, false)
    }

    /// Begins [`Client::lock`]; the reply is the token.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn begin_lock(self, name: &Key, slots: u32, until: Option<Instant>) -> Result<Pending> {
        let request = Request::Lock { name: name.as_str(), slots, timeout: time_until(until) };
        self.begin(&request, name, true)
    }

    /// Begins [`Client::barrier`]; the reply is the number of the arrival.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn begin_barrier(self, name: &Key, count: u32, until: Option<Instant>) -> Result<Pending> {
        let request = Request::Barrier { name: name.as_str(), count, timeout: time_until(until) };
        self.begin(&request, name, false)
    }

    /// Begins to wait for the server's end; the reply is what [`Client::stats`] says then, so that who
    /// looks at that now and then misses nothing. A server that is killed gives none.
    ///
    /// ```
    /// use otto_core::socket::{Client, Options, Server};
    /// # fn main() -> otto_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
    /// let mut last = Client::connect(running.path())?.begin_last_stats()?;
    /// assert_eq!(last.reply()?, None);
    /// running.stop()?;
    /// assert!(last.reply()?.is_some_and(|stats| stats.as_str().contains("\"progress\":[]")));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the server is not there.
    pub fn begin_last_stats(mut self) -> Result<Pending> {
        self.wire.send(&Request::LastStats)?;
        Ok(Pending { client: self, key: String::new(), is_lock: false })
    }

    fn begin(mut self, request: &Request<'_>, key: &Key, is_lock: bool) -> Result<Pending> {
        self.wire.send(request)?;
        Ok(Pending { client: self, key: key.as_str().into(), is_lock })
    }
}

impl Pending {
    /// The reply if it has come whole: never waits. Ask when the descriptor is readable.
    ///
    /// # Errors
    /// What the reply says; and when the server has gone.
    pub fn reply(&mut self) -> Result<Option<Json>> {
        let now = Some(Instant::now());
        let received = match self.client.wire.receive(now, &mut interrupt::check) {
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(None),
            received => received?,
        };
        let reply = Answer::json(received.of(&self.key))?;
        if self.is_lock {
            self.client.wire.locks.push(self.key.as_str().into());
        }
        Ok(Some(reply))
    }

    /// The connection, once the reply is there: a lock is held by it.
    #[must_use]
    pub fn into_client(self) -> Client {
        self.client
    }
}

impl AsFd for Pending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

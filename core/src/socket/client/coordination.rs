//! Locks, barriers, cancellation.

use super::super::command::Request;
use super::answer::Answer;
use super::{Client, time_until};
use crate::error::Result;
use crate::json::Json;
use crate::key::{Key, Pattern, TaskName};
use crate::values::Tick;
use std::time::Instant;

impl Client {
    /// Takes one of the `slots` of the lock `name` and returns its token, a number that only grows
    /// from holder to holder. The lock is held until [`Client::unlock`] or the end of this
    /// connection, whatever ends it.
    ///
    /// ```
    /// use otto_core::socket::{Client, Options, Server};
    /// use otto_core::{Key, Pattern};
    /// # fn main() -> otto_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
    /// let mut client = Client::connect(running.path())?;
    /// let name = Key::parse("database")?;
    /// let token = client.lock(&name, 1, None, &mut || Ok(()))?;
    /// assert!(client.locks(&Pattern::all())?.as_str().contains(&format!("\"token\":{token}")));
    /// client.unlock(&name)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) at the deadline;
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when this connection holds it already, or others
    /// hold it with another number of slots; and whatever `tick` returned. The call after one that
    /// `tick` ended begins on a new connection: it fails when the old one held other locks, which
    /// are free then.
    pub fn lock(
        &mut self,
        name: &Key,
        slots: u32,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<u64> {
        let timeout = time_until(deadline);
        let request = Request::Lock { name: name.as_str(), slots, timeout };
        let answer = self.call_patiently(&request, name.as_str(), deadline, tick);
        let token = answer.and_then(Answer::number);
        match token {
            Ok(_) => self.wire.locks.push(name.as_str().into()),
            Err(_) => self.wire.give_up(),
        }
        token
    }

    /// Gives a lock back that this connection holds.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when it does not hold it.
    pub fn unlock(&mut self, name: &Key) -> Result<()> {
        let answer = self.call(&Request::Unlock { name: name.as_str() })?;
        let done = answer.received.of(name.as_str()).done();
        // Whatever the server says, it is not held now.
        self.wire.locks.retain(|held| **held != *name.as_str());
        done
    }

    /// Who holds the locks that match, and how many wait, as a JSON array:
    /// `[{"name":"db","slots":1,"holders":[{"token":7,"pid":123,"task":"build","seconds":0.4}],`
    /// `"waiting":0}]`. `task` is there where it is known.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn locks(&mut self, pattern: &Pattern) -> Result<Json> {
        self.call(&Request::Locks { pattern: pattern.as_str() })?.json()
    }

    /// Waits until `count` have come to the barrier `name`, and returns as which of them this one
    /// came, from 1 on. The next to come begin a new round.
    ///
    /// ```
    /// use otto_core::socket::{Client, Options, Server};
    /// use otto_core::Key;
    /// # fn main() -> otto_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
    /// let mut both = [Client::connect(running.path())?, Client::connect(running.path())?];
    /// let name = Key::parse("ready")?;
    /// let places = std::thread::scope(|scope| {
    ///     let wait = |client| scope.spawn(|| Client::barrier(client, &name, 2, None, &mut || Ok(())));
    ///     both.each_mut().map(wait).map(|thread| thread.join().unwrap().unwrap())
    /// });
    /// assert_eq!(places.iter().sum::<u32>(), 1 + 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) at the deadline, after which this one
    /// is not counted any more; [`ErrorKind::Io`](crate::ErrorKind::Io) when those who wait there
    /// named another count; and whatever `tick` returned.
    pub fn barrier(
        &mut self,
        name: &Key,
        count: u32,
        deadline: Option<Instant>,
        tick: Tick<'_>,
    ) -> Result<u32> {
        let timeout = time_until(deadline);
        let request = Request::Barrier { name: name.as_str(), count, timeout };
        let answer = self.call_patiently(&request, name.as_str(), deadline, tick);
        let place = answer.and_then(Answer::number);
        if place.is_err() {
            self.wire.give_up();
        }
        place
    }

    /// Asks `task`, or the whole run, to end.
    ///
    /// ```
    /// use otto_core::TaskName;
    /// use otto_core::socket::{Client, Options, Server};
    /// # fn main() -> otto_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
    /// let mut client = Client::connect(running.path())?;
    /// let build = TaskName::parse("build")?;
    /// client.cancel(Some(&build))?;
    /// assert!(client.cancelled(Some(&build))? && !client.cancelled(None)?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the server knows its tasks and
    /// `task` is none of them.
    pub fn cancel(&mut self, task: Option<&TaskName>) -> Result<()> {
        let task = task.map(TaskName::as_str);
        self.call(&Request::Cancel { task })?.received.of(task.unwrap_or_default()).done()
    }

    /// Whether `task` was asked to end, by name or with the whole run; `None`: the whole run.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn cancelled(&mut self, task: Option<&TaskName>) -> Result<bool> {
        let task = task.map(TaskName::as_str);
        Ok(self.call(&Request::Cancelled { task })?.json()?.as_str() == "true")
    }
}

//! The vocabulary of every transport, over the socket, and what only the socket has of it.

use super::super::binary::{self, status};
use super::super::command::Request;
use super::super::operation::Operation;
use super::answer::server_json;
use super::{Client, time_until};
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt;
use crate::json::{Json, elements};
use crate::key::{Key, Pattern};
use crate::values::{Condition, Tick, Values};
use std::borrow::Cow;
use std::time::{Duration, Instant};

impl Client {
    /// The values of `keys`, asked for at once: one round trip for all of them.
    ///
    /// # Errors
    /// When the server is not there.
    pub fn get_many(&mut self, keys: &[Key]) -> Result<Vec<Option<Json>>> {
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(1024) {
            let wire = &mut self.wire;
            wire.begin()?;
            for key in keys {
                binary::encode_request(&Request::Get { key: key.as_str() }, &mut wire.out);
            }
            wire.send_out(keys.len())?;
            let deadline = wire.reply_deadline();
            for key in keys {
                let reply = wire.receive(deadline, &mut interrupt::check)?;
                values.push(match reply.status {
                    status::NOT_FOUND => None,
                    _ => Some(reply.of(key.as_str()).json()?),
                });
            }
        }
        Ok(values)
    }

    /// Adds `value` at the end of the list under `key`, which is made when absent, and returns how
    /// long the list is now.
    ///
    /// ```
    /// use otto_core::socket::{Client, Options, Server};
    /// use otto_core::{Json, Key};
    /// # fn main() -> otto_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
    /// let mut client = Client::connect(running.path())?;
    /// let steps = Key::parse("build.steps")?;
    /// assert_eq!(client.append(&steps, &Json::string("compile"))?, 1);
    /// assert_eq!(client.append(&steps, &Json::string("link"))?, 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the value under `key` is no list; [`ErrorKind::TooLarge`] above a limit.
    pub fn append(&mut self, key: &Key, value: &Json) -> Result<u64> {
        let value = Cow::Borrowed(value.as_str());
        let answer = self.call(&Request::Append { key: key.as_str(), value })?;
        answer.received.of(key.as_str()).number()
    }

    /// Carries out all of `operations`, in their order, or none: the results, one for each.
    ///
    /// ```
    /// use otto_core::socket::{Client, Operation, Options, Server};
    /// use otto_core::{Json, Key};
    /// # fn main() -> otto_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
    /// let mut client = Client::connect(running.path())?;
    /// let (stock, sold) = (Key::parse("stock")?, Key::parse("sold")?);
    /// let sell = [Operation::increment(&stock, -1), Operation::append(&sold, &Json::string("pear"))];
    /// assert_eq!(client.batch(&sell)?, [Json::number(-1), Json::number(1)]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Condition`] naming the operation whose condition does not hold; whatever else
    /// is wrong with one of them. Nothing is changed then.
    pub fn batch(&mut self, operations: &[Operation]) -> Result<Vec<Json>> {
        let mut text = String::from("[");
        for (index, operation) in operations.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            operation.write_to(&mut text);
        }
        text.push(']');
        let results = self.call(&Request::Batch { operations: Cow::Owned(text) })?.json()?;
        Ok(elements(results.as_str()).map(checked).collect())
    }

    /// How long `key` will still be there; `None`: until it is removed.
    ///
    /// ```
    /// use otto_core::socket::{Client, Operation, Options, Server};
    /// use otto_core::{Json, Key};
    /// # fn main() -> otto_core::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let running = Server::bind(&folder.path().join("s"), Options::default())?.spawn();
    /// let mut client = Client::connect(running.path())?;
    /// let key = Key::parse("build.token")?;
    /// let minute = std::time::Duration::from_secs(60);
    /// client.batch(&[Operation::set(&key, &Json::number(1)).ttl(minute)])?;
    /// assert!(client.ttl(&key)?.is_some_and(|left| left <= minute));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is absent.
    pub fn ttl(&mut self, key: &Key) -> Result<Option<Duration>> {
        let answer = self.call(&Request::TimeToLive { key: key.as_str() })?;
        let seconds = answer.received.of(key.as_str()).json()?;
        if seconds.is_null() {
            return Ok(None);
        }
        let seconds: Option<f64> = seconds.as_str().parse().ok();
        let left = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        left.map(Some)
            .ok_or_else(|| Error::new(ErrorKind::Protocol, "the server's reply is no time"))
    }
}

fn checked(text: &str) -> Json {
    Json::from_checked(Cow::Borrowed(text))
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
        answer.received.of(key.as_str()).number()
    }

    fn append(&mut self, key: &Key, value: &Json) -> Result<u64> {
        Client::append(self, key, value)
    }

    fn wait(&mut self, key: &Key, deadline: Option<Instant>, tick: Tick<'_>) -> Result<Json> {
        let request = Request::Wait { key: key.as_str(), timeout: time_until(deadline) };
        self.call_patiently(&request, key.as_str(), deadline, tick)?.json()
    }
}

//! Events, one after the other, from a connection of their own.

use super::binary::status;
use super::client::Client;
use super::command::EventKind;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, members, utf8};
use crate::values::Tick;
use std::time::Instant;

/// One change of what is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The number of the write, in the order of the run.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// The key or channel.
    pub key: String,
    /// The new value; `None` for a removal.
    pub value: Option<Json>,
    /// The whole event as it came: `{"seq":7,"event":"set","key":"a.b","value":1}`.
    pub text: String,
}

impl Event {
    pub(super) fn parse(bytes: &[u8]) -> Result<Event> {
        let broken =
            || Error::new(ErrorKind::Protocol, "the server sent something that is no event");
        let text = utf8(bytes)?.to_owned();
        let (mut seq, mut kind, mut key, mut value) = (None, None, None, None);
        for (name, member) in members(&text)?.0 {
            match name {
                "\"seq\"" => seq = member.parse().ok(),
                "\"event\"" => {
                    let kinds = [EventKind::Set, EventKind::Delete, EventKind::Publish];
                    kind = kinds.into_iter().find(|kind| member.trim_matches('"') == kind.as_str());
                }
                "\"key\"" => key = Json::parse(member)?.decode_string(),
                "\"value\"" => value = Some(Json::parse(member)?),
                _ => {}
            }
        }
        Ok(Event {
            seq: seq.ok_or_else(broken)?,
            kind: kind.ok_or_else(broken)?,
            key: key.ok_or_else(broken)?,
            value,
            text,
        })
    }
}

/// A stream of events. It ends with an error: the server's end, its word that this side is too
/// slow, or what a tick returned.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
}

impl Subscription {
    pub(super) fn new(client: Client) -> Subscription {
        Subscription { client }
    }

    /// The next event; `None` at the deadline, after which the stream goes on.
    ///
    /// # Errors
    /// When the server has gone or disconnected us, or `tick` returned an error.
    pub fn next(&mut self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<Option<Event>> {
        let received = match self.client.receive(deadline, tick) {
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(None),
            received => received?,
        };
        match received.status {
            status::EVENT => Event::parse(received.payload).map(Some),
            _ => {
                let reason = String::from_utf8_lossy(received.payload).into_owned();
                Err(Error::new(ErrorKind::Unreachable, reason))
            }
        }
    }
}

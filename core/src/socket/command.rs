//! What a client can ask and what the server answers: shared by both dialects and both sides.

use crate::json::push_string;
use std::borrow::Cow;
use std::time::Duration;

/// One request. Texts borrow from the frame or line they came in; keys, channels and patterns are
/// checked, values are checked compact JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request<'a> {
    /// Store a value.
    Set { key: &'a str, value: Cow<'a, str> },
    /// Read a value.
    Get { key: &'a str },
    /// Read a value and the number of its last write.
    GetRevision { key: &'a str },
    /// Remove a value.
    Delete { key: &'a str },
    /// The keys that match, sorted.
    List { pattern: &'a str },
    /// Every later change of what matches, as events.
    Subscribe { pattern: &'a str },
    /// The value as soon as there is one.
    Wait { key: &'a str, timeout: Duration },
    /// Add to a number.
    Increment { key: &'a str, by: i64 },
    /// Store a value unless there is one.
    SetIfAbsent { key: &'a str, value: Cow<'a, str> },
    /// Store a value if the last write has this number (0: there is none).
    CompareAndSet { key: &'a str, revision: u64, value: Cow<'a, str> },
    /// Tell the subscribers of a channel; nothing is stored.
    Publish { channel: &'a str, value: Cow<'a, str> },
    /// Is anybody there.
    Ping,
    /// A progress record, a JSON object.
    Progress { record: Cow<'a, str> },
    /// Figures about the server, a JSON object.
    Stats,
}

/// One reply, as the server sees it; codecs give it its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply<'a> {
    /// Done, nothing to tell.
    Ok,
    /// A value asked for.
    Value(&'a str),
    /// JSON made for this reply: a list of keys, a number, figures.
    Json(String),
    /// A value and the number of its last write.
    Revision(u64, Cow<'a, str>),
    /// The key read is absent.
    Absent,
    /// The key to remove is absent.
    NotFound(&'a str),
    /// The key that should have been absent is there.
    Exists(&'a str),
    /// The last write has another number.
    Conflict(&'a str),
    /// The deadline passed.
    TimedOut(&'a str),
    /// Nobody is left to set the key.
    ProducerEnded(&'a str),
    /// What is wrong with the request.
    Error(String),
}

/// What a subscriber is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A key got a value.
    Set,
    /// A key was removed.
    Delete,
    /// A value was published on a channel.
    Publish,
}

impl EventKind {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Set => "set",
            EventKind::Delete => "delete",
            EventKind::Publish => "publish",
        }
    }
}

/// The JSON text of a list of keys; `None` when that takes more than `bytes_max`.
pub(super) fn list_text<'k>(
    keys: impl Iterator<Item = &'k str>,
    bytes_max: usize,
) -> Option<String> {
    let mut out = String::from("[");
    for key in keys {
        if out.len() > 1 {
            out.push(',');
        }
        push_string(&mut out, key);
        if out.len() >= bytes_max {
            return None;
        }
    }
    out.push(']');
    Some(out)
}

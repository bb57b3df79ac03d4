//! What a client can ask and what the server answers: shared by both dialects and both sides.

use crate::error::{Error, Result};
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
    /// These figures as they are when the server ends.
    LastStats,
    /// Carry out all operations of a JSON array, or none.
    Batch { operations: Cow<'a, str> },
    /// Add a value at the end of a list.
    Append { key: &'a str, value: Cow<'a, str> },
    /// How long a key will still be there.
    TimeToLive { key: &'a str },
    /// One of a lock's slots, as soon as one is free.
    Lock { name: &'a str, slots: u32, timeout: Duration },
    /// Give a lock back.
    Unlock { name: &'a str },
    /// Who holds the locks that match, who waits for them.
    Locks { pattern: &'a str },
    /// Go on once so many are here.
    Barrier { name: &'a str, count: u32, timeout: Duration },
    /// Ask a task, or the run, to end.
    Cancel { task: Option<&'a str> },
    /// Whether a task, or the run, was asked to end.
    Cancelled { task: Option<&'a str> },
    /// Every change of what matches from a number of the run on, past ones included.
    SubscribeFrom { from: From, pattern: &'a str },
}

/// Where a subscription begins among the numbered changes of a run.
///
/// ```
/// use otto_core::socket::From;
/// assert_eq!(From::parse("start").unwrap(), From::Start);
/// assert_eq!(From::parse("17").unwrap(), From::Seq(17));
/// assert!(From::parse("yesterday").is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The first change of the run.
    Start,
    /// The next change.
    Now,
    /// The change with this number.
    Seq(u64),
}

impl From {
    /// `start`, `now` or the number of a change, which are counted from 1.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for anything else.
    pub fn parse(text: &str) -> Result<From> {
        match text {
            "start" => Ok(From::Start),
            "now" => Ok(From::Now),
            number => number.parse().map(From::of_wire).map_err(|_| {
                Error::usage(format!("from {text:?}: give start, now or the number of a change"))
            }),
        }
    }

    /// The number that stands for this on the wire.
    pub(super) fn to_wire(self) -> u64 {
        match self {
            From::Start => 0,
            From::Now => u64::MAX,
            From::Seq(seq) => seq,
        }
    }

    pub(super) fn of_wire(number: u64) -> From {
        match number {
            0 => From::Start,
            u64::MAX => From::Now,
            seq => From::Seq(seq),
        }
    }
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
    /// Nobody is left to set the key: the key and who could have.
    ProducerEnded(Cow<'a, str>),
    /// A condition of a batch did not hold: the line that says which.
    Unmet(String),
    /// Subscribed: the number of the last write so far, and what tells this server from another.
    Subscribed { seq: u64, epoch: u64 },
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
    /// A task (the key), or the run (`*`), was asked to end.
    Cancel,
    /// Elements were added at the end of a list.
    Append,
    /// Elements were added at the front of a list.
    Prepend,
    /// Elements were taken from the end of a list.
    Pop,
    /// Elements were taken from the front of a list.
    Shift,
    /// Changes that were asked for are not there any more.
    Gap,
}

impl EventKind {
    pub(super) const ALL: [EventKind; 9] = [
        EventKind::Set,
        EventKind::Delete,
        EventKind::Publish,
        EventKind::Cancel,
        EventKind::Append,
        EventKind::Prepend,
        EventKind::Pop,
        EventKind::Shift,
        EventKind::Gap,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Set => "set",
            EventKind::Delete => "delete",
            EventKind::Publish => "publish",
            EventKind::Cancel => "cancel",
            EventKind::Append => "append",
            EventKind::Prepend => "prepend",
            EventKind::Pop => "pop",
            EventKind::Shift => "shift",
            EventKind::Gap => "gap",
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

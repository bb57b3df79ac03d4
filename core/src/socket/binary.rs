//! The binary dialect: `[u32 length][u8 command or status][payload]`, big-endian. No I/O here.

use super::command::{From, Reply, Request};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{compacted, utf8};
use crate::key::{Pattern, TaskName, check_key};
use std::borrow::Cow;
use std::time::Duration;

const SET: u8 = 0x01;
const GET: u8 = 0x02;
const DELETE: u8 = 0x03;
const LIST: u8 = 0x04;
const SUBSCRIBE: u8 = 0x05;
const WAIT: u8 = 0x06;
const INCR: u8 = 0x07;
const SETNX: u8 = 0x08;
const CAS: u8 = 0x09;
const PUBLISH: u8 = 0x0A;
const PING: u8 = 0x0B;
const PROGRESS: u8 = 0x0C;
const STATS: u8 = 0x0D;
const GETREV: u8 = 0x0E;
const BATCH: u8 = 0x0F;
const APPEND: u8 = 0x10;
const TTL: u8 = 0x11;
const LOCK: u8 = 0x12;
const UNLOCK: u8 = 0x13;
const LOCKS: u8 = 0x14;
const BARRIER: u8 = 0x15;
const CANCEL: u8 = 0x16;
const CANCELLED: u8 = 0x17;
const SUBSCRIBE_FROM: u8 = 0x18;
const STATS_END: u8 = 0x19;

/// The status byte of a reply.
pub(super) mod status {
    pub(crate) const OK: u8 = 0x00;
    pub(crate) const ERROR: u8 = 0x01;
    pub(crate) const NOT_FOUND: u8 = 0x02;
    pub(crate) const TIMED_OUT: u8 = 0x03;
    pub(crate) const CONDITION: u8 = 0x04;
    pub(crate) const EVENT: u8 = 0x05;
    pub(crate) const PRODUCER_ENDED: u8 = 0x06;
}

/// A wait of this many milliseconds has no deadline.
const WAIT_FOREVER: u32 = u32::MAX;

/// Bytes of the length that stands before a frame.
pub(super) const LENGTH_BYTES: usize = 4;

/// Reads the body of one request frame: command and payload.
///
/// # Errors
/// One line saying what is wrong; the connection stays usable.
pub(super) fn parse(body: &[u8]) -> Result<Request<'_>> {
    let Some((command, payload)) = body.split_first() else {
        return Err(Error::usage("empty frame: a command byte is missing"));
    };
    match *command {
        SET => {
            let (key, rest) = keyed(payload)?;
            Ok(Request::Set { key, value: json(rest)? })
        }
        SETNX => {
            let (key, rest) = keyed(payload)?;
            Ok(Request::SetIfAbsent { key, value: json(rest)? })
        }
        PUBLISH => {
            let (channel, rest) = keyed(payload)?;
            Ok(Request::Publish { channel, value: json(rest)? })
        }
        GET => Ok(Request::Get { key: key(payload)? }),
        GETREV => Ok(Request::GetRevision { key: key(payload)? }),
        DELETE => Ok(Request::Delete { key: key(payload)? }),
        LIST => Ok(Request::List { pattern: pattern(payload)? }),
        SUBSCRIBE => Ok(Request::Subscribe { pattern: pattern(payload)? }),
        WAIT => {
            let (key, rest) = keyed(payload)?;
            let timeout = timeout(exactly(rest, "WAIT needs u32 milliseconds")?);
            Ok(Request::Wait { key, timeout })
        }
        INCR => {
            let (key, rest) = keyed(payload)?;
            Ok(Request::Increment {
                key,
                by: i64::from_be_bytes(exactly(rest, "INCR needs an i64")?),
            })
        }
        CAS => {
            let (key, rest) = keyed(payload)?;
            let (revision, rest) = rest
                .split_first_chunk::<8>()
                .ok_or_else(|| Error::usage("CAS needs a u64 revision after the key"))?;
            let revision = u64::from_be_bytes(*revision);
            Ok(Request::CompareAndSet { key, revision, value: json(rest)? })
        }
        PING if payload.is_empty() => Ok(Request::Ping),
        STATS if payload.is_empty() => Ok(Request::Stats),
        STATS_END if payload.is_empty() => Ok(Request::LastStats),
        PROGRESS => Ok(Request::Progress { record: json(payload)? }),
        BATCH => Ok(Request::Batch { operations: json(payload)? }),
        APPEND => {
            let (key, rest) = keyed(payload)?;
            Ok(Request::Append { key, value: json(rest)? })
        }
        TTL => Ok(Request::TimeToLive { key: key(payload)? }),
        LOCK => {
            let (name, slots, timeout) = counted(payload, "LOCK needs u32 slots")?;
            Ok(Request::Lock { name, slots, timeout })
        }
        UNLOCK => Ok(Request::Unlock { name: key(payload)? }),
        LOCKS => Ok(Request::Locks { pattern: pattern(payload)? }),
        BARRIER => {
            let (name, count, timeout) = counted(payload, "BARRIER needs a u32 count")?;
            Ok(Request::Barrier { name, count, timeout })
        }
        CANCEL => Ok(Request::Cancel { task: task(payload)? }),
        CANCELLED => Ok(Request::Cancelled { task: task(payload)? }),
        SUBSCRIBE_FROM => {
            let (from, rest) = payload
                .split_first_chunk::<8>()
                .ok_or_else(|| Error::usage("SUBSCRIBE-FROM needs a u64 number"))?;
            let from = From::of_wire(u64::from_be_bytes(*from));
            Ok(Request::SubscribeFrom { from, pattern: pattern(rest)? })
        }
        PING | STATS | STATS_END => Err(Error::usage("PING and STATS have no payload")),
        unknown => Err(Error::usage(format!("unknown command 0x{unknown:02x}"))),
    }
}

/// `[u16 length][key]` and what follows.
fn keyed(payload: &[u8]) -> Result<(&str, &[u8])> {
    let short = || Error::usage("the frame ends within its key");
    let (length, rest) = payload.split_first_chunk::<2>().ok_or_else(short)?;
    let (name, rest) =
        rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or_else(short)?;
    Ok((key(name)?, rest))
}

/// `[u16 length][name][u32 number, at least 1][u32 milliseconds]`.
fn counted<'a>(payload: &'a [u8], what: &str) -> Result<(&'a str, u32, Duration)> {
    let (name, rest) = keyed(payload)?;
    let wrong = || Error::usage(format!("{what} from 1 on and u32 milliseconds after the name"));
    let (number, rest) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
    let number = u32::from_be_bytes(*number);
    let milliseconds = rest.try_into().map_err(|_| wrong())?;
    if number == 0 {
        return Err(wrong());
    }
    Ok((name, number, timeout(milliseconds)))
}

fn timeout(milliseconds: [u8; 4]) -> Duration {
    match u32::from_be_bytes(milliseconds) {
        WAIT_FOREVER => Duration::MAX,
        milliseconds => Duration::from_millis(milliseconds.into()),
    }
}

/// The milliseconds of `timeout` on the wire, rounded up.
fn milliseconds(timeout: Duration) -> [u8; 4] {
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
    u32::try_from(milliseconds).unwrap_or(WAIT_FOREVER).to_be_bytes()
}

/// A task's name; nothing stands for the run.
fn task(bytes: &[u8]) -> Result<Option<&str>> {
    let task = utf8(bytes)?;
    if task.is_empty() {
        return Ok(None);
    }
    TaskName::parse(task)?;
    Ok(Some(task))
}

fn key(bytes: &[u8]) -> Result<&str> {
    let key = utf8(bytes)?;
    check_key(key)?;
    Ok(key)
}

fn pattern(bytes: &[u8]) -> Result<&str> {
    let pattern = utf8(bytes)?;
    Pattern::parse(pattern)?;
    Ok(pattern)
}

fn json(bytes: &[u8]) -> Result<Cow<'_, str>> {
    compacted(utf8(bytes)?)
}

fn exactly<const N: usize>(bytes: &[u8], what: &str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Error::usage(what))
}

/// Appends a whole frame; `fill` writes the payload.
fn frame(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, tag]);
    fill(out);
    // Whoever fills a frame checked its parts against the limits.
    let length = u32::try_from(out.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
}

/// Appends the frame of `reply`.
pub(super) fn encode(reply: &Reply<'_>, out: &mut Vec<u8>) {
    match reply {
        Reply::Ok => frame(out, status::OK, |_| {}),
        Reply::Value(json) => frame(out, status::OK, |out| out.extend_from_slice(json.as_bytes())),
        Reply::Json(json) => frame(out, status::OK, |out| out.extend_from_slice(json.as_bytes())),
        Reply::Revision(revision, json) => frame(out, status::OK, |out| {
            out.extend_from_slice(&revision.to_be_bytes());
            out.extend_from_slice(json.as_bytes());
        }),
        Reply::Absent | Reply::NotFound(_) => frame(out, status::NOT_FOUND, |_| {}),
        Reply::Exists(_) | Reply::Conflict(_) => frame(out, status::CONDITION, |_| {}),
        Reply::TimedOut(_) => frame(out, status::TIMED_OUT, |_| {}),
        Reply::ProducerEnded(line) => {
            frame(out, status::PRODUCER_ENDED, |out| out.extend_from_slice(line.as_bytes()));
        }
        Reply::Unmet(line) => {
            frame(out, status::CONDITION, |out| out.extend_from_slice(line.as_bytes()));
        }
        Reply::Subscribed { seq, epoch } => frame(out, status::OK, |out| {
            let json = format!("{{\"seq\":{seq},\"epoch\":\"{epoch:016x}\"}}");
            out.extend_from_slice(json.as_bytes());
        }),
        Reply::Error(what) => {
            frame(out, status::ERROR, |out| out.extend_from_slice(what.as_bytes()));
        }
    }
}

/// Appends the frame of an event's JSON text.
pub(super) fn encode_event(event: &str, out: &mut Vec<u8>) {
    frame(out, status::EVENT, |out| out.extend_from_slice(event.as_bytes()));
}

/// Appends the frame of `request`.
pub(super) fn encode_request(request: &Request<'_>, out: &mut Vec<u8>) {
    let keyed = |out: &mut Vec<u8>, key: &str| {
        let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(key.as_bytes());
    };
    let plain = |out: &mut Vec<u8>, tag: u8, text: &str| {
        frame(out, tag, |out| out.extend_from_slice(text.as_bytes()));
    };
    let with_json = |out: &mut Vec<u8>, tag: u8, key: &str, value: &str| {
        frame(out, tag, |out| {
            keyed(out, key);
            out.extend_from_slice(value.as_bytes());
        });
    };
    let counted = |out: &mut Vec<u8>, tag: u8, name: &str, number: u32, timeout: Duration| {
        frame(out, tag, |out| {
            keyed(out, name);
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&milliseconds(timeout));
        });
    };
    match request {
        Request::Set { key, value } => with_json(out, SET, key, value),
        Request::SetIfAbsent { key, value } => with_json(out, SETNX, key, value),
        Request::Publish { channel, value } => with_json(out, PUBLISH, channel, value),
        Request::Get { key } => plain(out, GET, key),
        Request::GetRevision { key } => plain(out, GETREV, key),
        Request::Delete { key } => plain(out, DELETE, key),
        Request::List { pattern } => plain(out, LIST, pattern),
        Request::Subscribe { pattern } => plain(out, SUBSCRIBE, pattern),
        Request::Progress { record } => plain(out, PROGRESS, record),
        Request::Ping => plain(out, PING, ""),
        Request::Stats => plain(out, STATS, ""),
        Request::LastStats => plain(out, STATS_END, ""),
        Request::Wait { key, timeout } => frame(out, WAIT, |out| {
            keyed(out, key);
            out.extend_from_slice(&milliseconds(*timeout));
        }),
        Request::Increment { key, by } => frame(out, INCR, |out| {
            keyed(out, key);
            out.extend_from_slice(&by.to_be_bytes());
        }),
        Request::CompareAndSet { key, revision, value } => frame(out, CAS, |out| {
            keyed(out, key);
            out.extend_from_slice(&revision.to_be_bytes());
            out.extend_from_slice(value.as_bytes());
        }),
        Request::Batch { operations } => plain(out, BATCH, operations),
        Request::Append { key, value } => with_json(out, APPEND, key, value),
        Request::TimeToLive { key } => plain(out, TTL, key),
        Request::Lock { name, slots, timeout } => counted(out, LOCK, name, *slots, *timeout),
        Request::Unlock { name } => plain(out, UNLOCK, name),
        Request::Locks { pattern } => plain(out, LOCKS, pattern),
        Request::Barrier { name, count, timeout } => counted(out, BARRIER, name, *count, *timeout),
        Request::Cancel { task } => plain(out, CANCEL, task.unwrap_or_default()),
        Request::Cancelled { task } => plain(out, CANCELLED, task.unwrap_or_default()),
        Request::SubscribeFrom { from, pattern } => frame(out, SUBSCRIBE_FROM, |out| {
            out.extend_from_slice(&from.to_wire().to_be_bytes());
            out.extend_from_slice(pattern.as_bytes());
        }),
    }
}

/// The revision and the JSON of a GETREV reply's payload.
pub(super) fn split_revision(payload: &[u8]) -> Result<(u64, &[u8])> {
    match payload.split_first_chunk::<8>() {
        Some((revision, json)) => Ok((u64::from_be_bytes(*revision), json)),
        None => Err(Error::new(ErrorKind::Protocol, "the server's reply has no revision")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_their_frame() {
        let value = || Cow::Borrowed("[1,\"ä\"]");
        for request in [
            Request::Set { key: "a.b", value: value() },
            Request::SetIfAbsent { key: "a.b", value: value() },
            Request::Publish { channel: "c", value: value() },
            Request::Get { key: "a" },
            Request::GetRevision { key: "a" },
            Request::Delete { key: "ä" },
            Request::List { pattern: "" },
            Request::Subscribe { pattern: "a.*" },
            Request::Wait { key: "a", timeout: Duration::from_millis(1500) },
            Request::Wait { key: "a", timeout: Duration::MAX },
            Request::Increment { key: "a", by: i64::MIN },
            Request::CompareAndSet { key: "a", revision: u64::MAX, value: value() },
            Request::Ping,
            Request::Stats,
            Request::LastStats,
            Request::Progress { record: Cow::Borrowed("{\"task\":\"t\"}") },
            Request::Batch { operations: value() },
            Request::Append { key: "a.b", value: value() },
            Request::TimeToLive { key: "a" },
            Request::Lock { name: "db", slots: 1, timeout: Duration::MAX },
            Request::Unlock { name: "db" },
            Request::Locks { pattern: "" },
            Request::Barrier { name: "b", count: u32::MAX, timeout: Duration::from_millis(1) },
            Request::Cancel { task: None },
            Request::Cancel { task: Some("build:linux") },
            Request::Cancelled { task: Some("build") },
            Request::SubscribeFrom { from: From::Start, pattern: "" },
            Request::SubscribeFrom { from: From::Now, pattern: "a.*" },
            Request::SubscribeFrom { from: From::Seq(7), pattern: "a.*" },
        ] {
            let mut bytes = Vec::new();
            encode_request(&request, &mut bytes);
            let (length, body) = bytes.split_first_chunk::<4>().unwrap();
            assert_eq!(u32::from_be_bytes(*length) as usize, body.len());
            assert_eq!(parse(body).unwrap(), request);
        }
    }

    #[test]
    fn every_short_frame_is_refused() {
        let value = || Cow::Borrowed("\"v\"");
        for request in [
            Request::CompareAndSet { key: "key", revision: 1, value: value() },
            Request::Append { key: "key", value: value() },
            Request::Lock { name: "db", slots: 1, timeout: Duration::MAX },
            Request::Barrier { name: "b", count: 7, timeout: Duration::ZERO },
            Request::SubscribeFrom { from: From::Seq(7), pattern: "" },
        ] {
            let mut bytes = Vec::new();
            encode_request(&request, &mut bytes);
            for end in LENGTH_BYTES..bytes.len() {
                assert!(parse(&bytes[LENGTH_BYTES..end]).is_err(), "{request:?} {end}");
            }
        }
        for body in [
            &b"\x00"[..],
            b"\xff",
            b"\x02",
            b"\x02a b",
            b"\x0bx",
            b"\x01\xff\xffa",
            b"\x02\xff",
            b"\x12\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x01",
            b"\x16a.b",
        ] {
            assert!(parse(body).is_err(), "{body:?}");
        }
    }
}

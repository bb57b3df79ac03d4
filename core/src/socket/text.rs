//! The text dialect: one command a line, one line of reply. No I/O here.

use super::command::{From, Reply, Request};
use crate::error::{Error, Result};
use crate::json::{compacted, utf8};
use crate::key::{Pattern, TaskName, check_key};
use std::borrow::Cow;
use std::time::Duration;

/// Longest wait, in seconds, that a line can ask for: a hundred years.
const WAIT_SECONDS_MAX: f64 = 3_155_760_000.0;

/// Reads one line, without its line feed.
///
/// # Errors
/// One line saying what is wrong; the connection stays usable.
pub(super) fn parse(line: &[u8]) -> Result<Request<'_>> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (verb, rest) = word(utf8(line)?);
    if verb.is_empty() {
        return Err(Error::usage("empty command"));
    }
    let mut upper = [0u8; 12];
    let verb = verb.as_bytes();
    let known = upper.get_mut(..verb.len()).map(|upper| {
        upper.copy_from_slice(verb);
        upper.make_ascii_uppercase();
        &*upper
    });
    match known {
        Some(b"SET") => {
            let (key, value) = key_and_json("SET", rest)?;
            Ok(Request::Set { key, value })
        }
        Some(b"GET") => Ok(Request::Get { key: only_key("GET", rest)? }),
        Some(b"GETREV") => Ok(Request::GetRevision { key: only_key("GETREV", rest)? }),
        Some(b"DELETE") => Ok(Request::Delete { key: only_key("DELETE", rest)? }),
        Some(b"LIST") => Ok(Request::List { pattern: only_pattern("LIST", rest)? }),
        Some(b"SUBSCRIBE") => subscribe(rest),
        Some(b"PING") => nothing_more("PING", rest).map(|()| Request::Ping),
        Some(b"STATS") if rest.trim().eq_ignore_ascii_case("end") => Ok(Request::LastStats),
        Some(b"STATS") => nothing_more("STATS", rest).map(|()| Request::Stats),
        Some(b"WAIT") => {
            let (key, rest) = key("WAIT", rest)?;
            Ok(Request::Wait { key, timeout: seconds("WAIT", "after the key", rest.trim_end())? })
        }
        Some(b"INCR") => {
            let (key, rest) = key("INCR", rest)?;
            Ok(Request::Increment { key, by: integer(rest.trim_end())? })
        }
        Some(b"SETNX") => {
            let (key, value) = key_and_json("SETNX", rest)?;
            Ok(Request::SetIfAbsent { key, value })
        }
        Some(b"CAS") => {
            let (key, rest) = key("CAS", rest)?;
            let (revision, value) = word(rest);
            let revision = revision.parse().map_err(|_| {
                Error::usage(format!("CAS needs a revision after the key, not {revision:?}"))
            })?;
            Ok(Request::CompareAndSet { key, revision, value: json("CAS", value)? })
        }
        Some(b"PUBLISH") => {
            let (channel, value) = key_and_json("PUBLISH", rest)?;
            Ok(Request::Publish { channel, value })
        }
        Some(b"BATCH") => Ok(Request::Batch { operations: json("BATCH", rest)? }),
        Some(b"APPEND") => {
            let (key, value) = key_and_json("APPEND", rest)?;
            Ok(Request::Append { key, value })
        }
        Some(b"TTL") => Ok(Request::TimeToLive { key: only_key("TTL", rest)? }),
        Some(b"LOCK") => {
            let (name, rest) = name("LOCK", rest)?;
            let (slots, rest) = word(rest);
            let slots = if slots.is_empty() { 1 } else { count("LOCK", "slots", slots)? };
            Ok(Request::Lock { name, slots, timeout: perhaps_seconds("LOCK", rest)? })
        }
        Some(b"UNLOCK") => {
            let (name, rest) = name("UNLOCK", rest)?;
            nothing_more("UNLOCK", rest).map(|()| Request::Unlock { name })
        }
        Some(b"LOCKS") => Ok(Request::Locks { pattern: only_pattern("LOCKS", rest)? }),
        Some(b"BARRIER") => {
            let (name, rest) = name("BARRIER", rest)?;
            let (parties, rest) = word(rest);
            let count = count("BARRIER", "a count", parties)?;
            Ok(Request::Barrier { name, count, timeout: perhaps_seconds("BARRIER", rest)? })
        }
        Some(b"CANCEL") => Ok(Request::Cancel { task: only_task("CANCEL", rest)? }),
        Some(b"CANCELLED") => Ok(Request::Cancelled { task: only_task("CANCELLED", rest)? }),
        _ => {
            let shown: String = String::from_utf8_lossy(verb).chars().take(40).collect();
            Err(Error::usage(format!("unknown command {shown:?}")))
        }
    }
}

/// The first word, and what stands after the white space behind it.
fn word(text: &str) -> (&str, &str) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let blanks = |text: &str| text.bytes().take_while(|byte| is_blank(byte)).count();
    let text = &text[blanks(text)..];
    match text.as_bytes().iter().position(is_blank) {
        Some(end) => {
            let (word, rest) = text.split_at(end);
            (word, &rest[blanks(rest)..])
        }
        None => (text, ""),
    }
}

fn key<'a>(verb: &str, rest: &'a str) -> Result<(&'a str, &'a str)> {
    let (key, rest) = word(rest);
    if key.is_empty() {
        return Err(Error::usage(format!("{verb} needs a key")));
    }
    check_key(key)?;
    Ok((key, rest))
}

fn only_key<'a>(verb: &str, rest: &'a str) -> Result<&'a str> {
    let (key, rest) = key(verb, rest)?;
    nothing_more(verb, rest)?;
    Ok(key)
}

fn only_pattern<'a>(verb: &str, rest: &'a str) -> Result<&'a str> {
    let (pattern, rest) = word(rest);
    nothing_more(verb, rest)?;
    Pattern::parse(pattern)?;
    Ok(pattern)
}

fn nothing_more(verb: &str, rest: &str) -> Result<()> {
    if rest.trim().is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!("{verb} has too many arguments")))
}

fn key_and_json<'a>(verb: &str, rest: &'a str) -> Result<(&'a str, Cow<'a, str>)> {
    let (key, rest) = key(verb, rest)?;
    Ok((key, json(verb, rest)?))
}

fn json<'a>(verb: &str, text: &'a str) -> Result<Cow<'a, str>> {
    if text.is_empty() {
        return Err(Error::usage(format!("{verb} needs a JSON value")));
    }
    compacted(text)
}

fn subscribe(rest: &str) -> Result<Request<'_>> {
    let (pattern, rest) = word(rest);
    if pattern.is_empty() {
        return Err(Error::usage("SUBSCRIBE needs a pattern; * is every key"));
    }
    Pattern::parse(pattern)?;
    let (from, rest) = word(rest);
    nothing_more("SUBSCRIBE", rest)?;
    match from.trim_end() {
        "" => Ok(Request::Subscribe { pattern }),
        from => Ok(Request::SubscribeFrom { from: From::parse(from)?, pattern }),
    }
}

fn seconds(verb: &str, place: &str, text: &str) -> Result<Duration> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=WAIT_SECONDS_MAX).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(Error::usage(format!("{verb} needs seconds {place}, not {text:?}"))),
    }
}

/// Seconds that may be left off, which means: without end.
fn perhaps_seconds(verb: &str, rest: &str) -> Result<Duration> {
    match rest.trim_end() {
        "" => Ok(Duration::MAX),
        text => seconds(verb, "last", text),
    }
}

fn name<'a>(verb: &str, rest: &'a str) -> Result<(&'a str, &'a str)> {
    let (name, rest) = word(rest);
    if name.is_empty() {
        return Err(Error::usage(format!("{verb} needs a name")));
    }
    check_key(name)?;
    Ok((name, rest))
}

fn count(verb: &str, what: &str, text: &str) -> Result<u32> {
    match text.trim_end().parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(Error::usage(format!(
            "{verb} needs {what} from 1 to {} after the name, not {text:?}",
            u32::MAX
        ))),
    }
}

/// A task's name; nothing stands for the run.
fn only_task<'a>(verb: &str, rest: &'a str) -> Result<Option<&'a str>> {
    let (task, rest) = word(rest);
    nothing_more(verb, rest)?;
    if task.is_empty() {
        return Ok(None);
    }
    TaskName::parse(task)?;
    Ok(Some(task))
}

fn integer(text: &str) -> Result<i64> {
    if text.is_empty() {
        return Ok(1);
    }
    text.parse().map_err(|_| Error::usage(format!("INCR takes a 64-bit integer, not {text:?}")))
}

/// Appends the line of `reply`.
pub(super) fn encode(reply: &Reply<'_>, out: &mut Vec<u8>) {
    let parts: [&str; 3] = match reply {
        Reply::Ok | Reply::Subscribed { .. } => ["OK", "", ""],
        Reply::Value(json) => [json, "", ""],
        Reply::Json(json) => [json, "", ""],
        Reply::Absent => ["null", "", ""],
        Reply::Revision(revision, json) => {
            out.extend_from_slice(format!("{{\"rev\":{revision},\"value\":").as_bytes());
            [json, "}", ""]
        }
        Reply::NotFound(key) => ["ERROR: not found: ", key, ""],
        Reply::Exists(key) => ["ERROR: exists: ", key, ""],
        Reply::Conflict(key) => ["ERROR: conflict: ", key, ""],
        Reply::TimedOut(key) => ["ERROR: timeout: ", key, ""],
        Reply::ProducerEnded(line) => ["ERROR: producer ended: ", line, ""],
        Reply::Unmet(line) => ["ERROR: ", line, ""],
        Reply::Error(what) => ["ERROR: ", what, ""],
    };
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_parse() {
        let set = Request::Set { key: "a.b", value: Cow::Borrowed(r#"{"x":1}"#) };
        assert_eq!(parse(br#"SET a.b {"x":1}"#).unwrap(), set);
        assert_eq!(parse(b"set  a.b\t{\"x\": 1} \r").unwrap(), set);
        assert_eq!(parse(b"LIST").unwrap(), Request::List { pattern: "" });
        assert_eq!(parse(b"list a.*\r").unwrap(), Request::List { pattern: "a.*" });
        assert_eq!(
            parse(b"WAIT k 0.5").unwrap(),
            Request::Wait { key: "k", timeout: Duration::from_millis(500) }
        );
        assert_eq!(parse(b"INCR k").unwrap(), Request::Increment { key: "k", by: 1 });
        assert_eq!(parse(b"INCR k -7").unwrap(), Request::Increment { key: "k", by: -7 });
        let cas = Request::CompareAndSet { key: "k", revision: 7, value: Cow::Borrowed("\"a b\"") };
        assert_eq!(parse(b"CAS k 7 \"a b\"").unwrap(), cas);
    }

    #[test]
    fn lines_of_coordination_parse() {
        let never = Duration::MAX;
        let second = Duration::from_secs(1);
        for (line, request) in [
            (&b"batch [ ]"[..], Request::Batch { operations: "[]".into() }),
            (b"APPEND k [1, 2]", Request::Append { key: "k", value: "[1,2]".into() }),
            (b"TTL k ", Request::TimeToLive { key: "k" }),
            (b"LOCK db", Request::Lock { name: "db", slots: 1, timeout: never }),
            (b"LOCK db 3\r", Request::Lock { name: "db", slots: 3, timeout: never }),
            (b"LOCK db 3 1.0\r", Request::Lock { name: "db", slots: 3, timeout: second }),
            (b"UNLOCK db", Request::Unlock { name: "db" }),
            (b"LOCKS", Request::Locks { pattern: "" }),
            (b"BARRIER b 4", Request::Barrier { name: "b", count: 4, timeout: never }),
            (b"BARRIER b 4 1 ", Request::Barrier { name: "b", count: 4, timeout: second }),
            (b"CANCEL", Request::Cancel { task: None }),
            (b"CANCEL build", Request::Cancel { task: Some("build") }),
            (b"CANCELLED build", Request::Cancelled { task: Some("build") }),
            (b"SUBSCRIBE a.*", Request::Subscribe { pattern: "a.*" }),
            (b"SUBSCRIBE * start", Request::SubscribeFrom { from: From::Start, pattern: "*" }),
            (b"SUBSCRIBE * now\r", Request::SubscribeFrom { from: From::Now, pattern: "*" }),
            (b"SUBSCRIBE * 12", Request::SubscribeFrom { from: From::Seq(12), pattern: "*" }),
        ] {
            assert_eq!(parse(line).unwrap(), request);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, says) in [
            (&b""[..], "empty command"),
            (b"HELLO", "unknown command"),
            (b"SET", "SET needs a key"),
            (b"SET k", "SET needs a JSON value"),
            (b"SUBSCRIBE ", "SUBSCRIBE needs a pattern"),
            (b"SET k nope", "invalid JSON"),
            (b"SET k \xff", "not UTF-8"),
            (b"GET a b", "too many arguments"),
            (b"PING x", "too many arguments"),
            (b"WAIT k", "needs seconds"),
            (b"WAIT k -1", "needs seconds"),
            (b"WAIT k nan", "needs seconds"),
            (b"INCR k 1.5", "64-bit integer"),
            (b"CAS k x 1", "needs a revision"),
            (b"GET /\x01", "not allowed"),
            (b"BATCH", "BATCH needs a JSON value"),
            (b"APPEND k", "APPEND needs a JSON value"),
            (b"LOCK", "LOCK needs a name"),
            (b"LOCK db 0", "needs slots from 1"),
            (b"LOCK db 1 soon", "needs seconds last"),
            (b"LOCK db 1 2 3", "needs seconds last"),
            (b"UNLOCK db 2", "too many arguments"),
            (b"BARRIER b", "needs a count from 1"),
            (b"BARRIER b -1", "needs a count from 1"),
            (b"CANCEL a.b", "no task name"),
            (b"CANCELLED a b", "too many arguments"),
            (b"SUBSCRIBE * soon", "give start, now"),
            (b"SUBSCRIBE * now now", "too many arguments"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains('\n'));
        }
    }
}

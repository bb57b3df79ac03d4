//! The text dialect: one command a line, one line of reply. No I/O here.

use super::command::{Reply, Request};
use crate::error::{Error, Result};
use crate::json::{compacted, utf8};
use crate::key::{Pattern, check_key};
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
        Some(b"SUBSCRIBE") => match only_pattern("SUBSCRIBE", rest)? {
            "" => Err(Error::usage("SUBSCRIBE needs a pattern; * is every key")),
            pattern => Ok(Request::Subscribe { pattern }),
        },
        Some(b"PING") => nothing_more("PING", rest).map(|()| Request::Ping),
        Some(b"STATS") => nothing_more("STATS", rest).map(|()| Request::Stats),
        Some(b"WAIT") => {
            let (key, rest) = key("WAIT", rest)?;
            Ok(Request::Wait { key, timeout: seconds(rest.trim_end())? })
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
        _ => {
            let shown: String = String::from_utf8_lossy(verb).chars().take(40).collect();
            Err(Error::usage(format!("unknown command {shown:?}")))
        }
    }
}

/// The first word, and what stands after the white space behind it.
fn word(text: &str) -> (&str, &str) {
    let blank = [' ', '\t'];
    let text = text.trim_start_matches(blank);
    match text.split_once(blank) {
        Some((word, rest)) => (word, rest.trim_start_matches(blank)),
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

fn seconds(text: &str) -> Result<Duration> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=WAIT_SECONDS_MAX).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(Error::usage(format!("WAIT needs seconds after the key, not {text:?}"))),
    }
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
        Reply::Ok => ["OK", "", ""],
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
        Reply::ProducerEnded(key) => ["ERROR: producer ended: ", key, ""],
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
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains('\n'));
        }
    }
}

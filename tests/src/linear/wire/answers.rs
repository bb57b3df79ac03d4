//! Bytes as answers.

use super::super::model::{Answer, Change, Op};
use super::Dialect;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;

/// Reads the answer to `op`.
///
/// # Errors
/// When the connection ends.
///
/// # Panics
/// When the server says something that is no answer to this.
pub fn answer(dialect: Dialect, op: &Op, from: &mut BufReader<UnixStream>) -> io::Result<Answer> {
    match dialect {
        Dialect::Text => {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(match line.trim_end() {
                "OK" => Answer::Done,
                "null" => Answer::Absent,
                line if line.starts_with("ERROR: not found:") => Answer::Absent,
                line if line.starts_with("ERROR: exists:") => Answer::Refused,
                line if line.starts_with("ERROR: conflict:") => Answer::Refused,
                json => of_json(op, &parsed(json)),
            })
        }
        Dialect::Binary => {
            let mut head = [0; 5];
            from.read_exact(&mut head)?;
            let (length, status) = head.split_last_chunk().expect("five bytes");
            let _: &[u8; 1] = status;
            let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
            let mut payload = vec![0; length as usize - 1];
            from.read_exact(&mut payload)?;
            Ok(match (head[4], op) {
                (0x00, _) if payload.is_empty() => Answer::Done,
                (0x00, Op::GetRevision) => {
                    let (revision, json) = payload.split_first_chunk().expect("a u64");
                    let json = parsed(&String::from_utf8_lossy(json));
                    Answer::Revision(u64::from_be_bytes(*revision), of_word(&json))
                }
                (0x00, _) => of_json(op, &parsed(&String::from_utf8_lossy(&payload))),
                (0x02, _) => Answer::Absent,
                (0x04, _) => Answer::Refused,
                (status, _) => {
                    panic!("{op}: status {status}: {}", String::from_utf8_lossy(&payload))
                }
            })
        }
        Dialect::Resp => {
            let mut reply = read_reply(from)?;
            if let Op::GetAll | Op::Batch(_) = op {
                let inner = if let Op::Batch(changes) = op { changes.len() } else { 3 };
                assert_eq!(reply, Reply::Line("OK".into()), "MULTI");
                for _ in 0..inner {
                    assert_eq!(read_reply(from)?, Reply::Line("QUEUED".into()), "{op}");
                }
                reply = read_reply(from)?;
            }
            Ok(of_reply(op, &reply))
        }
    }
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| panic!("no answer: {json}"))
}

fn of_word(json: &Value) -> u64 {
    of_text(json.as_str().unwrap_or_else(|| panic!("no text: {json}")))
}

fn of_text(text: &str) -> u64 {
    let number = text.strip_prefix('v').and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("none of our texts: {text:?}"))
}

fn of_json(op: &Op, json: &Value) -> Answer {
    let list = || json.as_array().unwrap_or_else(|| panic!("{op}: no list: {json}"));
    match op {
        Op::GetText => Answer::Number(of_word(json).cast_signed()),
        Op::GetRevision => {
            let revision = json["rev"].as_u64().unwrap_or_else(|| panic!("no revision: {json}"));
            Answer::Revision(revision, of_word(&json["value"]))
        }
        Op::GetList => Answer::List(list().iter().map(of_word).collect()),
        Op::Batch(_) => Answer::Results(
            list()
                .iter()
                .map(|result| match result {
                    Value::Bool(true) => Answer::Done,
                    Value::Bool(false) => Answer::Refused,
                    number => Answer::Number(number.as_i64().expect("a number")),
                })
                .collect(),
        ),
        _ => Answer::Number(json.as_i64().unwrap_or_else(|| panic!("{op}: no number: {json}"))),
    }
}

/// A reply as Redis clients read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+`
    Line(String),
    /// `-`
    Error(String),
    /// `:`
    Number(i64),
    /// `$`
    Bytes(Option<Vec<u8>>),
    /// `*`
    Array(Option<Vec<Reply>>),
}

/// Reads one.
///
/// # Errors
/// When the connection ends.
///
/// # Panics
/// When it is none.
pub fn read_reply(from: &mut BufReader<UnixStream>) -> io::Result<Reply> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.strip_suffix("\r\n").unwrap_or_else(|| panic!("no reply: {line:?}"));
    let rest = line.get(1..).unwrap_or_default();
    let number = || rest.parse::<i64>().unwrap_or_else(|_| panic!("no number: {line:?}"));
    Ok(match line.as_bytes().first() {
        Some(b'+') => Reply::Line(rest.to_owned()),
        Some(b'-') => Reply::Error(rest.to_owned()),
        Some(b':') => Reply::Number(number()),
        Some(b'$') => match usize::try_from(number()) {
            Err(_) => Reply::Bytes(None),
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                from.read_exact(&mut bytes)?;
                assert!(bytes.ends_with(b"\r\n"), "{line:?} with another length");
                bytes.truncate(length);
                Reply::Bytes(Some(bytes))
            }
        },
        Some(b'*') => match usize::try_from(number()) {
            Err(_) => Reply::Array(None),
            Ok(length) => Reply::Array(Some(
                (0..length).map(|_| read_reply(from)).collect::<io::Result<_>>()?,
            )),
        },
        _ => panic!("no reply: {line:?}"),
    })
}

fn of_reply(op: &Op, reply: &Reply) -> Answer {
    let texts = |op: &Op, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        match op {
            Op::GetNumber => Answer::Number(text.parse().expect("a number")),
            _ => Answer::Number(of_text(&text).cast_signed()),
        }
    };
    match (op, reply) {
        (Op::Do(Change::SetIfAbsent(_)), Reply::Number(0)) => Answer::Refused,
        (Op::Do(Change::SetIfAbsent(_)), Reply::Number(1)) => Answer::Done,
        (Op::Do(Change::DeleteText | Change::DeleteNumber | Change::DeleteList), reply) => {
            match reply {
                Reply::Number(0) => Answer::Absent,
                Reply::Number(1) => Answer::Done,
                reply => panic!("{op}: {reply:?}"),
            }
        }
        (Op::GetList, Reply::Array(Some(elements))) if elements.is_empty() => Answer::Absent,
        (Op::GetList, Reply::Array(Some(elements))) => {
            let element = |element: &Reply| match element {
                Reply::Bytes(Some(bytes)) => of_text(&String::from_utf8_lossy(bytes)),
                other => panic!("no element: {other:?}"),
            };
            Answer::List(elements.iter().map(element).collect())
        }
        (Op::GetAll, Reply::Array(Some(parts))) => {
            let number =
                |answer| if let Answer::Number(number) = answer { Some(number) } else { None };
            let text = number(of_reply(&Op::GetText, &parts[0])).map(i64::cast_unsigned);
            let list = match of_reply(&Op::GetList, &parts[2]) {
                Answer::List(list) => list,
                _ => Vec::new(),
            };
            Answer::All(text, number(of_reply(&Op::GetNumber, &parts[1])), list)
        }
        (Op::Batch(changes), Reply::Array(Some(parts))) => {
            assert_eq!(changes.len(), parts.len(), "{op}");
            let result = |(change, part): (&Change, &Reply)| match of_reply(&Op::Do(*change), part)
            {
                Answer::Absent => Answer::Refused,
                answer => answer,
            };
            Answer::Results(changes.iter().zip(parts).map(result).collect())
        }
        (_, Reply::Line(line)) if line == "OK" => Answer::Done,
        (_, Reply::Bytes(None)) => Answer::Absent,
        (_, Reply::Bytes(Some(bytes))) => texts(op, bytes),
        (_, Reply::Number(number)) => Answer::Number(*number),
        (_, reply) => panic!("{op}: {reply:?}"),
    }
}

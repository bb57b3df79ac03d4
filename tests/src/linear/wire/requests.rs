//! Calls as bytes.

use super::super::model::{Change, Op};
use super::{Dialect, Keys};
use serde_json::{Value, json};

/// The bytes that ask for `op`.
///
/// # Panics
/// When the dialect does not have it.
#[must_use]
pub fn request(dialect: Dialect, keys: &Keys, op: &Op) -> Vec<u8> {
    match dialect {
        Dialect::Text => line(keys, op),
        Dialect::Binary => frame(keys, op),
        Dialect::Resp => commands(keys, op),
    }
}

fn word(text: u64) -> String {
    format!("v{text}")
}

/// A batch's JSON.
fn operations(keys: &Keys, changes: &[Change]) -> String {
    let operation = |change: &Change| {
        let key = keys.of(*change);
        match change {
            Change::Set(text) => json!({"key": key, "value": word(*text)}),
            Change::SetIfAbsent(text) => {
                json!({"key": key, "value": word(*text), "if_absent": true})
            }
            Change::Increment(by) => json!({"key": key, "incr": by}),
            Change::Append(element) => json!({"key": key, "append": word(*element)}),
            Change::DeleteText | Change::DeleteNumber | Change::DeleteList => {
                json!({"key": key, "delete": true})
            }
        }
    };
    Value::Array(changes.iter().map(operation).collect()).to_string()
}

fn line(keys: &Keys, op: &Op) -> Vec<u8> {
    let line = match op {
        Op::GetText => format!("GET {}", keys.text),
        Op::GetRevision => format!("GETREV {}", keys.text),
        Op::GetNumber => format!("GET {}", keys.number),
        Op::GetList => format!("GET {}", keys.list),
        Op::CompareAndSet(revision, text) => {
            format!("CAS {} {revision} \"{}\"", keys.text, word(*text))
        }
        Op::Do(change) => {
            let key = keys.of(*change);
            match change {
                Change::Set(text) => format!("SET {key} \"{}\"", word(*text)),
                Change::SetIfAbsent(text) => format!("SETNX {key} \"{}\"", word(*text)),
                Change::Increment(by) => format!("INCR {key} {by}"),
                Change::Append(element) => format!("APPEND {key} \"{}\"", word(*element)),
                Change::DeleteText | Change::DeleteNumber | Change::DeleteList => {
                    format!("DELETE {key}")
                }
            }
        }
        Op::Batch(changes) => format!("BATCH {}", operations(keys, changes)),
        Op::GetAll | Op::Pop => panic!("the text dialect has no {op}"),
    };
    (line + "\n").into_bytes()
}

fn frame(keys: &Keys, op: &Op) -> Vec<u8> {
    let keyed = |key: &str, rest: &[u8]| {
        let length = u16::try_from(key.len()).expect("short");
        [&length.to_be_bytes(), key.as_bytes(), rest].concat()
    };
    let text = |text: u64| format!("\"{}\"", word(text)).into_bytes();
    let plain = |key: &str| key.as_bytes().to_vec();
    let (command, payload) = match op {
        Op::GetText => (0x02, plain(&keys.text)),
        Op::GetNumber => (0x02, plain(&keys.number)),
        Op::GetList => (0x02, plain(&keys.list)),
        Op::GetRevision => (0x0e, plain(&keys.text)),
        Op::CompareAndSet(revision, value) => {
            (0x09, keyed(&keys.text, &[&revision.to_be_bytes()[..], &text(*value)].concat()))
        }
        Op::Do(change) => {
            let key = keys.of(*change);
            match change {
                Change::Set(value) => (0x01, keyed(key, &text(*value))),
                Change::SetIfAbsent(value) => (0x08, keyed(key, &text(*value))),
                Change::Increment(by) => (0x07, keyed(key, &by.to_be_bytes())),
                Change::Append(element) => (0x10, keyed(key, &text(*element))),
                Change::DeleteText | Change::DeleteNumber | Change::DeleteList => {
                    (0x03, plain(key))
                }
            }
        }
        Op::Batch(changes) => (0x0f, operations(keys, changes).into_bytes()),
        Op::GetAll | Op::Pop => panic!("the binary dialect has no {op}"),
    };
    let length = u32::try_from(payload.len() + 1).expect("short");
    [&length.to_be_bytes()[..], &[command], &payload].concat()
}

fn commands(keys: &Keys, op: &Op) -> Vec<u8> {
    let change = |change: &Change| {
        let key = keys.of(*change).to_owned();
        match change {
            Change::Set(text) => vec!["SET".to_owned(), key, word(*text)],
            Change::SetIfAbsent(text) => vec!["SETNX".to_owned(), key, word(*text)],
            Change::Increment(by) => vec!["INCRBY".to_owned(), key, by.to_string()],
            Change::Append(element) => vec!["RPUSH".to_owned(), key, word(*element)],
            Change::DeleteText | Change::DeleteNumber | Change::DeleteList => {
                vec!["DEL".to_owned(), key]
            }
        }
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let elements = words(&["LRANGE", &keys.list, "0", "-1"]);
    let transaction = |inner: Vec<Vec<String>>| {
        let mut all = vec![words(&["MULTI"])];
        all.extend(inner);
        all.push(words(&["EXEC"]));
        all
    };
    let commands = match op {
        Op::GetText => vec![words(&["GET", &keys.text])],
        Op::GetNumber => vec![words(&["GET", &keys.number])],
        Op::GetList => vec![elements],
        Op::GetAll => {
            transaction(vec![words(&["GET", &keys.text]), words(&["GET", &keys.number]), elements])
        }
        Op::Pop => vec![words(&["LPOP", &keys.list])],
        Op::Do(one) => vec![change(one)],
        Op::Batch(changes) => transaction(changes.iter().map(change).collect()),
        Op::GetRevision | Op::CompareAndSet(..) => panic!("RESP has no {op}"),
    };
    commands.iter().flat_map(|words| resp(words)).collect()
}

/// A command as Redis clients send it.
pub fn resp<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

//! `streaming` of a task: whether it takes part in streams, and how.

use super::read::Reader;
use super::tree::{Node, Value};

const KEYS: [&str; 2] = ["strict", "mode"];
const MODES: [&str; 2] = ["broadcast", "shard"];

/// How a task that streams does so, as the producer of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Streaming {
    /// It has failed also when it fails after all its readers have gone.
    pub(crate) strict: bool,
    /// Each record goes to one of its consumers, not to all.
    pub(crate) shard: bool,
}

/// `true`, `false`, or a mapping, which means true.
pub(super) fn read(reader: &mut Reader, what: &str, node: Node) -> Option<Streaming> {
    match &node.value {
        Value::Scalar { text, plain: true } => match text.as_str() {
            "true" | "True" | "TRUE" => return Some(Streaming::default()),
            "false" | "False" | "FALSE" => {}
            _ if node.is_null() => wrong(reader, what, &node),
            other => {
                let message = format!("{what} must be true, false or a mapping, not {other:?}");
                reader.problem(node.line, message);
            }
        },
        Value::Mapping(_) => return Some(mapping(reader, what, node)),
        _ => wrong(reader, what, &node),
    }
    None
}

fn wrong(reader: &mut Reader, what: &str, node: &Node) {
    reader.wrong(what, "true, false or a mapping", node);
}

fn mapping(reader: &mut Reader, what: &str, node: Node) -> Streaming {
    let mut streaming = Streaming::default();
    for (key, node) in reader.mapping(what, node) {
        let entry = format!("{:?} in {what}", key.text);
        match key.text.as_str() {
            "strict" => streaming.strict = reader.boolean(&entry, node),
            "mode" => streaming.shard = is_shard(reader, &entry, &node),
            _ => reader.unknown(&key, &format!("in {what}"), &KEYS),
        }
    }
    streaming
}

fn is_shard(reader: &mut Reader, entry: &str, node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, .. } if !node.is_null() => {
            if !MODES.contains(&text.as_str()) {
                let hint = crate::nearest::suggestion(text, MODES.into_iter());
                let modes = MODES.join(" or ");
                reader.problem(node.line, format!("{entry} must be {modes}, not {text:?}; {hint}"));
            }
            text == "shard"
        }
        _ => {
            reader.wrong(entry, &MODES.join(" or "), node);
            false
        }
    }
}

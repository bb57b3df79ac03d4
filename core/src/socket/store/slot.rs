//! One key with its value and the number of its last write, in one allocation.

use super::list::List;

/// A key and what is stored under it.
#[derive(Debug)]
pub(super) enum Slot {
    /// Head, key and the value's JSON text, one after the other.
    Text(Box<str>),
    /// A list that has been added to or taken from.
    List(Box<ListSlot>),
}

#[derive(Debug)]
pub(super) struct ListSlot {
    pub(super) key: Box<str>,
    pub(super) revision: u64,
    pub(super) list: List,
}

/// Bytes that hold the revision: seven bits each, so that the whole slot is text and its parts are
/// text without a further look at them.
const REVISION_BYTES: usize = 9;
/// Bytes that hold the key's length, likewise.
const KEY_LENGTH_BYTES: usize = 2;
const HEAD_BYTES: usize = REVISION_BYTES + KEY_LENGTH_BYTES;

impl Slot {
    pub(super) fn text(key: &str, value: &str, revision: u64) -> Slot {
        let text = String::with_capacity(HEAD_BYTES + key.len() + value.len());
        Slot::Text(filled(text, key, value, revision))
    }

    pub(super) fn key(&self) -> &str {
        match self {
            Slot::Text(text) => &text[HEAD_BYTES..value_start(text)],
            Slot::List(slot) => &slot.key,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        match self {
            Slot::Text(text) => decoded(&text.as_bytes()[..REVISION_BYTES]),
            Slot::List(slot) => slot.revision,
        }
    }

    /// The JSON text, where this is no list in parts.
    pub(super) fn value(&self) -> Option<&str> {
        match self {
            Slot::Text(text) => Some(&text[value_start(text)..]),
            Slot::List(_) => None,
        }
    }

    /// Length of the value's JSON text, in bytes.
    pub(super) fn value_bytes(&self) -> usize {
        match self {
            Slot::Text(text) => text.len() - value_start(text),
            Slot::List(slot) => slot.list.json_bytes(),
        }
    }

    /// Stores another text under the same key: where it is as long as the last one, in its place.
    pub(super) fn replace(&mut self, key: &str, value: &str, revision: u64) {
        let last = std::mem::replace(self, Slot::Text(Box::default()));
        let text = match last {
            Slot::Text(text) => text.into_string(),
            Slot::List(_) => String::new(),
        };
        *self = Slot::Text(filled(text, key, value, revision));
    }
}

/// The head and some zeros, so that its bytes can be looked at in two words.
#[repr(align(16))]
struct Head([u8; 16]);

fn filled(mut text: String, key: &str, value: &str, revision: u64) -> Box<str> {
    text.clear();
    text.reserve_exact(HEAD_BYTES + key.len() + value.len());
    let mut head = Head([0; 16]);
    encode(revision, &mut head.0[..REVISION_BYTES]);
    encode(key.len() as u64, &mut head.0[REVISION_BYTES..HEAD_BYTES]);
    // Seven bits are ASCII, so this never fails.
    text.push_str(std::str::from_utf8(&head.0).map_or("", |head| &head[..HEAD_BYTES]));
    text.push_str(key);
    text.push_str(value);
    text.into_boxed_str()
}

fn value_start(text: &str) -> usize {
    HEAD_BYTES + decoded(&text.as_bytes()[REVISION_BYTES..HEAD_BYTES]) as usize
}

fn encode(mut number: u64, bytes: &mut [u8]) {
    for byte in bytes {
        *byte = (number & 0x7F) as u8;
        number >>= 7;
    }
}

fn decoded(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 7 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        let key = "é".repeat(256);
        for (key, value, revision) in [("a", "1", 1), (&*key, "\"é\"", u64::MAX >> 1), ("k", "", 0)]
        {
            let mut slot = Slot::text(key, value, revision);
            assert_eq!((slot.key(), slot.value(), slot.revision()), (key, Some(value), revision));
            slot.replace(key, "[]", 7);
            assert_eq!((slot.key(), slot.value(), slot.revision()), (key, Some("[]"), 7));
            assert_eq!(slot.value_bytes(), 2);
        }
    }

    #[test]
    fn a_slot_takes_no_more_than_a_boxed_text() {
        assert_eq!(size_of::<Slot>(), size_of::<Box<str>>());
    }
}

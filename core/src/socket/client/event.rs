//! One event as a subscriber gets it.

use super::super::command::EventKind;
use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, members, utf8};

/// Changes that are not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The number of the first change that is missing.
    pub from: u64,
    /// The number of the last one; `None` where another server has taken the place of the one that
    /// numbered them, and counts anew.
    pub to: Option<u64>,
}

/// One change of what is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The number of the change, in the order of the run; for a gap, of the first that follows it.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// The key or channel; for a cancellation, the task or `*`; empty for a gap.
    pub key: String,
    /// The new value, or the array of elements that were added or taken; `None` for a removal.
    pub value: Option<Json>,
    /// Whether a key was removed because its time was over.
    pub expired: bool,
    /// What is missing, if that is what this event tells.
    pub gap: Option<Gap>,
    /// The whole event as it came: `{"seq":7,"event":"set","key":"a.b","value":1}`.
    pub text: String,
}

impl Event {
    pub(super) fn parse(bytes: &[u8]) -> Result<Event> {
        let broken =
            || Error::new(ErrorKind::Protocol, "the server sent something that is no event");
        let text = utf8(bytes)?.to_owned();
        let (mut seq, mut kind, mut key, mut value) = (None, None, None, None);
        let (mut expired, mut from, mut to) = (false, None, None);
        for (name, member) in members(&text)?.0 {
            match name {
                "\"seq\"" => seq = member.parse().ok(),
                "\"event\"" => {
                    let name = member.trim_matches('"');
                    kind = EventKind::ALL.into_iter().find(|kind| name == kind.as_str());
                }
                "\"key\"" => key = Json::parse(member)?.decode_string(),
                "\"value\"" => value = Some(Json::parse(member)?),
                "\"expired\"" => expired = member == "true",
                "\"from\"" => from = member.parse().ok(),
                "\"to\"" => to = member.parse().ok(),
                _ => {}
            }
        }
        let kind = kind.ok_or_else(broken)?;
        let gap = match kind {
            EventKind::Gap => {
                key = Some(String::new());
                Some(Gap { from: from.ok_or_else(broken)?, to })
            }
            _ => None,
        };
        let (seq, key) = (seq.ok_or_else(broken)?, key.ok_or_else(broken)?);
        Ok(Event { seq, kind, key, value, expired, gap, text })
    }

    /// What a subscriber is told that finds another server: the changes from `from` on of the one
    /// it knew are lost, and numbers begin at 1 again.
    pub(super) fn of_another_server(from: u64) -> Event {
        Event {
            seq: 1,
            kind: EventKind::Gap,
            key: String::new(),
            value: None,
            expired: false,
            gap: Some(Gap { from, to: None }),
            text: format!("{{\"seq\":1,\"event\":\"gap\",\"from\":{from},\"to\":null}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_every_kind_are_read() {
        let text = br#"{"seq":7,"event":"delete","key":"a.b","expired":true}"#;
        let event = Event::parse(text).unwrap();
        assert_eq!((event.seq, event.kind, event.expired), (7, EventKind::Delete, true));
        assert_eq!((event.key.as_str(), event.value), ("a.b", None));
        let text = br#"{"seq":9,"event":"shift","key":"l","value":[1,"2"]}"#;
        assert_eq!(Event::parse(text).unwrap().value.unwrap().as_str(), "[1,\"2\"]");
        let event = Event::parse(br#"{"seq":10,"event":"gap","from":3,"to":9}"#).unwrap();
        assert_eq!((event.seq, event.gap), (10, Some(Gap { from: 3, to: Some(9) })));
        let event = Event::of_another_server(5);
        assert_eq!(Event::parse(event.text.as_bytes()).unwrap(), event);
        for text in
            [&b"[]"[..], b"{}", b"{\"seq\":1,\"event\":\"other\",\"key\":\"a\"}", b"{\"seq\":1}"]
        {
            assert!(Event::parse(text).is_err());
        }
    }
}

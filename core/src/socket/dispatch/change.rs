//! What subscribers are told: the kinds of events, and their JSON.

use crate::json::push_string;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::socket) enum Change {
    /// A key got a value.
    Set,
    /// A key was removed.
    Delete,
    /// A key went by itself: its time was over.
    Expire,
    /// A value was published on a channel.
    Publish,
    /// A task, or the run, is to end.
    Cancel,
    /// Elements were added behind a list's last one.
    Append,
    /// Elements were added before a list's first one.
    Prepend,
    /// Elements were taken off a list's end.
    Pop,
    /// Elements were taken off a list's front.
    Shift,
}

/// Every kind, at the place of its code.
const CHANGES: [Change; 9] = [
    Change::Set,
    Change::Delete,
    Change::Expire,
    Change::Publish,
    Change::Cancel,
    Change::Append,
    Change::Prepend,
    Change::Pop,
    Change::Shift,
];

impl Change {
    /// A number that stands for it in the history.
    pub(in crate::socket) fn code(self) -> u8 {
        self as u8
    }

    /// What [`Change::code`] made a number of.
    pub(in crate::socket) fn of_code(code: u8) -> Option<Change> {
        CHANGES.get(usize::from(code)).copied()
    }

    /// The name of its event on the wire: a key that went by itself is deleted.
    fn event(self) -> &'static str {
        match self {
            Change::Set => "set",
            Change::Delete | Change::Expire => "delete",
            Change::Publish => "publish",
            Change::Cancel => "cancel",
            Change::Append => "append",
            Change::Prepend => "prepend",
            Change::Pop => "pop",
            Change::Shift => "shift",
        }
    }
}

/// The JSON text of an event: `{"seq":7,"event":"set","key":"a.b","value":1}`.
pub(super) fn event_text(seq: u64, change: Change, key: &str, value: Option<&str>) -> String {
    let mut out = String::with_capacity(64 + key.len() + value.map_or(0, str::len));
    out.push_str("{\"seq\":");
    out.push_str(&seq.to_string());
    out.push_str(",\"event\":\"");
    out.push_str(change.event());
    out.push_str("\",\"key\":");
    push_string(&mut out, key);
    if let Some(value) = value {
        out.push_str(",\"value\":");
        out.push_str(value);
    }
    if change == Change::Expire {
        out.push_str(",\"expired\":true");
    }
    out.push('}');
    out
}

/// The JSON text that stands for events that are no longer known: numbers `from` to `to`.
pub(super) fn gap_text(from: u64, to: u64) -> String {
    format!("{{\"seq\":{},\"event\":\"gap\",\"from\":{from},\"to\":{to}}}", to + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back() {
        for change in CHANGES {
            assert_eq!(Change::of_code(change.code()), Some(change));
        }
        assert_eq!(Change::of_code(CHANGES.len() as u8), None);
    }

    #[test]
    fn events_are_one_object() {
        let text = event_text(7, Change::Set, "a.\"b", Some("[1]"));
        assert_eq!(text, r#"{"seq":7,"event":"set","key":"a.\"b","value":[1]}"#);
        let text = event_text(8, Change::Expire, "a", None);
        assert_eq!(text, r#"{"seq":8,"event":"delete","key":"a","expired":true}"#);
        assert_eq!(gap_text(1, 4), r#"{"seq":5,"event":"gap","from":1,"to":4}"#);
    }
}

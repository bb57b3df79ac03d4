//! Keys that go by themselves: many that are due at once go in parts, so that nobody waits for all of
//! them. What is due and still there is never seen: whoever names such a key has it removed first.

use super::Dispatch;
use super::change::Change;
use crate::limits::{FRAME_BYTES_MAX, KEY_BYTES_MAX};
use crate::socket::command::Request;

/// Keys removed at a time, beside as many as there were writes since the last time: however fast
/// keys come that go by themselves, what is due gets less. Takes about half a millisecond.
const PART: u64 = 256;

/// With less room than this left in the store, what is due goes at once: a request brings at most
/// half of it.
const ROOM_MIN: usize = 2 * FRAME_BYTES_MAX;

/// What is known of the keys that go by themselves.
#[derive(Debug)]
pub(super) struct Expiring {
    /// Some are due and still there.
    overdue: bool,
    /// The run's number when the last part had gone.
    sequence: u64,
}

impl Expiring {
    /// Nothing is due, at this number of the run.
    pub(super) fn at(sequence: u64) -> Expiring {
        Expiring { overdue: false, sequence }
    }
}

impl Dispatch {
    /// Whether keys are due that are still there.
    #[inline]
    pub(in crate::socket) fn is_overdue(&self) -> bool {
        self.expiring.overdue
    }

    /// Removes a part of the keys whose time is over.
    pub(super) fn expire_part(&mut self) {
        if self.store.expiring() == 0 {
            self.expiring = Expiring::at(self.store.sequence());
            return;
        }
        let writes = self.store.sequence() - self.expiring.sequence;
        self.expire_first(PART.saturating_add(writes));
    }

    /// Whether `key` is due and has to be passed over by whoever goes through keys.
    #[inline]
    pub(in crate::socket) fn is_due(&self, key: &str) -> bool {
        self.is_overdue() && self.store.expiry(key).is_some_and(|at| at <= self.now)
    }

    /// Removes every key whose time is over.
    pub(in crate::socket) fn expire_all(&mut self) {
        if self.is_overdue() {
            self.expire_first(u64::MAX);
        }
    }

    /// Removes `key` if its time is over.
    fn expire_key(&mut self, key: &str) {
        if self.is_due(key)
            && let Some(seq) = self.store.delete(key)
        {
            self.tell(seq, Change::Expire, key, None);
        }
    }

    /// Sees to it that none of the keys is there any more that `texts` name and that are due. A text
    /// that names none does no harm.
    #[cold]
    pub(in crate::socket) fn expire_named<'t>(&mut self, texts: impl Iterator<Item = &'t [u8]>) {
        if self.store.room() < ROOM_MIN {
            return self.expire_all();
        }
        for text in texts.filter(|text| text.len() <= KEY_BYTES_MAX) {
            if let Ok(key) = std::str::from_utf8(text) {
                self.expire_key(key);
            }
        }
    }

    /// The same for what a request names.
    #[cold]
    pub(super) fn expire_asked(&mut self, request: &Request<'_>) {
        let key: &str = match request {
            Request::Set { key, .. }
            | Request::Get { key }
            | Request::GetRevision { key }
            | Request::Delete { key }
            | Request::Wait { key, .. }
            | Request::Increment { key, .. }
            | Request::SetIfAbsent { key, .. }
            | Request::CompareAndSet { key, .. }
            | Request::Append { key, .. }
            | Request::TimeToLive { key } => key,
            // What is due is left out of a list; a batch is looked through where it is read.
            Request::List { .. }
            | Request::Batch { .. }
            | Request::Stats
            | Request::LastStats
            | Request::Subscribe { .. }
            | Request::SubscribeFrom { .. }
            | Request::Publish { .. }
            | Request::Ping
            | Request::Progress { .. }
            | Request::Lock { .. }
            | Request::Unlock { .. }
            | Request::Locks { .. }
            | Request::Barrier { .. }
            | Request::Cancel { .. }
            | Request::Cancelled { .. } => return,
        };
        self.expire_named(std::iter::once(key.as_bytes()));
    }

    /// Removes up to `count` of the keys whose time is over, the first ones first.
    fn expire_first(&mut self, count: u64) {
        self.expiring.overdue = true;
        for _ in 0..count {
            let due = self.store.next_expiry().filter(|(at, _)| *at <= self.now);
            let Some((_, key)) = due else {
                self.expiring.overdue = false;
                break;
            };
            let key: Box<str> = key.into();
            match self.store.delete(&key) {
                Some(seq) => drop(self.tell(seq, Change::Expire, &key, None)),
                // Both are kept together; were they not, this would go on for ever.
                None => drop(self.store.expire(&key, None)),
            }
        }
        self.expiring.sequence = self.store.sequence();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Delivery, Outcome};
    use super::*;
    use crate::socket::command::Reply;
    use crate::socket::dispatch::Expiry;
    use crate::socket::store::Store;
    use std::time::{Duration, Instant};

    const KEYS: usize = 2000;

    /// A server with many keys that are due at once, looked at when they are.
    fn overdue(total_bytes_max: usize) -> Dispatch {
        let mut dispatch = Dispatch::new(Store::new(1000, total_bytes_max), 8 << 20);
        for key in 0..KEYS {
            dispatch.put(&format!("key.{key}"), "1", Expiry::At(1000)).unwrap();
        }
        dispatch.put("key.later", "2", Expiry::At(60_000)).unwrap();
        dispatch.put("key.always", "3", Expiry::Never).unwrap();
        dispatch.pass_time(Instant::now());
        assert_eq!(dispatch.store.len(), KEYS + 2);
        assert!(!dispatch.is_overdue());
        dispatch.pass_time(Instant::now() + Duration::from_secs(2));
        dispatch
    }

    fn ask(dispatch: &mut Dispatch, request: Request<'_>) -> String {
        match dispatch.execute(1, request, None, || None) {
            Outcome::Reply(Reply::Json(text)) => text,
            Outcome::Reply(reply) => format!("{reply:?}"),
            Outcome::Waiting => "waits".into(),
        }
    }

    /// One of those that are still there.
    fn left(dispatch: &Dispatch) -> String {
        dispatch.store.next_expiry().expect("some are left").1.to_owned()
    }

    #[test]
    fn what_is_due_goes_in_parts_and_is_told() {
        let mut dispatch = overdue(1 << 30);
        ask(&mut dispatch, Request::Subscribe { pattern: "key.*" });
        let mut turns = 1;
        while dispatch.is_overdue() {
            assert!(dispatch.store.len() > 2);
            dispatch.expire_part();
            turns += 1;
        }
        assert_eq!(turns, KEYS.div_ceil(PART as usize));
        assert_eq!(dispatch.store.len(), 2);
        let told = std::iter::from_fn(|| dispatch.next_delivery());
        let told = told.filter(|(_, delivery)| matches!(delivery, Delivery::Event(_))).count();
        assert_eq!(told, KEYS - PART as usize);
    }

    #[test]
    fn as_many_go_as_were_written_meanwhile() {
        let mut dispatch = overdue(1 << 30);
        let before = dispatch.store.expiring();
        for _ in 0..700 {
            dispatch.put("key.always", "3", Expiry::Never).unwrap();
        }
        dispatch.expire_part();
        assert_eq!(before - dispatch.store.expiring(), 700 + PART as usize);
    }

    #[test]
    fn what_is_due_is_never_seen() {
        let mut dispatch = overdue(1 << 30);
        assert!(dispatch.store.len() > 2 && dispatch.is_overdue());
        assert_eq!(
            ask(&mut dispatch, Request::List { pattern: "key.*" }),
            r#"["key.always","key.later"]"#
        );
        let key = left(&dispatch);
        assert_eq!(ask(&mut dispatch, Request::Get { key: &key }), "Absent");
        let key = left(&dispatch);
        assert_eq!(ask(&mut dispatch, Request::GetRevision { key: &key }), "Absent");
        let key = left(&dispatch);
        assert!(ask(&mut dispatch, Request::Delete { key: &key }).starts_with("NotFound"));
        let key = left(&dispatch);
        assert_eq!(ask(&mut dispatch, Request::Increment { key: &key, by: 5 }), "5");
        assert_eq!(dispatch.store.expiry(&key), None, "it began anew");
        let key = left(&dispatch);
        let value = "[1]".into();
        assert_eq!(ask(&mut dispatch, Request::SetIfAbsent { key: &key, value }), "Ok");
        let key = left(&dispatch);
        let request = Request::CompareAndSet { key: &key, revision: 0, value: "1".into() };
        assert_eq!(ask(&mut dispatch, request), "Ok");
        let key = left(&dispatch);
        assert_eq!(ask(&mut dispatch, Request::Append { key: &key, value: "1".into() }), "1");
        let key = left(&dispatch);
        assert!(ask(&mut dispatch, Request::TimeToLive { key: &key }).contains("NotFound"));
        let key = left(&dispatch);
        let timeout = Duration::from_secs(9);
        assert_eq!(ask(&mut dispatch, Request::Wait { key: &key, timeout }), "waits");
        let key = left(&dispatch);
        let operations = format!(r#"[{{"key":"{key}","value":1,"if_absent":true}}]"#).into();
        assert!(ask(&mut dispatch, Request::Batch { operations }).starts_with('['));
        assert!(dispatch.is_overdue());
        assert_eq!(ask(&mut dispatch, Request::Get { key: "key.later" }), "Value(\"2\")");
    }

    #[test]
    fn a_store_that_is_nearly_full_lets_go_of_what_is_due_first() {
        let mut dispatch = overdue(1 << 20);
        ask(&mut dispatch, Request::Get { key: "key.always" });
        assert_eq!(dispatch.store.len(), 2);
        assert!(!dispatch.is_overdue());
    }
}

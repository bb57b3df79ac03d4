//! Locks, barriers, cancellation and batches: their rules, joined to what is stored and told.

use super::super::barriers::Arrived;
use super::super::batch::{self, Refusal};
use super::super::command::Reply;
use super::super::locks::{Asked, Grant, Party};
use super::super::operation::{Action, Step};
use super::super::store::End;
use super::super::waits::ClientId;
use super::{Backlog, Change, Delivery, Dispatch, Expiry, LIST_BYTES_MAX, Outcome};
use crate::error::Result;
use crate::key::Pattern;
use std::time::{Duration, Instant};

impl Dispatch {
    pub(super) fn lock<'a>(
        &mut self,
        name: &'a str,
        slots: u32,
        timeout: Duration,
        party: Party,
    ) -> Outcome<'a> {
        let (client, now) = (party.client, Instant::now());
        let store = &mut self.store;
        let may_wait = !timeout.is_zero();
        let asked = self.locks.ask(name, slots, party, may_wait, now, || store.next_sequence());
        match asked {
            Asked::Granted(token) => Outcome::Reply(Reply::Json(token.to_string())),
            Asked::Refused(what) => Outcome::Reply(Reply::Error(what)),
            Asked::Busy => self.waits_until(client, name, timeout),
        }
    }

    pub(super) fn unlock<'a>(&mut self, client: ClientId, name: &'a str) -> Reply<'a> {
        let store = &mut self.store;
        let released = self.locks.release(client, name, Instant::now(), || store.next_sequence());
        match released {
            Some(grants) => {
                self.grant(grants);
                Reply::Ok
            }
            None => Reply::NotFound(name),
        }
    }

    pub(super) fn locks<'a>(&mut self, pattern: &str) -> Reply<'a> {
        let pattern = match Pattern::parse(pattern) {
            Ok(pattern) => pattern,
            Err(error) => return Reply::Error(error.to_string()),
        };
        self.looks += self.locks.len();
        match self.locks.describe(&pattern, Instant::now(), LIST_BYTES_MAX) {
            Some(locks) => Reply::Json(locks),
            None => Reply::Error(format!(
                "the locks take more than {LIST_BYTES_MAX} bytes: ask with a narrower pattern"
            )),
        }
    }

    pub(super) fn barrier<'a>(
        &mut self,
        client: ClientId,
        name: &'a str,
        count: u32,
        timeout: Duration,
    ) -> Outcome<'a> {
        match self.barriers.arrive(client, name, count, !timeout.is_zero()) {
            Arrived::Waits => self.waits_until(client, name, timeout),
            Arrived::Refused(what) => Outcome::Reply(Reply::Error(what)),
            Arrived::Complete(parties) => {
                for (party, place) in parties.into_iter().zip(1..) {
                    let place: u32 = place;
                    self.answer(party, place.into());
                }
                Outcome::Reply(Reply::Json(count.to_string()))
            }
        }
    }

    /// Asks `task`, or the whole run, to end: whoever runs it is told, and every subscriber.
    pub(in crate::socket) fn cancel<'a>(&mut self, task: Option<&'a str>) -> Reply<'a> {
        if let Some(task) = task
            && !self.producers.is_free()
            && !self.producers.knows(task)
        {
            return Reply::NotFound(task);
        }
        // Nothing is left to end, and nobody to be told.
        if task.is_some_and(|task| self.producers.has_ended(task)) {
            return Reply::Ok;
        }
        if !self.cancellation.cancel(task) {
            return Reply::Error("too many tasks were cancelled: cancel the run".to_owned());
        }
        let seq = self.store.next_sequence();
        self.tell(seq, Change::Cancel, task.unwrap_or("*"), None);
        if let Some(tell) = &mut self.on_cancel {
            tell(task.map(str::to_owned));
        }
        Reply::Ok
    }

    pub(super) fn cancelled<'a>(&self, task: Option<&str>) -> Reply<'a> {
        let cancelled = self.cancellation.is_cancelled(task);
        Reply::Value(if cancelled { "true" } else { "false" })
    }

    pub(super) fn append<'a>(&mut self, key: &str, value: &str) -> Reply<'a> {
        match self.push(key, End::Last, &[value]) {
            Ok(length) => Reply::Json(length.to_string()),
            Err(error) => Reply::Error(error.to_string()),
        }
    }

    /// The seconds that `key` still has, to the millisecond.
    pub(super) fn time_to_live<'a>(&self, key: &'a str) -> Reply<'a> {
        if !self.store.contains(key) {
            return Reply::NotFound(key);
        }
        match self.store.expiry(key) {
            None => Reply::Value("null"),
            Some(at) => {
                let left = Duration::from_millis(at.saturating_sub(self.now));
                Reply::Json(left.as_secs_f64().to_string())
            }
        }
    }

    pub(super) fn batch<'a>(&mut self, operations: &str) -> Reply<'a> {
        let steps = match batch::parse(operations) {
            Ok(steps) => steps,
            Err(error) => return Reply::Error(error.to_string()),
        };
        self.looks += steps.len();
        if self.is_overdue() {
            self.expire_named(steps.iter().map(|step| step.key.as_bytes()));
        }
        match batch::check(&self.store, &steps) {
            Ok(()) => {}
            Err(Refusal::Unmet(line)) => return Reply::Unmet(line),
            Err(Refusal::Wrong(error)) => return Reply::Error(error.to_string()),
        }
        // Whoever waits for one of the keys gets what came of all steps, not of the first.
        let waits = self.set_waits_aside();
        let results = self.carry_out(&steps);
        self.resume_waits(waits, steps.iter().map(|step| step.key.as_bytes()));
        match results {
            Ok(results) => Reply::Json(results),
            Err(error) => Reply::Error(error.to_string()),
        }
    }

    /// Makes every step, which have been checked: none of them fails.
    fn carry_out(&mut self, steps: &[Step<'_>]) -> Result<String> {
        let mut results = String::from("[");
        let mut backlog = Backlog::default();
        for (at, Step { key, action }) in steps.iter().enumerate() {
            if at > 0 {
                results.push(',');
            }
            let result = match action {
                Action::Set { value, ttl, .. } => {
                    let expiry = ttl.map_or(Expiry::Never, |ttl| self.expiry_in(ttl));
                    self.put(key, value, expiry).map(|seq| seq.to_string())
                }
                Action::Delete => Ok(self.remove(key).is_some().to_string()),
                Action::Increment(by) => self.add(key, *by).map(|sum| sum.to_string()),
                Action::Append(value) => {
                    self.push(key, End::Last, &[value]).map(|length| length.to_string())
                }
            };
            self.bound(&mut backlog);
            results.push_str(&result.map_err(|error| batch::of_step(at, &error))?);
        }
        results.push(']');
        Ok(results)
    }

    /// The moment at which what is written now for `time` is over.
    fn expiry_in(&self, time: Duration) -> Expiry {
        let milliseconds = time.as_nanos().div_ceil(1_000_000);
        let milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX);
        Expiry::At(self.now.saturating_add(milliseconds))
    }

    /// Has `client`, which is queued for `name`, wait; or answers at once where it doesn't wait.
    fn waits_until<'a>(
        &mut self,
        client: ClientId,
        name: &'a str,
        timeout: Duration,
    ) -> Outcome<'a> {
        if timeout.is_zero() {
            return Outcome::Reply(Reply::TimedOut(name));
        }
        // A deadline beyond what the clock can hold is none.
        if let Some(deadline) = Instant::now().checked_add(timeout) {
            self.deadlines.set(client, deadline);
        }
        Outcome::Waiting
    }

    /// The deadline of `client` has come: what it waited for at a lock or a barrier, if it did.
    pub(super) fn stop_waiting(&mut self, client: ClientId) -> Option<Box<str>> {
        self.locks.give_up(client).or_else(|| self.barriers.give_up(client))
    }

    /// Frees what `client`, which has gone, holds and waits for.
    pub(super) fn leave(&mut self, client: ClientId) {
        self.barriers.give_up(client);
        let store = &mut self.store;
        let grants = self.locks.forget(client, Instant::now(), || store.next_sequence());
        self.grant(grants);
    }

    fn grant(&mut self, grants: Vec<Grant>) {
        grants.into_iter().for_each(|(client, token)| self.answer(client, token));
    }

    /// Ends the wait of `client` with a number.
    fn answer(&mut self, client: ClientId, number: u64) {
        self.deadlines.remove(client);
        self.deliveries.push_back((client, Delivery::Value(number.to_string().into())));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::command::Request;
    use super::super::super::store::Store;
    use super::*;
    use proptest::prelude::*;

    fn dispatch(total_bytes_max: usize) -> Dispatch {
        Dispatch::new(Store::new(60, total_bytes_max), 1 << 20)
    }

    /// The reply to a request as its line, or what would be waited for.
    fn ask(dispatch: &mut Dispatch, client: ClientId, line: &str) -> String {
        let request = super::super::super::text::parse(line.as_bytes()).unwrap();
        let outcome = dispatch.execute(client, request, Some(100), || Some("t".to_owned()));
        match outcome {
            Outcome::Reply(reply) => {
                let mut out = Vec::new();
                super::super::super::text::encode(&reply, &mut out);
                String::from_utf8(out).unwrap().trim_end().to_owned()
            }
            Outcome::Waiting => "waits".to_owned(),
        }
    }

    fn delivered(dispatch: &mut Dispatch) -> Vec<(ClientId, String)> {
        std::iter::from_fn(|| dispatch.next_delivery())
            .map(|(client, delivery)| match delivery {
                Delivery::Value(text) => (client, text.to_string()),
                Delivery::Event(text) => (client, text.to_string()),
                Delivery::TimedOut(name) => (client, format!("late: {name}")),
                other => (client, format!("{other:?}")),
            })
            .collect()
    }

    #[test]
    fn a_lock_goes_on_when_its_holder_does_not() {
        let mut dispatch = dispatch(10_000);
        assert_eq!(ask(&mut dispatch, 1, "SET a 1"), "OK");
        assert_eq!(ask(&mut dispatch, 1, "LOCK db"), "2");
        assert_eq!(ask(&mut dispatch, 2, "LOCK db 1 0"), "ERROR: timeout: db");
        assert_eq!(ask(&mut dispatch, 2, "LOCK db"), "waits");
        assert_eq!(ask(&mut dispatch, 3, "LOCK db 1 60"), "waits");
        assert_eq!(ask(&mut dispatch, 4, "LOCK db 1 0.000001"), "waits");
        assert_eq!(ask(&mut dispatch, 5, "UNLOCK db"), "ERROR: not found: db");
        dispatch.pass_time(Instant::now() + Duration::from_millis(1));
        assert_eq!(delivered(&mut dispatch), [(4, "late: db".to_owned())]);
        dispatch.forget(2);
        dispatch.forget(1);
        // Numbers of the run that no event has: tokens only grow over all locks.
        assert_eq!(delivered(&mut dispatch), [(3, "3".to_owned())]);
        assert!(dispatch.next_deadline().is_none(), "who has it is not late any more");
        assert_eq!(ask(&mut dispatch, 3, "UNLOCK db"), "OK");
        assert_eq!(ask(&mut dispatch, 1, "LOCKS"), "[]");
    }

    #[test]
    fn a_barrier_counts_who_is_there() {
        let mut dispatch = dispatch(10_000);
        assert_eq!(ask(&mut dispatch, 1, "BARRIER b 3"), "waits");
        assert_eq!(ask(&mut dispatch, 2, "BARRIER b 3 60"), "waits");
        assert_eq!(ask(&mut dispatch, 3, "BARRIER b 3 0"), "3");
        let went = [(1, "1".to_owned()), (2, "2".to_owned())];
        assert_eq!(delivered(&mut dispatch), went);
        assert!(dispatch.next_deadline().is_none());
        assert_eq!(ask(&mut dispatch, 1, "BARRIER b 2"), "waits");
        dispatch.forget(1);
        assert_eq!(ask(&mut dispatch, 2, "BARRIER b 2 0"), "ERROR: timeout: b");
    }

    #[test]
    fn cancelling_is_told_and_stays() {
        let mut dispatch = dispatch(10_000);
        assert_eq!(ask(&mut dispatch, 1, "SUBSCRIBE *"), "OK");
        assert_eq!(ask(&mut dispatch, 2, "CANCEL build"), "OK");
        dispatch.expect_task("test");
        assert_eq!(ask(&mut dispatch, 2, "CANCEL other"), "ERROR: not found: other");
        assert_eq!(ask(&mut dispatch, 2, "CANCELLED build"), "true");
        assert_eq!(ask(&mut dispatch, 2, "CANCELLED test"), "false");
        assert_eq!(ask(&mut dispatch, 2, "CANCELLED"), "false");
        dispatch.end_task("test", "has ended");
        assert_eq!(ask(&mut dispatch, 2, "CANCEL test"), "OK");
        assert_eq!(ask(&mut dispatch, 2, "CANCELLED test"), "false", "it has ended by itself");
        assert_eq!(ask(&mut dispatch, 2, "CANCEL"), "OK");
        assert_eq!(ask(&mut dispatch, 2, "CANCELLED test"), "true");
        let told = delivered(&mut dispatch);
        assert_eq!(told[0].1, r#"{"seq":1,"event":"cancel","key":"build"}"#);
        assert_eq!(told[1].1, r#"{"seq":2,"event":"cancel","key":"*"}"#);
    }

    #[test]
    fn a_batch_is_seen_when_it_is_done() {
        let mut dispatch = dispatch(10_000);
        assert_eq!(ask(&mut dispatch, 1, "WAIT a 60"), "waits");
        assert_eq!(ask(&mut dispatch, 2, "WAIT b 60"), "waits");
        let batch = r#"BATCH [{"key":"a","value":1},{"key":"b","value":1},{"key":"a","value":2,"if_rev":1},
            {"key":"b","delete":true},{"key":"l","append":"x"},{"key":"n","incr":-2},{"key":"b","delete":true}]"#;
        let batch = batch.replace('\n', " ");
        assert_eq!(ask(&mut dispatch, 3, &batch), "[1,2,3,true,1,-2,false]");
        assert_eq!(delivered(&mut dispatch), [(1, "2".to_owned())]);
        // Who waits for what was there only meanwhile goes on waiting.
        assert_eq!(ask(&mut dispatch, 3, "SET b 3"), "OK");
        assert_eq!(delivered(&mut dispatch), [(2, "3".to_owned())]);
    }

    #[test]
    fn a_refused_batch_changes_nothing() {
        let mut dispatch = dispatch(400);
        ask(&mut dispatch, 1, "SET a 1");
        ask(&mut dispatch, 1, "SET s \"text\"");
        let before = dispatch.snapshot();
        let large = format!("\"{}\"", "x".repeat(50));
        for (operations, says) in [
            (r#"[{"key":"b","value":1},{"key":"a","value":1,"if_absent":true}]"#, "exists: a"),
            (r#"[{"key":"b","value":1},{"key":"b","value":1,"if_rev":0}]"#, "conflict: b"),
            (r#"[{"key":"a","value":2},{"key":"a","value":1,"if_rev":1}]"#, "conflict: a"),
            (r#"[{"key":"b","value":1},{"key":"s","incr":1}]"#, "operation 2: s: not a 64-bit"),
            (r#"[{"key":"s","append":1}]"#, "operation 1: s: the value is no list"),
            (r#"[{"key":"b","value":1},{"key":"b"}]"#, "operation 2: an operation needs one of"),
            (r#"[1]"#, "operation 1: an operation is an object"),
            (r#"{"key":"a"}"#, "a batch is an array"),
            (&format!(r#"[{{"key":"b","value":{large}{large}}}]"#), "invalid JSON"),
            (&format!(r#"[{{"key":"b","value":[{large},{large}]}}]"#), "value of 107 bytes"),
            (
                &format!(
                    r#"[{{"key":"x","value":{large}}},{{"key":"y","value":{large}}},{{"key":"z","value":{large}}}]"#
                ),
                "operation 3: the store is full",
            ),
        ] {
            let line = format!("BATCH {operations}");
            let said = match super::super::super::text::parse(line.as_bytes()) {
                Ok(Request::Batch { .. }) => ask(&mut dispatch, 1, &line),
                other => format!("{other:?}"),
            };
            assert!(said.contains(says), "{operations}: {said}");
            assert_eq!(dispatch.snapshot(), before, "{operations}");
        }
        assert_eq!(ask(&mut dispatch, 1, "BATCH []"), "[]");
        assert_eq!(dispatch.snapshot(), before);
    }

    #[test]
    fn a_time_to_live_is_kept_and_told() {
        let mut dispatch = dispatch(10_000);
        let batch = r#"BATCH [{"key":"a","value":1,"ttl":4.2},{"key":"b","value":1}]"#;
        assert_eq!(ask(&mut dispatch, 1, batch), "[1,2]");
        assert_eq!(ask(&mut dispatch, 1, "TTL a"), "4.2");
        assert_eq!(ask(&mut dispatch, 1, "TTL b"), "null");
        assert_eq!(ask(&mut dispatch, 1, "TTL c"), "ERROR: not found: c");
        // A number that is added to keeps its time, one that is set does not.
        assert_eq!(ask(&mut dispatch, 1, "INCR a"), "2");
        assert_eq!(ask(&mut dispatch, 1, "TTL a"), "4.2");
        dispatch.pass_time(Instant::now() + Duration::from_secs(1));
        let left: f64 = ask(&mut dispatch, 1, "TTL a").parse().unwrap();
        assert!(left > 3.0 && left <= 3.2, "{left}");
        assert_eq!(ask(&mut dispatch, 1, "SET a 1"), "OK");
        assert_eq!(ask(&mut dispatch, 1, "TTL a"), "null");
    }

    fn operation() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec!["a", "b", "ключ"]);
        let text = prop::sample::select(vec!["1", "[]", "[1,[2]]", "\"7\"", "\"xxxxxxxxxxxx\""]);
        let text = text.prop_map(str::to_owned).boxed();
        let long = (0..70usize).prop_map(|length| format!("\"{}\"", "x".repeat(length))).boxed();
        let value = prop_oneof![text.clone(), text, long];
        (key, value, 0..12u8, -3..9i64).prop_map(|(key, value, kind, number)| match kind {
            0..=2 => format!(r#"{{"key":"{key}","value":{value}}}"#),
            3 => format!(r#"{{"key":"{key}","value":{value},"if_absent":true}}"#),
            4 => format!(r#"{{"key":"{key}","value":{value},"if_rev":{}}}"#, number.max(0)),
            5 => format!(r#"{{"key":"{key}","value":{value},"ttl":{}}}"#, number.max(1)),
            6 | 7 => format!(r#"{{"key":"{key}","delete":true}}"#),
            8 | 9 => format!(r#"{{"key":"{key}","incr":{}}}"#, number << 60),
            _ => format!(r#"{{"key":"{key}","append":{value}}}"#),
        })
    }

    proptest! {
        /// A batch does what its operations would do one by one, where each of them would do it,
        /// and otherwise nothing: sizes, conditions and all.
        #[test]
        fn a_batch_is_all_or_none(
            before in prop::collection::vec(operation(), 0..8),
            operations in prop::collection::vec(operation(), 0..8),
        ) {
            let (mut one, mut all) = (dispatch(500), dispatch(500));
            for operation in &before {
                ask(&mut one, 1, &format!("BATCH [{operation}]"));
                ask(&mut all, 1, &format!("BATCH [{operation}]"));
            }
            let start = all.snapshot();
            prop_assert_eq!(&one.snapshot(), &start);
            let mut results = Vec::new();
            let mut works = true;
            for operation in &operations {
                let said = ask_alone(&mut one, operation);
                works &= !said.starts_with("ERROR");
                results.push(said);
            }
            let said = ask(&mut all, 1, &format!("BATCH [{}]", operations.join(",")));
            if works {
                prop_assert_eq!(said, format!("[{}]", results.join(",")));
                prop_assert_eq!(all.snapshot(), one.snapshot());
                prop_assert_eq!(all.store.bytes(), one.store.bytes());
            } else {
                prop_assert!(said.starts_with("ERROR"), "{}", said);
                prop_assert_eq!(all.snapshot(), start);
            }
        }
    }

    /// One operation by the plain mutators, with no trial of it before.
    fn ask_alone(dispatch: &mut Dispatch, operation: &str) -> String {
        let step = Step::parse(operation).unwrap();
        if let Action::Set { condition, .. } = &step.action {
            let revision = dispatch.store.revision(&step.key);
            let holds = match condition {
                crate::Condition::Always => true,
                crate::Condition::IfAbsent => revision == 0,
                crate::Condition::IfRevision(wanted) => revision == *wanted,
            };
            if !holds {
                return "ERROR".to_owned();
            }
        }
        match dispatch.carry_out(&[step]) {
            Ok(result) => result.trim_matches(['[', ']']).to_owned(),
            Err(error) => format!("ERROR: {error}"),
        }
    }
}

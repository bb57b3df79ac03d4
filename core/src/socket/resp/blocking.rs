//! Clients that wait for an element of a list, first come, first served, whoever pushes.

use super::super::dispatch::{Delivery, Dispatch};
use super::super::store::End;
use super::super::waits::ClientId;
use super::long_double::LongDouble;
use super::parse::Args;
use super::reply::{self, Failure};
use super::strings::list_failure;
use super::table::Command;
use super::{Call, Done, Flow, key, value};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

#[derive(Debug)]
struct Waiter {
    keys: Vec<Box<str>>,
    end: End,
}

/// Most lists that all clients together can wait for.
const WAITED_MAX: usize = 1_000_000;

/// Who waits for which lists.
#[derive(Debug, Default)]
pub(in super::super) struct Blocked {
    /// Lists that are waited for, counted for each client that does.
    waited: usize,
    by_client: HashMap<ClientId, Waiter>,
    by_key: HashMap<Box<str>, VecDeque<ClientId>>,
    /// Lists that somebody waits for and that have got elements, in the order they got them.
    ready: VecDeque<Box<str>>,
}

impl Blocked {
    pub(in super::super) fn len(&self) -> usize {
        self.by_client.len()
    }

    fn add(&mut self, client: ClientId, keys: Vec<Box<str>>, end: End) {
        self.waited += keys.len();
        for key in &keys {
            let clients = self.by_key.entry(key.clone()).or_default();
            // A key named twice is waited for once.
            if clients.back() != Some(&client) {
                clients.push_back(client);
            }
        }
        self.by_client.insert(client, Waiter { keys, end });
    }

    /// Ends the wait of `client`, if it has one.
    pub(in super::super) fn remove(&mut self, client: ClientId) -> bool {
        let Some(mut waiter) = self.by_client.remove(&client) else { return false };
        self.waited -= waiter.keys.len();
        // Each once: a key may have been named thousands of times, and waited for by as many.
        waiter.keys.sort_unstable();
        waiter.keys.dedup();
        for key in waiter.keys {
            if let Some(clients) = self.by_key.get_mut(&key) {
                clients.retain(|waiting| *waiting != client);
                if clients.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        true
    }

    /// Takes note that the list `key` may have got elements.
    #[inline]
    pub(in super::super) fn came(&mut self, key: &str) {
        if !self.by_key.is_empty() && self.by_key.contains_key(key) {
            self.ready.push_back(key.into());
        }
    }

    #[inline]
    pub(in super::super) fn is_any_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

impl Dispatch {
    /// Gives what has come to those who wait for it. Called between requests: what one request
    /// pushes and takes away again nobody else sees.
    pub(in super::super) fn serve_blocked(&mut self) {
        while let Some(key) = self.resp.blocked.ready.pop_front() {
            while let Some(client) = self.first_waiting(&key) {
                let Some(waiter) = self.resp.blocked.by_client.get(&client) else { break };
                let mut out = Vec::new();
                match self.take_one(&key, waiter.end) {
                    Ok(None) => break,
                    Ok(Some(element)) => push_pair(&mut out, &key, &element),
                    Err(failure) => reply::error(&mut out, failure.text().as_bytes()),
                }
                self.resp.blocked.remove(client);
                self.deadlines.remove(client);
                self.deliver(client, Delivery::Answer(out));
            }
        }
    }

    fn first_waiting(&self, key: &str) -> Option<ClientId> {
        self.resp.blocked.by_key.get(key)?.front().copied()
    }

    /// One element of `key`, if that is a list which has any. A long array can't be taken from in
    /// a store without room for its parts.
    fn take_one(&mut self, key: &str, end: End) -> Result<Option<Box<str>>, Failure> {
        match self.store.list(key) {
            Ok(Some(list)) if !list.is_empty() => {}
            _ => return Ok(None),
        }
        let popped = self.pop(key, end, 1).map_err(list_failure)?;
        Ok(popped.and_then(|mut elements| elements.pop()))
    }
}

fn push_pair(out: &mut Vec<u8>, key: &str, element: &str) {
    reply::array(out, 2);
    reply::bulk(out, key.as_bytes());
    value::push_bulk(out, element);
}

impl Call<'_> {
    /// BLPOP and BRPOP.
    pub(super) fn blocking_pop(&mut self, command: Command, args: &Args<'_>) -> Done {
        let last = args.len() - 1;
        let timeout = timeout(args.get(last))?;
        let end = if command == Command::BLPop { End::First } else { End::Last };
        let keys = args.from(1).take(last - 1).map(key).collect::<Result<Vec<&str>, Failure>>()?;
        for key in &keys {
            let filled = match self.dispatch.store.list(key) {
                Ok(list) => list.is_some_and(|list| !list.is_empty()),
                Err(_) => return Err(reply::WRONG_TYPE),
            };
            if filled && let Some(element) = self.dispatch.take_one(key, end)? {
                push_pair(self.out, key, &element);
                return Ok(Flow::Done);
            }
        }
        if self.in_transaction {
            reply::null_array(self.out);
            return Ok(Flow::Done);
        }
        if self.dispatch.resp.blocked.waited + keys.len() > WAITED_MAX {
            return Err(Failure::Known("ERR too many lists are waited for"));
        }
        // A moment beyond what the clock can hold is none.
        if let Some(at) = timeout.and_then(|timeout| Instant::now().checked_add(timeout)) {
            self.dispatch.deadlines.set(self.client, at);
        }
        let keys = keys.into_iter().map(Box::from).collect();
        self.dispatch.resp.blocked.add(self.client, keys, end);
        Ok(Flow::Waiting)
    }
}

/// The time to wait; `None` for ever. Rounded up to milliseconds, and what these can't hold is
/// called negative, as in Redis.
fn timeout(text: &[u8]) -> Result<Option<Duration>, Failure> {
    const NO_FLOAT: Failure = Failure::Known("ERR timeout is not a float or out of range");
    const NEGATIVE: Failure = Failure::Known("ERR timeout is negative");
    let seconds = LongDouble::parse(text).ok_or(NO_FLOAT)?;
    let milliseconds = match (seconds.nearest() * 1000.0).ceil() {
        // Less than a double can tell from nothing.
        0.0 if seconds.is_positive() => 1.0,
        milliseconds => milliseconds,
    };
    if milliseconds < 0.0 || milliseconds >= i64::MAX as f64 {
        return Err(NEGATIVE);
    }
    let milliseconds = milliseconds as u64;
    Ok((milliseconds > 0).then(|| Duration::from_millis(milliseconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As redis-server 7.0.15 takes them.
    #[test]
    fn timeouts() {
        let is = |text: &str| timeout(text.as_bytes()).map_err(|failure| failure.text().to_owned());
        assert_eq!(is("0"), Ok(None));
        assert_eq!(is("-0.0001"), Ok(None));
        assert_eq!(is("1e-400"), Ok(Some(Duration::from_millis(1))));
        assert_eq!(is("-1e-400"), Ok(None));
        assert_eq!(is("1e-20"), Ok(Some(Duration::from_millis(1))));
        assert_eq!(is("0.0101"), Ok(Some(Duration::from_millis(11))));
        for negative in ["-1", "-0.6", "1e30", "inf", "-inf"] {
            assert_eq!(is(negative), Err("ERR timeout is negative".to_owned()), "{negative}");
        }
        for bad in ["", "x", " 1", "nan"] {
            let says = Err("ERR timeout is not a float or out of range".to_owned());
            assert_eq!(is(bad), says, "{bad}");
        }
    }

    #[test]
    fn waiters_are_found_by_key_until_they_go() {
        let mut blocked = Blocked::default();
        blocked.came("a");
        assert!(!blocked.is_any_ready());
        blocked.add(1, vec!["a".into(), "b".into(), "a".into()], End::First);
        blocked.add(2, vec!["a".into()], End::Last);
        assert_eq!(blocked.by_key["a"].front(), Some(&1));
        blocked.came("b");
        assert!(blocked.is_any_ready());
        assert!(blocked.remove(1));
        assert!(!blocked.remove(1));
        assert_eq!(blocked.by_key["a"], [2]);
        assert!(blocked.remove(2));
        assert!(blocked.by_key.is_empty());
    }
}

//! Who hears of what, and who is still reading what was.

use super::super::command::{From, Reply};
use super::super::history::{Cursor, History, Past};
use super::super::waits::ClientId;
use super::change::{Change, event_text, gap_text};
use super::{Delivery, Dispatch};
use crate::key::Pattern;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Most patterns one client can subscribe to.
const PATTERNS_PER_CLIENT_MAX: usize = 1024;

/// One pattern of one client that hears of events as they happen.
#[derive(Debug)]
struct Subscription {
    client: ClientId,
    pattern: Pattern,
    /// Events with lower numbers are not wanted; 0 where nothing was asked about the past.
    from: u64,
}

/// A client that reads the history until it has caught up.
#[derive(Debug)]
struct Replay {
    pattern: Pattern,
    cursor: Cursor,
    from: u64,
}

/// All subscriptions, and the events that others may still ask for.
#[derive(Debug)]
pub(in crate::socket) struct Subscriptions {
    live: Vec<Subscription>,
    replays: HashMap<ClientId, Replay>,
    history: History,
}

/// What a turn of a replay came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::socket) enum Replayed {
    /// There is more to read.
    More,
    /// The client hears of events as they happen from now on.
    CaughtUp,
}

impl Subscriptions {
    /// Nothing is known of the events up to number `last`.
    pub(super) fn new(last: u64, history_bytes_max: usize) -> Subscriptions {
        let history = History::new(history_bytes_max, last + 1);
        Subscriptions { live: Vec::new(), replays: HashMap::new(), history }
    }

    /// Nothing is known of the events up to number `last`: they were another server's.
    pub(super) fn begin_after(&mut self, last: u64, history_bytes_max: usize) {
        self.history = History::new(history_bytes_max, last + 1);
    }

    pub(super) fn len(&self) -> usize {
        self.live.len() + self.replays.len()
    }

    /// Keeps the patterns of one client side by side, so that an event is told it once.
    pub(super) fn add(&mut self, client: ClientId, pattern: Pattern) -> Result<(), String> {
        let end = self.live.partition_point(|known| known.client <= client);
        let own = self.live[..end].iter().rev();
        let has_caught_up = |known: &Subscription| known.client == client && known.from > 0;
        if self.replays.contains_key(&client) || own.clone().next().is_some_and(has_caught_up) {
            return Err("a connection that reads from the past has one subscription".to_owned());
        }
        if own.take_while(|known| known.client == client).count() >= PATTERNS_PER_CLIENT_MAX {
            return Err(format!("at most {PATTERNS_PER_CLIENT_MAX} patterns for one client"));
        }
        self.live.insert(end, Subscription { client, pattern, from: 0 });
        Ok(())
    }

    /// Has `client` read from event number `from` on; the event loop hands the past out in turns.
    pub(super) fn add_from(
        &mut self,
        client: ClientId,
        pattern: Pattern,
        from: u64,
    ) -> Result<(), String> {
        let known = self.live.binary_search_by_key(&client, |known| known.client).is_ok();
        if known || self.replays.contains_key(&client) {
            return Err("a connection that reads from the past has one subscription".to_owned());
        }
        let from = from.max(1);
        self.replays.insert(client, Replay { pattern, cursor: Cursor::new(from), from });
        Ok(())
    }

    pub(super) fn remove(&mut self, client: ClientId) {
        self.replays.remove(&client);
        let start = self.live.partition_point(|known| known.client < client);
        let end = self.live.partition_point(|known| known.client <= client);
        self.live.drain(start..end);
    }
}

impl Dispatch {
    /// Has `client` hear of what has happened since `from`, then of what happens.
    pub(super) fn subscribe_from<'a>(
        &mut self,
        client: ClientId,
        pattern: Pattern,
        from: From,
    ) -> Reply<'a> {
        let seq = self.store.sequence();
        let first = match from {
            From::Start => 1,
            From::Now => seq + 1,
            From::Seq(first) => first,
        };
        match self.subscriptions.add_from(client, pattern, first) {
            Ok(()) => Reply::Subscribed { seq, epoch: self.epoch },
            Err(what) => Reply::Error(what),
        }
    }

    /// Writes an event down and queues it for those who want it; how many that were.
    pub(super) fn tell(
        &mut self,
        seq: u64,
        change: Change,
        key: &str,
        value: Option<&str>,
    ) -> usize {
        let event = Past { seq, change, key, value };
        self.subscriptions.history.push(event);
        if self.subscriptions.live.is_empty() {
            return 0;
        }
        self.looks += self.subscriptions.live.len();
        tell_live(&self.subscriptions.live, &mut self.deliveries, event)
    }

    /// How many of those who still read the past will come to an event of `key`.
    pub(super) fn replaying(&self, key: &str) -> usize {
        let replays = self.subscriptions.replays.values();
        replays.filter(|replay| replay.pattern.matches(key)).count()
    }

    /// Hands out events of the past to `client` until `bytes` of them were looked through.
    pub(in crate::socket) fn replay(
        &mut self,
        client: ClientId,
        bytes: usize,
        mut send: impl FnMut(&str),
    ) -> Replayed {
        let Subscriptions { replays, history, live } = &mut self.subscriptions;
        let Some(replay) = replays.get_mut(&client) else { return Replayed::CaughtUp };
        if replay.cursor.seq < history.first() {
            send(&gap_text(replay.cursor.seq, history.first() - 1));
            replay.cursor = Cursor::new(history.first());
        }
        let mut looked = 0;
        while looked < bytes {
            let Some(past) = history.next(&mut replay.cursor) else {
                let Some(replay) = replays.remove(&client) else { break };
                let at = live.partition_point(|known| known.client <= client);
                let Replay { pattern, from, .. } = replay;
                live.insert(at, Subscription { client, pattern, from });
                return Replayed::CaughtUp;
            };
            looked += 32 + past.key.len();
            if replay.pattern.matches(past.key) {
                looked += past.value.map_or(0, str::len);
                send(&event_text(past.seq, past.change, past.key, past.value));
            }
        }
        Replayed::More
    }
}

/// Queues an event, whose text is made only if somebody wants it, and says how many do.
fn tell_live(
    live: &[Subscription],
    deliveries: &mut VecDeque<(ClientId, Delivery)>,
    event: Past<'_>,
) -> usize {
    let mut text: Option<Rc<str>> = None;
    let (mut last, mut told) = (None, 0);
    for known in live {
        if last == Some(known.client) || known.from > event.seq || !known.pattern.matches(event.key)
        {
            continue;
        }
        last = Some(known.client);
        let make = || event_text(event.seq, event.change, event.key, event.value).into();
        let text = Rc::clone(text.get_or_insert_with(make));
        deliveries.push_back((known.client, Delivery::Event(text)));
        told += 1;
    }
    told
}

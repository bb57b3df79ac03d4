//! Carries out requests, one after the other, and says who else has to hear of each.
//!
//! No I/O here: the event loop hands in requests and takes replies and deliveries out.

mod backlog;
mod bars;
mod change;
mod coordination;
mod expiring;
mod subscriptions;
mod values;
mod waiting;

pub(super) use backlog::Backlog;
pub(super) use change::Change;
pub(super) use subscriptions::Replayed;
pub(super) use values::Expiry;

use super::barriers::Barriers;
use super::cancellation::Cancellation;
use super::command::{Reply, Request, list_text};
use super::deadlines::Deadlines;
use super::locks::{Locks, Party};
use super::producers::Producers;
use super::resp;
use super::store::{Store, Value};
use super::waits::{ClientId, Waits};
use crate::error::{Error, Result};
use crate::json::Json;
use crate::key::Pattern;
use crate::limits::FRAME_BYTES_MAX;
use crate::progress::Record;
use bars::Bars;
use expiring::Expiring;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};
use subscriptions::Subscriptions;

/// What a request came to.
pub(super) enum Outcome<'a> {
    /// The reply.
    Reply(Reply<'a>),
    /// The client waits; its reply is delivered later.
    Waiting,
}

/// Something a client gets without having asked just now.
#[derive(Debug)]
pub(super) enum Delivery {
    /// The wait is over: here is the value.
    Value(Rc<str>),
    /// The wait for this key is over: too late.
    TimedOut(Box<str>),
    /// The wait is over, since nobody is left: the key and who could have set it.
    ProducerEnded(Box<str>),
    /// An event, as JSON text.
    Event(Rc<str>),
    /// A message on a channel, as a Redis client gets it.
    Message(Rc<[u8]>),
    /// The wait is over: here are the reply's bytes.
    Answer(Vec<u8>),
    /// So many bytes of events were waiting: no more are told.
    TooSlow(usize),
}

/// How many clients were sent away, by reason.
#[derive(Debug, Default)]
pub(super) struct SentAway {
    /// Subscribers too far behind.
    pub(super) slow: u64,
    /// Clients that took nothing of their replies for too long.
    pub(super) stalled: u64,
    /// Clients beyond the most that are taken, or of another user.
    pub(super) refused: u64,
}

/// Longest list of keys, in bytes of JSON: what a frame holds beside its status.
const LIST_BYTES_MAX: usize = FRAME_BYTES_MAX - 1;

/// The state behind the socket and the rules that change it.
pub(super) struct Dispatch {
    pub(super) store: Store,
    producers: Producers,
    waits: Waits,
    /// When those who wait, for whatever it is, are told that it is too late.
    pub(super) deadlines: Deadlines,
    locks: Locks,
    barriers: Barriers,
    cancellation: Cancellation,
    subscriptions: Subscriptions,
    /// What Redis's clients wait for and listen to.
    pub(super) resp: resp::Shared,
    deliveries: VecDeque<(ClientId, Delivery)>,
    expiring: Expiring,
    /// Keys and subscriptions looked through since the event loop last asked.
    pub(super) looks: usize,
    progress: Bars,
    /// Who is told the last figures.
    wait_for_end: Vec<ClientId>,
    pub(super) on_progress: Option<Box<dyn FnMut(Record) + Send>>,
    pub(super) on_cancel: Option<Box<dyn FnMut(Option<String>) + Send>>,
    pub(super) on_wait: Option<Box<dyn FnMut() + Send>>,
    requests: u64,
    /// Clients connected now; the event loop keeps it.
    pub(super) clients: usize,
    /// Clients it has sent away; it keeps these too.
    pub(super) sent_away: SentAway,
    started: Instant,
    /// Milliseconds since the start, as of the event loop's last look at the clock.
    pub(super) now: u64,
    /// Tells this server's events from those of another one that was here before.
    epoch: u64,
    history_bytes_max: usize,
    /// Where texts are put together.
    scratch: String,
}

impl Dispatch {
    pub(super) fn new(store: Store, history_bytes_max: usize) -> Dispatch {
        Dispatch {
            expiring: Expiring::at(store.sequence()),
            subscriptions: Subscriptions::new(store.sequence(), history_bytes_max),
            store,
            producers: Producers::default(),
            waits: Waits::default(),
            deadlines: Deadlines::default(),
            locks: Locks::default(),
            barriers: Barriers::default(),
            cancellation: Cancellation::default(),
            resp: resp::Shared::default(),
            deliveries: VecDeque::new(),
            looks: 0,
            progress: Bars::default(),
            wait_for_end: Vec::new(),
            on_progress: None,
            on_cancel: None,
            on_wait: None,
            requests: 0,
            clients: 0,
            sent_away: SentAway::default(),
            started: Instant::now(),
            now: 0,
            epoch: RandomState::new().hash_one(std::process::id()),
            history_bytes_max,
            scratch: String::new(),
        }
    }

    /// Carries out one request of `client`, at whose other end the process `peer` is.
    /// `task_of_client` is asked only where it matters.
    pub(super) fn execute<'a>(
        &'a mut self,
        client: ClientId,
        request: Request<'a>,
        peer: Option<i32>,
        task_of_client: impl FnOnce() -> Option<String>,
    ) -> Outcome<'a> {
        self.requests += 1;
        if self.is_overdue() {
            self.expire_asked(&request);
        }
        Outcome::Reply(match request {
            Request::Get { key } => match self.store.get(key) {
                Some(entry) => value_reply(entry.value),
                None => Reply::Absent,
            },
            Request::GetRevision { key } => match self.store.get(key) {
                Some(entry) => Reply::Revision(entry.revision, entry.value.json()),
                None => Reply::Absent,
            },
            Request::Set { key, value } => self.set(key, &value),
            Request::SetIfAbsent { key, value } => match self.store.contains(key) {
                true => Reply::Exists(key),
                false => self.set(key, &value),
            },
            Request::CompareAndSet { key, revision, value } => {
                if self.store.revision(key) == revision {
                    self.set(key, &value)
                } else {
                    Reply::Conflict(key)
                }
            }
            Request::Delete { key } => match self.remove(key) {
                Some(_) => Reply::Ok,
                None => Reply::NotFound(key),
            },
            Request::Increment { key, by } => match self.add(key, by) {
                Ok(sum) => Reply::Json(sum.to_string()),
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::Publish { channel, value } => match self.publish(channel, &value) {
                Ok(_) => Reply::Ok,
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::List { pattern } => match Pattern::parse(pattern) {
                Ok(pattern) => self.list(&pattern),
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::Subscribe { pattern } => match Pattern::parse(pattern) {
                Ok(pattern) => match self.subscriptions.add(client, pattern) {
                    Ok(()) => Reply::Ok,
                    Err(what) => Reply::Error(what),
                },
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::SubscribeFrom { from, pattern } => match Pattern::parse(pattern) {
                Ok(pattern) => self.subscribe_from(client, pattern, from),
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::Wait { key, timeout } => {
                if !self.store.contains(key) {
                    return self.wait(client, key, timeout, peer, task_of_client);
                }
                // Looked up again: the borrow of a hit can't leave a branch that also waits.
                self.store.get(key).map_or(Reply::Absent, |entry| value_reply(entry.value))
            }
            Request::Ping => Reply::Ok,
            Request::Progress { record } => match Record::parse(&record) {
                Ok(record) => {
                    self.progressed(record);
                    Reply::Ok
                }
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::Stats => Reply::Json(self.stats()),
            Request::LastStats => {
                self.wait_for_end.push(client);
                return Outcome::Waiting;
            }
            Request::Batch { operations } => self.batch(&operations),
            Request::Append { key, value } => self.append(key, &value),
            Request::TimeToLive { key } => self.time_to_live(key),
            Request::Lock { name, slots, timeout } => {
                let task = task_of_client().map(String::into_boxed_str);
                return self.lock(name, slots, timeout, Party { client, pid: peer, task });
            }
            Request::Unlock { name } => self.unlock(client, name),
            Request::Locks { pattern } => self.locks(pattern),
            Request::Barrier { name, count, timeout } => {
                return self.barrier(client, name, count, timeout);
            }
            Request::Cancel { task } => self.cancel(task),
            Request::Cancelled { task } => self.cancelled(task),
        })
    }

    fn set<'a>(&mut self, key: &str, value: &str) -> Reply<'a> {
        match self.put(key, value, Expiry::Never) {
            Ok(_) => Reply::Ok,
            Err(error) => Reply::Error(error.to_string()),
        }
    }

    /// A SET from within the server's process.
    pub(super) fn set_value(&mut self, key: &str, value: &Json) -> Result<()> {
        self.put(key, value.as_str(), Expiry::Never).map(drop)
    }

    /// Everything stored, as readable JSON.
    pub(super) fn snapshot(&self) -> String {
        self.store.snapshot(self.now)
    }

    /// Takes over what [`Dispatch::snapshot`] made.
    pub(super) fn restore(&mut self, text: &str) -> Result<()> {
        if self.store.sequence() > 0 {
            return Err(Error::usage("the server has values of its own: load before it is used"));
        }
        self.store.restore(text, self.now)?;
        self.expiring = Expiring::at(self.store.sequence());
        self.subscriptions.begin_after(self.store.sequence(), self.history_bytes_max);
        Ok(())
    }

    /// The keys that match, as far as a frame can hold them.
    fn list<'a>(&mut self, pattern: &Pattern) -> Reply<'a> {
        self.looks += self.store.len();
        let keys = self.store.keys(pattern).into_iter().filter(|key| !self.is_due(key));
        match list_text(keys, LIST_BYTES_MAX) {
            Some(list) => Reply::Json(list),
            None => Reply::Error(format!(
                "the keys take more than {LIST_BYTES_MAX} bytes: list with a narrower pattern"
            )),
        }
    }

    /// Takes note of a report of progress.
    pub(super) fn progressed(&mut self, record: Record) {
        self.progress.insert(record.clone());
        if let Some(tell) = &mut self.on_progress {
            tell(record);
        }
    }

    /// The server ends: whoever waits for that gets its last figures.
    pub(super) fn tell_last_figures(&mut self) {
        if self.wait_for_end.is_empty() {
            return;
        }
        let figures: Rc<str> = self.stats().into();
        for client in std::mem::take(&mut self.wait_for_end) {
            self.deliver(client, Delivery::Value(Rc::clone(&figures)));
        }
    }

    /// Looks at the clock: keys whose time is over go, waits that are due end.
    pub(super) fn pass_time(&mut self, now: Instant) {
        self.now = u64::try_from((now - self.started).as_millis()).unwrap_or(u64::MAX);
        self.expire_part();
        while let Some(client) = self.deadlines.take_due(now) {
            if let Some(wait) = self.waits.remove(client) {
                self.deliveries.push_back((client, Delivery::TimedOut(wait.key)));
            } else if let Some(name) = self.stop_waiting(client) {
                self.deliveries.push_back((client, Delivery::TimedOut(name)));
            } else if self.resp.blocked.remove(client) {
                self.deliver(client, Delivery::Answer(resp::TOO_LATE.to_vec()));
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let expiry = self.store.next_expiry();
        let expiry = expiry.and_then(|(at, _)| self.started.checked_add(Duration::from_millis(at)));
        [self.deadlines.next(), expiry].into_iter().flatten().min()
    }

    /// Whether somebody is to be told something.
    #[inline]
    pub(super) fn has_deliveries(&self) -> bool {
        !self.deliveries.is_empty() || self.resp.blocked.is_any_ready()
    }

    /// What somebody is to be told next. Asked for between requests alone: what has been pushed for
    /// those who wait for a list is taken by them now.
    pub(super) fn next_delivery(&mut self) -> Option<(ClientId, Delivery)> {
        if self.resp.blocked.is_any_ready() {
            self.serve_blocked();
        }
        self.deliveries.pop_front()
    }

    /// Queues something for `client`.
    pub(super) fn deliver(&mut self, client: ClientId, delivery: Delivery) {
        self.deliveries.push_back((client, delivery));
    }

    /// Moves the messages that wait for `client` into `out`.
    pub(super) fn take_messages(&mut self, client: ClientId, out: &mut Vec<u8>) {
        self.deliveries.retain(|(to, delivery)| match delivery {
            Delivery::Message(bytes) if *to == client => {
                out.extend_from_slice(bytes);
                false
            }
            _ => true,
        });
    }

    /// Counts a request, and says how many there have been.
    pub(super) fn count_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// Forgets a client that has gone.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.waits.remove(client);
        self.wait_for_end.retain(|waiting| *waiting != client);
        self.deadlines.remove(client);
        self.subscriptions.remove(client);
        self.resp.forget(client);
        self.leave(client);
    }

    /// Figures about the server, a JSON object.
    fn stats(&self) -> String {
        format!(
            "{{\"clients\":{},\"keys\":{},\"bytes\":{},\"seq\":{},\"requests\":{},\
             \"waiting\":{},\"subscriptions\":{},\
             \"sent_away\":{{\"slow\":{},\"stalled\":{},\"refused\":{}}},\
             \"uptime\":{:.3},\"progress\":{}}}",
            self.clients,
            self.store.len(),
            self.store.bytes(),
            self.store.sequence(),
            self.requests,
            self.waits.len()
                + self.locks.waiting()
                + self.barriers.waiting()
                + self.resp.blocked.len(),
            self.subscriptions.len(),
            self.sent_away.slow,
            self.sent_away.stalled,
            self.sent_away.refused,
            self.started.elapsed().as_secs_f64(),
            self.progress.to_json()
        )
    }
}

/// The reply that is a value.
fn value_reply(value: Value<'_>) -> Reply<'_> {
    match value {
        Value::Text(text) => Reply::Value(text),
        Value::List(_) => Reply::Json(value.json().into_owned()),
    }
}

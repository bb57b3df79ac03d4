//! Carries out requests, one after the other, and says who else has to hear of each.
//!
//! No I/O here: the event loop hands in requests and takes replies and deliveries out.

use super::command::{EventKind, Reply, Request, event_text, list_text};
use super::producers::Producers;
use super::store::Store;
use super::waits::{ClientId, Waits};
use crate::error::Result;
use crate::json::Json;
use crate::key::Pattern;
use crate::limits::FRAME_BYTES_MAX;
use crate::progress::Record;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

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
    /// The wait for this key is over: nobody is left.
    ProducerEnded(Box<str>),
    /// An event, as JSON text.
    Event(Rc<str>),
}

/// Most progress bars remembered for STATS; further ones are shown, not kept.
const PROGRESS_BARS_MAX: usize = 10_000;

/// Longest list of keys, in bytes of JSON: what a frame holds beside its status.
const LIST_BYTES_MAX: usize = FRAME_BYTES_MAX - 1;

/// Most patterns one client can subscribe to.
const PATTERNS_PER_CLIENT_MAX: usize = 1024;

/// The state behind the socket and the rules that change it.
pub(super) struct Dispatch {
    pub(super) store: Store,
    producers: Producers,
    waits: Waits,
    subscriptions: Vec<(ClientId, Pattern)>,
    deliveries: VecDeque<(ClientId, Delivery)>,
    /// Keys and subscriptions looked through since the event loop last asked.
    pub(super) looks: usize,
    progress: BTreeMap<(String, String), Record>,
    pub(super) on_progress: Option<Box<dyn FnMut(Record) + Send>>,
    requests: u64,
    /// Clients connected now; the event loop keeps it.
    pub(super) clients: usize,
    started: Instant,
}

impl Dispatch {
    pub(super) fn new(store: Store) -> Dispatch {
        Dispatch {
            store,
            producers: Producers::default(),
            waits: Waits::default(),
            subscriptions: Vec::new(),
            deliveries: VecDeque::new(),
            looks: 0,
            progress: BTreeMap::new(),
            on_progress: None,
            requests: 0,
            clients: 0,
            started: Instant::now(),
        }
    }

    /// Carries out one request of `client`. `task_of_client` is asked only where it matters.
    pub(super) fn execute<'a>(
        &'a mut self,
        client: ClientId,
        request: Request<'a>,
        task_of_client: impl FnOnce() -> Option<String>,
    ) -> Outcome<'a> {
        self.requests += 1;
        Outcome::Reply(match request {
            Request::Get { key } => match self.store.get(key) {
                Some(entry) => Reply::Value(entry.value.as_str()),
                None => Reply::Absent,
            },
            Request::GetRevision { key } => match self.store.get(key) {
                Some(entry) => Reply::Revision(entry.revision, entry.value.as_str()),
                None => Reply::Absent,
            },
            Request::Set { key, value } => self.set(key, value),
            Request::SetIfAbsent { key, value } => match self.store.get(key) {
                Some(_) => Reply::Exists(key),
                None => self.set(key, value),
            },
            Request::CompareAndSet { key, revision, value } => {
                if self.store.revision(key) == revision {
                    self.set(key, value)
                } else {
                    Reply::Conflict(key)
                }
            }
            Request::Delete { key } => match self.store.delete(key) {
                Some(sequence) => {
                    self.tell(sequence, EventKind::Delete, key, None);
                    Reply::Ok
                }
                None => Reply::NotFound(key),
            },
            Request::Increment { key, by } => match self.store.increment(key, by) {
                Ok(sum) => {
                    self.changed(key);
                    Reply::Json(sum.to_string())
                }
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::Publish { channel, value } => match self.store.check_value(&value) {
                Ok(()) => {
                    let sequence = self.store.next_sequence();
                    self.tell(sequence, EventKind::Publish, channel, Some(&value));
                    Reply::Ok
                }
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::List { pattern } => match Pattern::parse(pattern) {
                Ok(pattern) => self.list(&pattern),
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::Subscribe { pattern } => match Pattern::parse(pattern) {
                Ok(pattern) => self.subscribe(client, pattern),
                Err(error) => Reply::Error(error.to_string()),
            },
            Request::Wait { key, timeout } => {
                if self.store.get(key).is_none() {
                    return self.wait(client, key, timeout, task_of_client);
                }
                // Looked up again: the borrow of a hit can't leave a branch that also waits.
                self.store
                    .get(key)
                    .map_or(Reply::Absent, |entry| Reply::Value(entry.value.as_str()))
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
        })
    }

    fn wait<'a>(
        &mut self,
        client: ClientId,
        key: &'a str,
        timeout: Duration,
        task_of_client: impl FnOnce() -> Option<String>,
    ) -> Outcome<'a> {
        let task = if self.producers.is_free() { None } else { task_of_client() };
        if !self.producers.can_set(key, task.as_deref()) {
            return Outcome::Reply(Reply::ProducerEnded(key));
        }
        if timeout.is_zero() {
            return Outcome::Reply(Reply::TimedOut(key));
        }
        // A deadline beyond what the clock can hold is none.
        let deadline = Instant::now().checked_add(timeout);
        self.waits.add(client, key, task.map(String::into_boxed_str), deadline);
        Outcome::Waiting
    }

    /// Keeps the patterns of one client side by side, so that an event is told it once.
    fn subscribe<'a>(&mut self, client: ClientId, pattern: Pattern) -> Reply<'a> {
        let end = self.subscriptions.partition_point(|(subscriber, _)| *subscriber <= client);
        let own = self.subscriptions[..end].iter().rev();
        if own.take_while(|(subscriber, _)| *subscriber == client).count()
            >= PATTERNS_PER_CLIENT_MAX
        {
            return Reply::Error(format!(
                "at most {PATTERNS_PER_CLIENT_MAX} patterns for one client"
            ));
        }
        self.subscriptions.insert(end, (client, pattern));
        Reply::Ok
    }

    fn set<'a>(&mut self, key: &'a str, value: std::borrow::Cow<'_, str>) -> Reply<'a> {
        match self.store.set(key, value) {
            Ok(_) => {
                self.changed(key);
                Reply::Ok
            }
            Err(error) => Reply::Error(error.to_string()),
        }
    }

    /// A SET from within the server's process.
    pub(super) fn set_value(&mut self, key: &str, value: &Json) -> Result<()> {
        self.store.set(key, value.as_str().into())?;
        self.changed(key);
        Ok(())
    }

    /// The keys that match, as far as a frame can hold them.
    fn list<'a>(&mut self, pattern: &Pattern) -> Reply<'a> {
        self.looks += self.store.len();
        match list_text(self.store.keys(pattern).into_iter(), LIST_BYTES_MAX) {
            Some(list) => Reply::Json(list),
            None => Reply::Error(format!(
                "the keys take more than {LIST_BYTES_MAX} bytes: list with a narrower pattern"
            )),
        }
    }

    /// Wakes those who wait for `key`, which has just been written, and tells subscribers.
    fn changed(&mut self, key: &str) {
        let waits = self.waits.take_key(key);
        let Some(entry) = self.store.get(key) else { return };
        let (sequence, value) = (entry.revision, entry.value.as_str());
        if !waits.is_empty() {
            let value: Rc<str> = value.into();
            let over = waits.into_iter();
            self.deliveries
                .extend(over.map(|wait| (wait.client, Delivery::Value(Rc::clone(&value)))));
        }
        let event = || event_text(sequence, EventKind::Set, key, Some(value)).into();
        self.looks += tell(&self.subscriptions, &mut self.deliveries, key, event);
    }

    fn tell(&mut self, sequence: u64, kind: EventKind, key: &str, value: Option<&str>) {
        let event = || event_text(sequence, kind, key, value).into();
        self.looks += tell(&self.subscriptions, &mut self.deliveries, key, event);
    }

    fn progressed(&mut self, record: Record) {
        let bar = (record.task.clone(), record.id.clone());
        if self.progress.len() < PROGRESS_BARS_MAX || self.progress.contains_key(&bar) {
            self.progress.insert(bar, record.clone());
        }
        if let Some(tell) = &mut self.on_progress {
            tell(record);
        }
    }

    /// Names a task of the run, whose keys can come until it has ended.
    pub(super) fn expect_task(&mut self, task: &str) {
        self.producers.expect(task);
    }

    /// A task has ended: waits that only it could fulfil are over.
    pub(super) fn end_task(&mut self, task: &str) {
        self.producers.end(task);
        let producers = &self.producers;
        let over = self.waits.take_if(|wait| !producers.can_set(&wait.key, wait.task.as_deref()));
        let over = over.into_iter();
        self.deliveries.extend(over.map(|wait| (wait.client, Delivery::ProducerEnded(wait.key))));
    }

    /// Who waits for which task's keys.
    pub(super) fn waits(&self) -> BTreeSet<(Option<String>, String)> {
        self.waits.tasks()
    }

    /// Ends the waits that are due.
    pub(super) fn pass_time(&mut self, now: Instant) {
        let due = self.waits.take_due(now).into_iter();
        self.deliveries.extend(due.map(|wait| (wait.client, Delivery::TimedOut(wait.key))));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waits.next_deadline()
    }

    pub(super) fn next_delivery(&mut self) -> Option<(ClientId, Delivery)> {
        self.deliveries.pop_front()
    }

    /// Forgets a client that has gone.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.waits.remove(client);
        self.subscriptions.retain(|(subscriber, _)| *subscriber != client);
    }

    /// Figures about the server, a JSON object.
    fn stats(&self) -> String {
        let bars: Vec<String> = self.progress.values().map(Record::to_json).collect();
        format!(
            "{{\"clients\":{},\"keys\":{},\"bytes\":{},\"seq\":{},\"requests\":{},\
             \"waiting\":{},\"subscriptions\":{},\"uptime\":{:.3},\"progress\":[{}]}}",
            self.clients,
            self.store.len(),
            self.store.bytes(),
            self.store.sequence(),
            self.requests,
            self.waits.len(),
            self.subscriptions.len(),
            self.started.elapsed().as_secs_f64(),
            bars.join(",")
        )
    }
}

/// Queues the event of a change of `key`, which is made only if somebody wants it, and returns how
/// many subscriptions were looked at.
fn tell(
    subscriptions: &[(ClientId, Pattern)],
    deliveries: &mut VecDeque<(ClientId, Delivery)>,
    key: &str,
    make: impl Fn() -> Rc<str>,
) -> usize {
    let mut event: Option<Rc<str>> = None;
    let mut last = None;
    for (client, pattern) in subscriptions {
        if last == Some(*client) || !pattern.matches(key) {
            continue;
        }
        last = Some(*client);
        let event = Rc::clone(event.get_or_insert_with(&make));
        deliveries.push_back((*client, Delivery::Event(event)));
    }
    subscriptions.len()
}

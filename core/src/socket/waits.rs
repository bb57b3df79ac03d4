//! Clients that wait for a key, found by key when it comes.

use crate::key::task_of;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// A client of the server, as its connection is known to the event loop.
pub(super) type ClientId = usize;

/// Who waits: the process at the other end of a connection, and the task it was started in.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    pub(super) process: Option<u32>,
    pub(super) task: Option<Box<str>>,
}

/// One client's wait for one key.
#[derive(Debug)]
pub(super) struct Wait {
    /// No other wait at this server has it.
    pub(super) number: u64,
    pub(super) client: ClientId,
    pub(super) key: Box<str>,
    pub(super) caller: Caller,
}

/// A client's wait for a key, as a runner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// No other wait at this server has it.
    pub number: u64,
    /// The process that waits, as it connected.
    pub process: Option<u32>,
    /// The task that waits, where that is known.
    pub task: Option<String>,
    /// What it waits for.
    pub key: String,
    /// The task this key belongs to; `_` for none.
    pub wanted: String,
    /// When it gives up.
    pub deadline: Option<Instant>,
}

/// All waits; a client has at most one, since a wait holds up what it asks next.
#[derive(Debug, Default)]
pub(super) struct Waits {
    by_client: HashMap<ClientId, Wait>,
    by_key: HashMap<Box<str>, Vec<ClientId>>,
    last_number: u64,
}

impl Waits {
    pub(super) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }

    pub(super) fn add(&mut self, client: ClientId, key: &str, caller: Caller) {
        self.by_key.entry(key.into()).or_default().push(client);
        self.last_number += 1;
        let wait = Wait { number: self.last_number, client, key: key.into(), caller };
        self.by_client.insert(client, wait);
    }

    /// All waits; `deadline` says when each is over.
    pub(super) fn all(&self, deadline: impl Fn(ClientId) -> Option<Instant>) -> Vec<Waiting> {
        let waits = self.by_client.values();
        waits
            .map(|wait| Waiting {
                number: wait.number,
                process: wait.caller.process,
                task: wait.caller.task.as_deref().map(str::to_owned),
                key: wait.key.to_string(),
                wanted: task_of(&wait.key).to_owned(),
                deadline: deadline(wait.client),
            })
            .collect()
    }

    /// Whether every wait with one of these numbers lasts still.
    pub(super) fn last(&self, numbers: &[u64]) -> bool {
        let is_one = |wait: &&Wait| numbers.contains(&wait.number);
        self.by_client.values().filter(is_one).count() == numbers.len()
    }

    /// Ends the wait of `client`, if it has one.
    pub(super) fn remove(&mut self, client: ClientId) -> Option<Wait> {
        let wait = self.by_client.remove(&client)?;
        if let Some(clients) = self.by_key.get_mut(&wait.key) {
            clients.retain(|waiting| *waiting != client);
            if clients.is_empty() {
                self.by_key.remove(&wait.key);
            }
        }
        Some(wait)
    }

    /// Ends every wait for `key`.
    pub(super) fn take_key(&mut self, key: &str) -> Vec<Wait> {
        if self.by_key.is_empty() {
            return Vec::new();
        }
        let clients = self.by_key.remove(key).unwrap_or_default();
        clients.into_iter().filter_map(|client| self.remove(client)).collect()
    }

    /// Ends every wait that `hopeless` says can't be fulfilled.
    pub(super) fn take_if(&mut self, hopeless: impl Fn(&Wait) -> bool) -> Vec<Wait> {
        let taken = self.by_client.values().filter(|wait| hopeless(wait)).map(|wait| wait.client);
        let taken: Vec<ClientId> = taken.collect();
        taken.into_iter().filter_map(|client| self.remove(client)).collect()
    }

    /// Who waits for which task's keys: the task that waits, where that is known, and the other.
    pub(super) fn tasks(&self) -> BTreeSet<(Option<String>, String)> {
        let waits = self.by_client.values();
        let waiter = |wait: &Wait| wait.caller.task.as_deref().map(str::to_owned);
        waits.map(|wait| (waiter(wait), task_of(&wait.key).to_owned())).collect()
    }
}

//! Clients that wait for a key, found by key when it comes.

use crate::key::task_of;
use std::collections::{BTreeSet, HashMap};

/// A client of the server, as its connection is known to the event loop.
pub(super) type ClientId = usize;

/// One client's wait for one key.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) client: ClientId,
    pub(super) key: Box<str>,
    /// The task the client belongs to, where that is known.
    pub(super) task: Option<Box<str>>,
}

/// All waits; a client has at most one, since a wait holds up what it asks next.
#[derive(Debug, Default)]
pub(super) struct Waits {
    by_client: HashMap<ClientId, Wait>,
    by_key: HashMap<Box<str>, Vec<ClientId>>,
}

impl Waits {
    pub(super) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }

    pub(super) fn add(&mut self, client: ClientId, key: &str, task: Option<Box<str>>) {
        self.by_key.entry(key.into()).or_default().push(client);
        self.by_client.insert(client, Wait { client, key: key.into(), task });
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
        let waiter = |wait: &Wait| wait.task.as_deref().map(str::to_owned);
        waits.map(|wait| (waiter(wait), task_of(&wait.key).to_owned())).collect()
    }
}

//! Waiting for keys: who could still set them, and what happens when nobody can.

use super::super::command::Reply;
use super::super::waits::{Caller, ClientId, Wait, Waiting};
use super::{Delivery, Dispatch, Outcome};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

impl Dispatch {
    pub(super) fn wait<'a>(
        &mut self,
        client: ClientId,
        key: &'a str,
        timeout: Duration,
        peer: Option<i32>,
        task_of_client: impl FnOnce() -> Option<String>,
    ) -> Outcome<'a> {
        let task = if self.producers.is_free() { None } else { task_of_client() };
        let task = task.as_deref();
        if !self.producers.can_set(key, task) {
            let line = format!("{key}: {}", self.producers.who(key, task));
            return Outcome::Reply(Reply::ProducerEnded(line.into()));
        }
        if timeout.is_zero() {
            return Outcome::Reply(Reply::TimedOut(key));
        }
        // A deadline beyond what the clock can hold is none.
        if let Some(deadline) = Instant::now().checked_add(timeout) {
            self.deadlines.set(client, deadline);
        }
        let process = peer.and_then(|id| u32::try_from(id).ok());
        self.waits.add(client, key, Caller { process, task: task.map(Into::into) });
        if let Some(tell) = &mut self.on_wait {
            tell();
        }
        Outcome::Waiting
    }

    /// Names a task of the run, whose keys can come until it has ended.
    pub(in super::super) fn expect_task(&mut self, task: &str) {
        self.producers.expect(task);
    }

    /// Nothing comes from a task any more: waits that only it could fulfil are over.
    pub(in super::super) fn end_task(&mut self, task: &str, became: &str) {
        self.producers.end(task, became);
        let producers = &self.producers;
        let task = |wait: &Wait| wait.caller.task.as_deref().map(str::to_owned);
        let over = self.waits.take_if(|wait| !producers.can_set(&wait.key, task(wait).as_deref()));
        for wait in over {
            let who = self.producers.who(&wait.key, wait.caller.task.as_deref());
            self.end_wait(&wait, &who);
        }
    }

    fn end_wait(&mut self, wait: &Wait, who: &str) {
        self.deadlines.remove(wait.client);
        let line = format!("{}: {who}", wait.key).into();
        self.deliveries.push_back((wait.client, Delivery::ProducerEnded(line)));
    }

    /// Who waits for which task's keys.
    pub(in super::super) fn waits(&self) -> BTreeSet<(Option<String>, String)> {
        self.waits.tasks()
    }

    /// Who waits for which key, and for how long.
    pub(in super::super) fn waiting(&self) -> Vec<Waiting> {
        self.waits.all(|client| self.deadlines.of(client))
    }

    /// Ends the waits with the numbers `doomed` because of `why`, if all of `together` last still;
    /// whether they did.
    pub(in super::super) fn end_waits(
        &mut self,
        together: &[u64],
        doomed: &[u64],
        why: &str,
    ) -> bool {
        if !self.waits.last(together) {
            return false;
        }
        for wait in self.waits.take_if(|wait| doomed.contains(&wait.number)) {
            self.end_wait(&wait, why);
        }
        true
    }
}

//! When clients that wait are told that it is too late, whatever they wait for.

use super::waits::ClientId;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// The deadlines of waiting clients; a client waits for one thing at a time.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    of_client: HashMap<ClientId, Instant>,
    in_order: BTreeSet<(Instant, ClientId)>,
}

impl Deadlines {
    /// Sets the deadline of `client`, in place of any other it has.
    pub(super) fn set(&mut self, client: ClientId, at: Instant) {
        self.remove(client);
        self.of_client.insert(client, at);
        self.in_order.insert((at, client));
    }

    /// The deadline of `client`, if it has one.
    pub(super) fn of(&self, client: ClientId) -> Option<Instant> {
        self.of_client.get(&client).copied()
    }

    /// Forgets the deadline of `client`: its wait is over.
    pub(super) fn remove(&mut self, client: ClientId) {
        if let Some(at) = self.of_client.remove(&client) {
            self.in_order.remove(&(at, client));
        }
    }

    /// The first deadline there is.
    pub(super) fn next(&self) -> Option<Instant> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// Takes out the first client whose deadline is not after `now`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<ClientId> {
        let (_, client) = *self.in_order.first().filter(|(at, _)| *at <= now)?;
        self.remove(client);
        Some(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn clients_are_due_in_the_order_of_their_deadlines() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        deadlines.set(1, at(3));
        deadlines.set(2, at(1));
        deadlines.set(3, at(2));
        deadlines.set(1, at(1));
        deadlines.remove(3);
        assert_eq!((deadlines.next(), deadlines.of(1)), (Some(at(1)), Some(at(1))));
        assert_eq!(deadlines.take_due(now), None);
        let due: Vec<_> = std::iter::from_fn(|| deadlines.take_due(at(5))).collect();
        assert_eq!(due, [1, 2]);
        assert_eq!(deadlines.next(), None);
    }
}

//! What is known of one connection that speaks RESP, and of all of them together.

use super::super::waits::ClientId;
use super::blocking::Blocked;
use super::channels::Channels;
use super::transaction::Queue;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// The state of one connection.
#[derive(Debug, Default)]
pub(in super::super) struct Session {
    /// What MULTI holds back until EXEC.
    pub(super) queue: Option<Box<Queue>>,
    /// Channels and patterns it has subscribed to: while there are any, most commands are refused.
    pub(super) subscriptions: usize,
}

impl Session {
    /// Whether commands are carried out as they come.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.queue.is_none() && self.subscriptions == 0
    }

    /// Has EXEC refuse what MULTI has begun.
    pub(in super::super) fn spoil(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.spoil();
        }
    }

    /// Whether it gets messages.
    pub(in super::super) fn is_subscribed(&self) -> bool {
        self.subscriptions > 0
    }
}

/// What is shown of one connection by CLIENT LIST.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) name: Vec<u8>,
    pub(super) since: Instant,
}

/// What RESP adds to the state behind the socket.
#[derive(Debug, Default)]
pub(in super::super) struct Shared {
    pub(in super::super) blocked: Blocked,
    pub(super) channels: Channels,
    /// Who has ever sent a request of this dialect.
    pub(super) known: BTreeMap<ClientId, Known>,
    last_id: i64,
    /// Bytes that all transactions hold back.
    pub(super) queued: Rc<Cell<usize>>,
    /// Where the JSON texts of values are put together.
    pub(super) json: String,
}

impl Shared {
    /// What is known of `client`, which gets a number the first time.
    pub(super) fn known(&mut self, client: ClientId) -> &mut Known {
        let last = &mut self.last_id;
        self.known.entry(client).or_insert_with(|| {
            *last += 1;
            Known { id: *last, name: Vec::new(), since: Instant::now() }
        })
    }

    /// Has a client get no more messages.
    pub(in super::super) fn end_subscriptions(&mut self, client: ClientId) {
        self.channels.forget(client);
    }

    /// Forgets a client that has gone.
    pub(in super::super) fn forget(&mut self, client: ClientId) {
        self.blocked.remove(client);
        self.channels.forget(client);
        self.known.remove(&client);
    }

    /// Keeps a text's memory for the next one, unless that was unusually much.
    pub(super) fn give_back(&mut self, mut json: String) {
        json.clear();
        if json.capacity() <= 64 << 10 {
            self.json = json;
        }
    }
}

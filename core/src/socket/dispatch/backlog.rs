//! What a request of many changes may have others be told: as everywhere, whoever would fall too far
//! behind is sent away, and before all of it is there. Nothing reaches a client while a request lasts.

use super::super::waits::ClientId;
use super::{Delivery, Dispatch};
use crate::limits::SUBSCRIBER_BACKLOG_BYTES_MAX;

/// What one request has queued so far.
#[derive(Debug, Default)]
pub(in crate::socket) struct Backlog {
    /// Deliveries that have been counted.
    counted: usize,
    /// Bytes of events by client.
    of_client: Vec<usize>,
}

impl Dispatch {
    /// Counts what has been queued since the last time, and sends those away for whom it is too much.
    pub(in crate::socket) fn bound(&mut self, backlog: &mut Backlog) {
        // What a client has taken of its own messages was counted, too.
        backlog.counted = backlog.counted.min(self.deliveries.len());
        let mut behind: Vec<ClientId> = Vec::new();
        for (client, delivery) in self.deliveries.range(backlog.counted..) {
            let bytes = match delivery {
                Delivery::Event(text) => text.len(),
                Delivery::Message(bytes) => bytes.len(),
                _ => continue,
            };
            if backlog.of_client.len() <= *client {
                backlog.of_client.resize(*client + 1, 0);
            }
            let queued = &mut backlog.of_client[*client];
            *queued += bytes;
            if *queued > SUBSCRIBER_BACKLOG_BYTES_MAX + bytes && !behind.contains(client) {
                behind.push(*client);
            }
        }
        for client in behind {
            self.subscriptions.remove(client);
            self.resp.end_subscriptions(client);
            self.deliveries.retain(|(to, delivery)| {
                *to != client || !matches!(delivery, Delivery::Event(_) | Delivery::Message(_))
            });
            let bytes = std::mem::take(&mut backlog.of_client[client]);
            self.deliveries.push_back((client, Delivery::TooSlow(bytes)));
        }
        backlog.counted = self.deliveries.len();
    }
}

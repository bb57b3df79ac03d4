//! What clients get without having asked just now: events, and the end of their waits.

use super::super::binary;
use super::super::command::Reply;
use super::super::dispatch::{Delivery, Replayed};
use super::event_loop::EventLoop;
use super::exchange::encode;
use super::input::Dialect;
use crate::limits::SUBSCRIBER_BACKLOG_BYTES_MAX;
use std::rc::Rc;

/// History looked through in one turn of a client that is told of the past, in bytes.
const REPLAY_BYTES: usize = 16 << 10;

/// The bytes of what several clients are told, made once for each dialect.
#[derive(Default)]
struct Shared {
    of: Option<Rc<str>>,
    forms: [Option<Rc<[u8]>>; 3],
}

impl Shared {
    fn bytes(
        &mut self,
        text: &Rc<str>,
        dialect: Dialect,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> &Rc<[u8]> {
        if !self.of.as_ref().is_some_and(|last| Rc::ptr_eq(last, text)) {
            *self = Shared { of: Some(Rc::clone(text)), forms: [None, None, None] };
        }
        self.forms[dialect as usize].get_or_insert_with(|| {
            let mut bytes = Vec::with_capacity(text.len() + 8);
            encode(&mut bytes);
            bytes.into()
        })
    }
}

impl EventLoop {
    /// Hands out what requests meant for others. `current` is the client whose replies are still
    /// on their way: they come before what follows from them.
    #[inline]
    pub(super) fn deliver(&mut self, current: Option<usize>) {
        if self.dispatch.has_deliveries() {
            self.deliver_all(current);
        }
    }

    fn deliver_all(&mut self, current: Option<usize>) {
        let mut shared = Shared::default();
        while let Some((client, delivery)) = self.dispatch.next_delivery() {
            if current == Some(client) {
                self.push_replies(client);
            }
            let Some(Some(connection)) = self.clients.get_mut(client) else { continue };
            let dialect = connection.dialect.unwrap_or(Dialect::Text);
            let mut small = |reply| {
                let mut bytes = Vec::new();
                encode(dialect, &reply, &mut bytes);
                connection.output.push(&bytes);
            };
            match &delivery {
                Delivery::Event(event) => {
                    let bytes =
                        shared.bytes(event, dialect, |out| encode_event(dialect, event, out));
                    self.send_event(client, dialect, bytes);
                    continue;
                }
                Delivery::Value(value) => {
                    let reply = Reply::Value(value);
                    let bytes = shared.bytes(value, dialect, |out| encode(dialect, &reply, out));
                    connection.output.push_shared(bytes);
                }
                Delivery::Message(bytes) => {
                    self.send_event(client, dialect, bytes);
                    continue;
                }
                Delivery::Answer(bytes) => connection.output.push(bytes),
                Delivery::TooSlow(bytes) => {
                    self.send_away(client, dialect, *bytes);
                    self.touch(client);
                    continue;
                }
                Delivery::TimedOut(key) => small(Reply::TimedOut(key)),
                Delivery::ProducerEnded(line) => small(Reply::ProducerEnded((&**line).into())),
            }
            connection.waiting = false;
            self.touch(client);
        }
    }

    /// Hands out some events of the past, where there is room for them: few, since making them
    /// takes longer than whatever else a turn is for.
    pub(super) fn replay(&mut self, client: usize) {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        if self.turn == 0 || !connection.replaying || connection.closing || !connection.has_room() {
            return;
        }
        let dialect = connection.dialect.unwrap_or(Dialect::Text);
        let mut bytes = Vec::new();
        let replayed = self.dispatch.replay(client, REPLAY_BYTES, |event| {
            encode_event(dialect, event, &mut bytes);
        });
        connection.output.push(&bytes);
        connection.replaying = replayed == Replayed::More;
    }

    fn send_event(&mut self, client: usize, dialect: Dialect, bytes: &Rc<[u8]>) {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        if connection.closing || connection.gone {
            return;
        }
        connection.output.push_shared(bytes);
        let waiting = connection.output.len();
        if waiting > SUBSCRIBER_BACKLOG_BYTES_MAX + bytes.len() {
            self.send_away(client, dialect, waiting);
        }
        self.touch(client);
    }

    /// Tells a subscriber that so many bytes of events waited for it, and disconnects it.
    fn send_away(&mut self, client: usize, dialect: Dialect, waiting: usize) {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        connection.output.drop_unbegun();
        let what = format!("too slow: {waiting} bytes of events were waiting; subscribe again");
        let mut reason = Vec::new();
        encode(dialect, &Reply::Error(what), &mut reason);
        connection.output.push(&reason);
        connection.closing = true;
        self.dispatch.sent_away.slow += 1;
        self.dispatch.forget(client);
    }

    /// Queues a client to be gone on with.
    fn touch(&mut self, client: usize) {
        if let Some(Some(connection)) = self.clients.get_mut(client)
            && !connection.touched
        {
            connection.touched = true;
            self.touched.push_back(client);
        }
    }
}

fn encode_event(dialect: Dialect, event: &str, out: &mut Vec<u8>) {
    match dialect {
        Dialect::Text => {
            out.extend_from_slice(event.as_bytes());
            out.push(b'\n');
        }
        // Redis clients hear of messages on channels alone, which come as they are.
        Dialect::Resp => {}
        Dialect::Binary => binary::encode_event(event, out),
    }
}

//! MULTI, EXEC, DISCARD; and what Redis refuses to a client that has subscribed.

use super::super::dispatch::Backlog;
use super::parse::Args;
use super::reply::{self, Failure};
use super::table::Command;
use super::{Call, Done, Flow, REPLY_BYTES_MAX};
use crate::limits::INPUT_TOTAL_BYTES_MAX;
use std::cell::Cell;
use std::rc::Rc;

/// What one argument costs in a queue beside its bytes.
const ARGUMENT_BYTES: usize = 8;
/// What one command costs.
const COMMAND_BYTES: usize = 16;

/// Commands that wait for EXEC, side by side in one text.
#[derive(Debug)]
pub(super) struct Queue {
    input: Vec<u8>,
    spans: Vec<(u32, u32)>,
    /// Each command with the end of its arguments among the spans.
    commands: Vec<(Command, usize)>,
    /// Something was wrong already: EXEC will refuse.
    broken: bool,
    held: usize,
    /// What all queues hold, this one among them.
    total: Rc<Cell<usize>>,
}

impl Queue {
    fn new(total: Rc<Cell<usize>>) -> Queue {
        let (input, spans, commands) = (Vec::new(), Vec::new(), Vec::new());
        Queue { input, spans, commands, broken: false, held: 0, total }
    }

    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    pub(super) fn spoil(&mut self) {
        self.broken = true;
    }

    /// Whether there was room for it.
    fn add(&mut self, command: Command, args: &Args<'_>) -> bool {
        let bytes: usize = args.from(0).map(<[u8]>::len).sum();
        let cost = bytes + args.len() * ARGUMENT_BYTES + COMMAND_BYTES;
        let fits = self.total.get() + cost <= INPUT_TOTAL_BYTES_MAX
            && u32::try_from(self.input.len() + bytes).is_ok();
        if !fits {
            return false;
        }
        self.held += cost;
        self.total.set(self.total.get() + cost);
        for arg in args.from(0) {
            let from = self.input.len() as u32;
            self.input.extend_from_slice(arg);
            self.spans.push((from, self.input.len() as u32));
        }
        self.commands.push((command, self.spans.len()));
        true
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.total.set(self.total.get() - self.held);
    }
}

impl Call<'_> {
    /// Says what is wrong with a request, which also spoils a transaction that has begun.
    #[cold]
    pub(super) fn rejected(&mut self, command: Option<Command>, line: &[u8]) {
        self.session.spoil();
        if command == Some(Command::Exec) {
            self.session.queue = None;
            let why = line.strip_prefix(b"ERR ").unwrap_or(line);
            let line = [b"EXECABORT Transaction discarded because of: ", why].concat();
            reply::error(self.out, &line);
        } else {
            reply::error(self.out, line);
        }
    }

    /// Whether `command` is not carried out now: it was queued, or refused to a subscriber.
    #[cold]
    pub(super) fn held_back(&mut self, command: Command, args: &Args<'_>) -> bool {
        let listens = matches!(
            command,
            Command::Ping
                | Command::Subscribe
                | Command::PSubscribe
                | Command::Unsubscribe
                | Command::PUnsubscribe
                | Command::Reset
        );
        if self.session.subscriptions > 0 && !listens {
            let name = command.spec().name;
            let line = format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / \
                 RESET are allowed in this context"
            );
            self.rejected(Some(command), line.as_bytes());
            return true;
        }
        let at_once =
            matches!(command, Command::Exec | Command::Discard | Command::Multi | Command::Reset);
        let Some(queue) = self.session.queue.as_mut().filter(|_| !at_once) else { return false };
        if queue.add(command, args) {
            reply::simple(self.out, "QUEUED");
        } else {
            self.rejected(None, b"ERR the transactions of all clients hold too much: try later");
        }
        true
    }

    pub(super) fn begin(&mut self) -> Done {
        if self.session.queue.is_some() {
            return Err(Failure::Known("ERR MULTI calls can not be nested"));
        }
        let total = Rc::clone(&self.dispatch.resp.queued);
        self.session.queue = Some(Box::new(Queue::new(total)));
        self.ok()
    }

    pub(super) fn discard(&mut self) -> Done {
        match self.session.queue.take() {
            Some(_) => self.ok(),
            None => Err(Failure::Known("ERR DISCARD without MULTI")),
        }
    }

    pub(super) fn exec(&mut self) -> Done {
        let Some(queue) = self.session.queue.take() else {
            return Err(Failure::Known("ERR EXEC without MULTI"));
        };
        if queue.broken {
            let text = "EXECABORT Transaction discarded because of previous errors.";
            return Err(Failure::Known(text));
        }
        let start = self.out.len();
        reply::array(self.out, queue.commands.len());
        self.in_transaction = true;
        // Whoever waits for a key gets what all of them have made of it.
        let waits = self.dispatch.set_waits_aside();
        let mut backlog = Backlog::default();
        let mut from = 0;
        for (command, to) in &queue.commands {
            let args = Args::new(&queue.input, &queue.spans[from..*to]);
            from = *to;
            let before = self.out.len();
            // In a transaction nothing waits and nothing closes.
            self.run(*command, &args);
            self.dispatch.bound(&mut backlog);
            if self.out.len() - start > REPLY_BYTES_MAX {
                // It is carried out all the same: all or none.
                self.out.truncate(before);
                reply::error(self.out, b"ERR the replies of this transaction take too much");
            }
        }
        let named = Args::new(&queue.input, &queue.spans);
        self.dispatch.resume_waits(waits, named.from(0));
        Ok(Flow::Done)
    }

    pub(super) fn reset(&mut self) -> Done {
        self.session.queue = None;
        self.dispatch.resp.channels.forget(self.client);
        self.session.subscriptions = 0;
        self.dispatch.resp.known(self.client).name.clear();
        reply::simple(self.out, "RESET");
        Ok(Flow::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    #[test]
    fn what_queues_hold_is_counted_and_given_back() {
        let total = Rc::new(Cell::new(0));
        let mut queue = Queue::new(Rc::clone(&total));
        let args = Args::new(b"GETk", &[(0, 3), (3, 4)]);
        assert!(queue.add(Command::Get, &args) && queue.add(Command::Get, &args));
        assert_eq!(queue.input, b"GETkGETk");
        assert_eq!(queue.spans, [(0, 3), (3, 4), (4, 7), (7, 8)]);
        assert!(total.get() > 8);
        total.set(INPUT_TOTAL_BYTES_MAX);
        assert!(!queue.add(Command::Get, &args));
        drop(queue);
        assert!(total.get() < INPUT_TOTAL_BYTES_MAX);
        assert_eq!(table::look_up(&args).ok(), Some(Command::Get));
    }
}

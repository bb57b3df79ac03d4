//! The conversation with one client: reading, carrying out, answering, delivering.

use super::super::binary;
use super::super::command::{Reply, Request};
use super::super::dispatch::Outcome;
use super::super::resp;
use super::super::store::too_large;
use super::super::text;
use super::event_loop::EventLoop;
use super::input::{Cut, Dialect, Skip, cut, latch, skipped};
use crate::limits::{FRAME_BYTES_MAX, INPUT_TOTAL_BYTES_MAX, KEY_BYTES_MAX};
use crate::run::variable;
use std::io::{self, Read};

/// What a request takes beside its key and value, in any dialect.
const REQUEST_OVERHEAD_BYTES: usize = 64;

/// Longest request where values may have `value_bytes_max`, in bytes.
pub(super) fn request_bytes_max(value_bytes_max: usize) -> usize {
    (value_bytes_max + KEY_BYTES_MAX + REQUEST_OVERHEAD_BYTES).min(FRAME_BYTES_MAX)
}

impl EventLoop {
    /// Reads from `client` and carries out its requests as long as there are any and its replies
    /// find room. Most requests are carried out where they were read, in `scratch`.
    pub(super) fn exchange(&mut self, client: usize, scratch: &mut [u8]) {
        loop {
            if self.turn == 0 {
                self.go_on_later(client);
                return;
            }
            let Some(Some(connection)) = self.clients.get_mut(client) else { return };
            if !connection.input.is_empty() && connection.takes_requests() {
                let mut input = std::mem::take(&mut connection.input);
                let used = self.carry_out(client, &input);
                input.drain(..used);
                self.input_bytes -= used;
                let Some(Some(connection)) = self.clients.get_mut(client) else { return };
                connection.input = input;
            }
            let Some(Some(connection)) = self.clients.get_mut(client) else { return };
            if !connection.takes_requests() {
                return;
            }
            // With its turn over, whole requests may still lie in what has been read.
            if self.turn == 0 {
                continue;
            }
            if connection.ended {
                self.last_line(client);
                return;
            }
            if !connection.readable {
                return;
            }
            match connection.stream.read(scratch) {
                Ok(0) => connection.ended = true,
                Ok(count) => {
                    // A short read emptied the socket, but for the end behind its last byte.
                    connection.readable = count == scratch.len() || connection.end_seen;
                    self.worked(count);
                    self.received(client, &scratch[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Gone, with replies unread: what has come stands.
                Err(_) => connection.ended = true,
            }
        }
    }

    fn received(&mut self, client: usize, bytes: &[u8]) {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        if connection.events_only() {
            return;
        }
        let rest = if connection.input.is_empty() {
            let used = self.carry_out(client, bytes);
            &bytes[used..]
        } else {
            bytes
        };
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        if connection.closing || rest.is_empty() {
            return;
        }
        if self.input_bytes + rest.len() > INPUT_TOTAL_BYTES_MAX {
            let what = "too many unfinished requests at once: try again later";
            self.refuse(client, what.into());
            return;
        }
        self.input_bytes += rest.len();
        connection.input.extend_from_slice(rest);
    }

    /// A last line may lack its line feed.
    fn last_line(&mut self, client: usize) {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        let line = std::mem::take(&mut connection.input);
        self.input_bytes -= line.len();
        if connection.dialect == Some(Dialect::Text)
            && connection.skip.is_none()
            && !line.is_empty()
        {
            self.carry_out_one(client, Dialect::Text, &line);
            self.push_replies(client);
        }
    }

    /// Carries out the whole requests in `input` and returns how many bytes they took.
    fn carry_out(&mut self, client: usize, input: &[u8]) -> usize {
        let mut used = 0;
        while used < input.len() && self.turn > 0 {
            let Some(Some(connection)) = self.clients.get_mut(client) else { break };
            if !connection.takes_requests() {
                break;
            }
            if connection.events_only() {
                used = input.len();
                break;
            }
            if let Some(skip) = connection.skip {
                match skipped(skip, &input[used..]) {
                    Ok((skipped, left)) => {
                        connection.skip = left;
                        used += skipped;
                    }
                    Err(what) => {
                        self.refuse(client, what);
                        break;
                    }
                }
                continue;
            }
            let dialect = *connection.dialect.get_or_insert_with(|| latch(input[used]));
            if dialect == Dialect::Resp {
                return self.carry_out_resp(client, input);
            }
            let request_bytes_max = self.request_bytes_max;
            match cut(dialect, &input[used..], &mut connection.searched, request_bytes_max) {
                Cut::Request(request, taken) => {
                    self.carry_out_one(client, dialect, request);
                    used += taken;
                    self.worked(taken);
                    // Replies are handed on in time for the limits on them to count.
                    if self.reply.len() >= super::event_loop::READ_BYTES {
                        self.push_replies(client);
                    }
                }
                Cut::TooLarge(bytes) => {
                    connection.searched = 0;
                    connection.skip = Some(match dialect {
                        Dialect::Text => Skip::Line(FRAME_BYTES_MAX),
                        _ => Skip::Bytes(bytes + binary::LENGTH_BYTES),
                    });
                    let error = too_large(bytes, self.value_bytes_max);
                    encode(dialect, &Reply::Error(error.to_string()), &mut self.reply);
                }
                Cut::Partial => break,
                Cut::Broken(what) => {
                    self.refuse(client, what);
                    break;
                }
            }
        }
        self.push_replies(client);
        used
    }

    fn carry_out_one(&mut self, client: usize, dialect: Dialect, request: &[u8]) {
        let request = match dialect {
            Dialect::Text => text::parse(request),
            _ => binary::parse(request),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                encode(dialect, &Reply::Error(error.to_string()), &mut self.reply);
                return;
            }
        };
        let replays = matches!(request, Request::SubscribeFrom { .. });
        let subscribes = replays || matches!(request, Request::Subscribe { .. });
        if matches!(request, Request::Progress { .. } | Request::Stats) {
            // What shells have written into the FIFO was reported before this.
            self.take_progress();
        }
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        let peer = connection.peer;
        let task = || connection.task.get_or_insert_with(|| task_of_process(peer)).clone();
        match self.dispatch.execute(client, request, peer, task) {
            Outcome::Reply(reply) => {
                encode(dialect, &reply, &mut self.reply);
                let refused = matches!(reply, Reply::Error(_));
                connection.subscribed |= subscribes && !refused;
                connection.replaying |= replays && !refused;
            }
            Outcome::Waiting => connection.waiting = true,
        }
        self.deliver(Some(client));
    }

    /// Moves the replies that are ready into the client's output.
    pub(super) fn push_replies(&mut self, client: usize) {
        if let Some(Some(connection)) = self.clients.get_mut(client) {
            connection.output.push(&self.reply);
        }
        self.reply.clear();
        // One large reply must not be paid for as long as the server lives.
        self.reply.shrink_to(super::event_loop::READ_BYTES * 2);
    }

    /// Tells a client why it is disconnected, and disconnects it once that is sent.
    fn refuse(&mut self, client: usize, what: String) {
        let Some(Some(connection)) = self.clients.get_mut(client) else { return };
        let dialect = connection.dialect.unwrap_or(Dialect::Text);
        encode(dialect, &Reply::Error(what), &mut self.reply);
        connection.closing = true;
        self.push_replies(client);
    }
}

pub(super) fn encode(dialect: Dialect, reply: &Reply<'_>, out: &mut Vec<u8>) {
    match dialect {
        Dialect::Text => text::encode(reply, out),
        Dialect::Binary => binary::encode(reply, out),
        Dialect::Resp => resp::encode(reply, out),
    }
}

/// The task a process belongs to, by the environment it was started with.
fn task_of_process(pid: Option<i32>) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{}/environ", pid?)).ok()?;
    let prefix = format!("{}=", variable::TASK_NAME);
    let mut entries = environment.split(|byte| *byte == 0);
    let name = entries.find_map(|entry| entry.strip_prefix(prefix.as_bytes()))?;
    String::from_utf8(name.to_vec()).ok()
}

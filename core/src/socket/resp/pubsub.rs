//! Channels: messages from every dialect to those who have subscribed in RESP, and the other way.

use super::super::dispatch::{Delivery, Dispatch};
use super::parse::Args;
use super::reply::{self, Failure};
use super::{Call, Done, Flow, glob, key, value};
use std::rc::Rc;

impl Dispatch {
    /// Queues what was published on `channel`, a JSON value, for its subscribers in RESP; how many
    /// there are.
    #[inline]
    pub(in super::super) fn publish_to_resp(&mut self, channel: &str, json: &str) -> usize {
        if self.resp.channels.is_empty() { 0 } else { self.publish_messages(channel, json) }
    }

    fn publish_messages(&mut self, channel: &str, json: &str) -> usize {
        let message = value::bytes(json);
        let mut told = Vec::new();
        self.resp.channels.listeners(channel.as_bytes(), |pattern, clients| {
            let mut out = Vec::with_capacity(message.len() + channel.len() + 64);
            match pattern {
                None => {
                    reply::array(&mut out, 3);
                    reply::bulk(&mut out, b"message");
                }
                Some(pattern) => {
                    reply::array(&mut out, 4);
                    reply::bulk(&mut out, b"pmessage");
                    reply::bulk(&mut out, pattern);
                }
            }
            reply::bulk(&mut out, channel.as_bytes());
            reply::bulk(&mut out, &message);
            let bytes: Rc<[u8]> = out.into();
            told.extend(clients.iter().map(|client| (*client, Rc::clone(&bytes))));
        });
        // Looking at patterns is work, too.
        self.looks += self.resp.channels.counts().1;
        let count = told.len();
        for (client, bytes) in told {
            self.deliver(client, Delivery::Message(bytes));
        }
        count
    }
}

impl Call<'_> {
    pub(super) fn publish(&mut self, args: &Args<'_>) -> Done {
        let channel = channel(args.get(1))?;
        let json = value::json(args.get(2));
        let count = self.dispatch.publish(channel, &json)?;
        // Its own message comes before the reply, as in Redis.
        if self.session.subscriptions > 0 {
            self.dispatch.take_messages(self.client, self.out);
        }
        reply::count(self.out, count);
        Ok(Flow::Done)
    }

    pub(super) fn subscribe(&mut self, args: &Args<'_>) -> Done {
        for name in args.from(1) {
            channel(name)?;
        }
        self.add(args, "subscribe", false)
    }

    pub(super) fn subscribe_patterns(&mut self, args: &Args<'_>) -> Done {
        for pattern in args.from(1) {
            glob::check(pattern)?;
        }
        self.add(args, "psubscribe", true)
    }

    fn add(&mut self, args: &Args<'_>, what: &str, pattern: bool) -> Done {
        for name in args.from(1) {
            if !self.dispatch.resp.channels.add(self.client, name, pattern) {
                let text = "ERR too many channels or patterns for one client";
                reply::error(self.out, text.as_bytes());
                continue;
            }
            self.say(what, Some(name));
        }
        Ok(Flow::Done)
    }

    pub(super) fn unsubscribe(&mut self, args: &Args<'_>) -> Done {
        self.remove(args, "unsubscribe", false)
    }

    pub(super) fn unsubscribe_patterns(&mut self, args: &Args<'_>) -> Done {
        self.remove(args, "punsubscribe", true)
    }

    fn remove(&mut self, args: &Args<'_>, what: &str, pattern: bool) -> Done {
        if args.len() > 1 {
            for name in args.from(1) {
                self.dispatch.resp.channels.remove(self.client, name, pattern);
                self.say(what, Some(name));
            }
            return Ok(Flow::Done);
        }
        let before = self.out.len();
        let out = &mut *self.out;
        self.dispatch.resp.channels.remove_all(self.client, pattern, |name, left| {
            say(out, what, Some(name), left);
        });
        if self.out.len() == before {
            self.say(what, None);
        }
        let (channels, patterns) = self.dispatch.resp.channels.counts_of(self.client);
        self.session.subscriptions = channels + patterns;
        Ok(Flow::Done)
    }

    /// One reply of a (un)subscription: what, to which, and how many there are now.
    fn say(&mut self, what: &str, name: Option<&[u8]>) {
        let (channels, patterns) = self.dispatch.resp.channels.counts_of(self.client);
        self.session.subscriptions = channels + patterns;
        say(self.out, what, name, channels + patterns);
    }
}

fn say(out: &mut Vec<u8>, what: &str, name: Option<&[u8]>, count: usize) {
    reply::array(out, 3);
    reply::bulk(out, what.as_bytes());
    match name {
        Some(name) => reply::bulk(out, name),
        None => reply::null(out),
    }
    reply::count(out, count);
}

/// A channel has a name like a key.
fn channel(arg: &[u8]) -> Result<&str, Failure> {
    key(arg).map_err(|failure| match failure {
        Failure::Text(text) => Failure::Text(text.replacen("invalid key", "invalid channel", 1)),
        known => known,
    })
}

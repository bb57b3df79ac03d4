//! Who has subscribed to which channels and patterns.

use super::super::waits::ClientId;
use super::glob::Glob;
use std::collections::{BTreeMap, HashMap};

/// Most channels, and most patterns, that one client can subscribe to.
pub(super) const CHANNELS_PER_CLIENT_MAX: usize = 4096;
pub(super) const PATTERNS_PER_CLIENT_MAX: usize = 1024;

/// What one client has subscribed to, in that order.
#[derive(Debug, Default)]
struct Own {
    channels: Vec<Box<[u8]>>,
    patterns: Vec<Box<[u8]>>,
}

/// All subscriptions of RESP.
#[derive(Debug, Default)]
pub(super) struct Channels {
    by_client: HashMap<ClientId, Own>,
    by_channel: HashMap<Box<[u8]>, Vec<ClientId>>,
    /// Patterns in order, so that every subscriber is told in the same one.
    by_pattern: BTreeMap<Box<[u8]>, (Glob, Vec<ClientId>)>,
}

impl Channels {
    pub(super) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// How many channels and patterns anybody has subscribed to.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.by_channel.len(), self.by_pattern.len())
    }

    /// How many channels and patterns `client` has subscribed to.
    pub(super) fn counts_of(&self, client: ClientId) -> (usize, usize) {
        self.by_client.get(&client).map_or((0, 0), |own| (own.channels.len(), own.patterns.len()))
    }

    /// Subscribes; `false` above the limit of a client. What it has already stays as it is.
    pub(super) fn add(&mut self, client: ClientId, name: &[u8], pattern: bool) -> bool {
        let clients = if pattern {
            self.by_pattern.get(name).map(|(_, clients)| clients)
        } else {
            self.by_channel.get(name)
        };
        if clients.is_some_and(|clients| clients.contains(&client)) {
            return true;
        }
        let own = self.by_client.entry(client).or_default();
        let (names, max) = if pattern {
            (&mut own.patterns, PATTERNS_PER_CLIENT_MAX)
        } else {
            (&mut own.channels, CHANNELS_PER_CLIENT_MAX)
        };
        if names.len() >= max {
            return false;
        }
        names.push(name.into());
        let clients = if pattern {
            let read = || (Glob::new(name), Vec::new());
            &mut self.by_pattern.entry(name.into()).or_insert_with(read).1
        } else {
            self.by_channel.entry(name.into()).or_default()
        };
        clients.push(client);
        true
    }

    pub(super) fn remove(&mut self, client: ClientId, name: &[u8], pattern: bool) {
        let Some(own) = self.by_client.get_mut(&client) else { return };
        let names = if pattern { &mut own.patterns } else { &mut own.channels };
        let Some(at) = names.iter().position(|known| **known == *name) else { return };
        names.remove(at);
        if own.channels.is_empty() && own.patterns.is_empty() {
            self.by_client.remove(&client);
        }
        self.leave(client, name, pattern);
    }

    fn leave(&mut self, client: ClientId, name: &[u8], pattern: bool) {
        let clients = if pattern {
            self.by_pattern.get_mut(name).map(|(_, clients)| clients)
        } else {
            self.by_channel.get_mut(name)
        };
        let Some(clients) = clients else { return };
        clients.retain(|known| *known != client);
        if clients.is_empty() {
            if pattern {
                self.by_pattern.remove(name);
            } else {
                self.by_channel.remove(name);
            }
        }
    }

    /// Ends all subscriptions of `client` to channels, or to patterns, and names them in turn, with
    /// how many it has then.
    pub(super) fn remove_all(
        &mut self,
        client: ClientId,
        patterns: bool,
        mut show: impl FnMut(&[u8], usize),
    ) {
        let Some(own) = self.by_client.get_mut(&client) else { return };
        let names = std::mem::take(if patterns { &mut own.patterns } else { &mut own.channels });
        let others = own.channels.len() + own.patterns.len();
        if others == 0 {
            self.by_client.remove(&client);
        }
        for (at, name) in names.iter().enumerate() {
            self.leave(client, name, patterns);
            show(name, others + names.len() - at - 1);
        }
    }

    /// Ends every subscription of `client`.
    pub(super) fn forget(&mut self, client: ClientId) {
        let Some(own) = self.by_client.remove(&client) else { return };
        own.channels.iter().for_each(|name| self.leave(client, name, false));
        own.patterns.iter().for_each(|name| self.leave(client, name, true));
    }

    /// Shows who has subscribed to `channel` itself, then, with the pattern, who to one that matches.
    pub(super) fn listeners(
        &self,
        channel: &[u8],
        mut show: impl FnMut(Option<&[u8]>, &[ClientId]),
    ) {
        if let Some(clients) = self.by_channel.get(channel) {
            show(None, clients);
        }
        for (pattern, (glob, clients)) in &self.by_pattern {
            if glob.matches(channel) {
                show(Some(pattern), clients);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(channels: &Channels, channel: &str) -> Vec<(Option<String>, Vec<ClientId>)> {
        let mut out = Vec::new();
        channels.listeners(channel.as_bytes(), |pattern, clients| {
            let pattern = pattern.map(|pattern| String::from_utf8_lossy(pattern).into_owned());
            out.push((pattern, clients.to_vec()));
        });
        out
    }

    #[test]
    fn subscriptions_count_once_and_end() {
        let mut channels = Channels::default();
        for (client, name, pattern) in
            [(1, "news", false), (1, "news", false), (2, "news", false), (1, "n*", true)]
        {
            assert!(channels.add(client, name.as_bytes(), pattern));
        }
        assert_eq!(channels.counts_of(1), (1, 1));
        let expected = [(None, vec![1, 2]), (Some("n*".to_owned()), vec![1])];
        assert_eq!(told(&channels, "news"), expected);
        channels.remove(1, b"news", false);
        channels.remove(1, b"other", false);
        assert_eq!(told(&channels, "news")[0], (None, vec![2]));
        channels.forget(1);
        channels.forget(2);
        assert!(channels.is_empty());
        assert_eq!(channels.counts(), (0, 0));
    }

    #[test]
    fn all_subscriptions_of_a_kind_end_in_turn() {
        let mut channels = Channels::default();
        for (name, pattern) in [("a", false), ("p*", true), ("b", false)] {
            assert!(channels.add(1, name.as_bytes(), pattern));
        }
        let mut seen = Vec::new();
        let mut end = |patterns| {
            channels.remove_all(1, patterns, |name, left| seen.push((name.to_vec(), left)));
            (channels.counts_of(1), channels.is_empty())
        };
        assert_eq!([end(false), end(true), end(true)].map(|(_, empty)| empty), [false, true, true]);
        assert_eq!(seen, [(b"a".to_vec(), 2), (b"b".to_vec(), 1), (b"p*".to_vec(), 0)]);
        assert_eq!(channels.counts(), (0, 0));
    }

    #[test]
    fn patterns_of_one_client_are_bounded() {
        let mut channels = Channels::default();
        let taken = (0..2000).filter(|n| channels.add(7, n.to_string().as_bytes(), true)).count();
        assert_eq!(taken, PATTERNS_PER_CLIENT_MAX);
    }
}

//! When keys go by themselves.

use std::collections::{BTreeSet, HashMap};

/// Moments by key, in milliseconds of the server's clock.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    of_key: HashMap<Box<str>, u64>,
    in_order: BTreeSet<(u64, Box<str>)>,
}

impl Expiries {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.of_key.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.of_key.len()
    }

    pub(super) fn get(&self, key: &str) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        self.of_key.get(key).copied()
    }

    pub(super) fn set(&mut self, key: &str, at: u64) {
        self.remove(key);
        self.of_key.insert(key.into(), at);
        self.in_order.insert((at, key.into()));
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let Some((key, at)) = self.of_key.remove_entry(key) else { return false };
        self.in_order.remove(&(at, key))
    }

    /// The first moment and whose it is.
    pub(super) fn first(&self) -> Option<(u64, &str)> {
        self.in_order.first().map(|(at, key)| (*at, &**key))
    }
}

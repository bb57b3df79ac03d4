//! The values behind the socket, numbered by their writes. No I/O, no clock, no threads here.

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::Pattern;
use crate::values::incremented;
use std::borrow::Cow;
use std::collections::HashMap;

/// One value and the number of its last write.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) value: Json,
    pub(super) revision: u64,
}

/// Bytes one entry costs beside its key and value: a generous estimate, for the limit.
const ENTRY_BYTES: usize = 64;

/// Values by key. Every write takes the next number of the run.
#[derive(Debug)]
pub(super) struct Store {
    entries: HashMap<Box<str>, Entry>,
    sequence: u64,
    bytes: usize,
    value_bytes_max: usize,
    total_bytes_max: usize,
}

impl Store {
    pub(super) fn new(value_bytes_max: usize, total_bytes_max: usize) -> Store {
        Store { entries: HashMap::new(), sequence: 0, bytes: 0, value_bytes_max, total_bytes_max }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the last write.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The number of a write that stores nothing here: an event on a channel.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The number of `key`'s last write, 0 when it is absent.
    pub(super) fn revision(&self, key: &str) -> u64 {
        self.entries.get(key).map_or(0, |entry| entry.revision)
    }

    /// Stores `value`, which is checked JSON, and returns the number of this write.
    pub(super) fn set(&mut self, key: &str, value: Cow<'_, str>) -> Result<u64> {
        self.check_value(&value)?;
        let revision = self.sequence + 1;
        if let Some(entry) = self.entries.get_mut(key) {
            let old = entry.value.as_str().len();
            check_total(self.bytes - old + value.len(), self.total_bytes_max)?;
            self.bytes = self.bytes - old + value.len();
            *entry = Entry { value: Json::from_checked(value), revision };
        } else {
            let added = key.len() + value.len() + ENTRY_BYTES;
            check_total(self.bytes + added, self.total_bytes_max)?;
            self.bytes += added;
            self.entries.insert(key.into(), Entry { value: Json::from_checked(value), revision });
        }
        self.sequence = revision;
        Ok(revision)
    }

    /// Removes `key` and returns the number of this write; `None` when it is absent.
    pub(super) fn delete(&mut self, key: &str) -> Option<u64> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.bytes -= key.len() + entry.value.as_str().len() + ENTRY_BYTES;
        Some(self.next_sequence())
    }

    /// Adds `by` and returns the sum, which is what is stored.
    pub(super) fn increment(&mut self, key: &str, by: i64) -> Result<i64> {
        let sum = incremented(self.get(key).map(|entry| &entry.value), by)
            .map_err(|error| Error::new(error.kind(), format!("{key}: {error}")))?;
        self.set(key, Cow::Owned(sum.to_string()))?;
        Ok(sum)
    }

    /// The keys that match, sorted.
    pub(super) fn keys(&self, pattern: &Pattern) -> Vec<&str> {
        if let Some(key) = pattern.literal() {
            return self.entries.get_key_value(key).map(|(key, _)| &**key).into_iter().collect();
        }
        let keys = self.entries.keys().map(|key| &**key);
        let mut keys: Vec<&str> = keys.filter(|key| pattern.matches(key)).collect();
        keys.sort_unstable();
        keys
    }

    /// Refuses a value above the limit.
    pub(super) fn check_value(&self, value: &str) -> Result<()> {
        if value.len() <= self.value_bytes_max {
            return Ok(());
        }
        Err(too_large(value.len(), self.value_bytes_max))
    }
}

/// The error for a value or a request above its limit; it names the way that has none.
pub(super) fn too_large(bytes: usize, limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "value of {bytes} bytes: at most {limit} are allowed; \
             use a dataset (otto-mmap-write --dataset NAME)"
        ),
    )
}

fn check_total(bytes: usize, limit: usize) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!("the store is full: all values together may take {limit} bytes; delete some keys"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        Store::new(100, 1000)
    }

    #[test]
    fn every_write_takes_the_next_number() {
        let mut store = store();
        assert_eq!(store.set("a", "1".into()).unwrap(), 1);
        assert_eq!(store.set("b", "2".into()).unwrap(), 2);
        assert_eq!(store.set("a", "3".into()).unwrap(), 3);
        assert_eq!((store.revision("a"), store.revision("b"), store.revision("c")), (3, 2, 0));
        assert_eq!(store.delete("a"), Some(4));
        assert_eq!(store.delete("a"), None);
        assert_eq!(store.increment("n", 5).unwrap(), 5);
        assert_eq!(store.sequence(), 5);
        assert_eq!(store.keys(&Pattern::all()), ["b", "n"]);
        assert_eq!(store.keys(&Pattern::parse("b").unwrap()), ["b"]);
    }

    #[test]
    fn a_refused_write_changes_nothing() {
        let mut store = store();
        store.set("s", "\"text\"".into()).unwrap();
        store.set("n", i64::MAX.to_string().into()).unwrap();
        assert!(store.increment("s", 1).is_err());
        assert!(store.increment("n", 1).is_err());
        assert!(store.set("s", "1".repeat(101).into()).is_err());
        assert_eq!(store.get("s").unwrap().value.as_str(), "\"text\"");
        assert_eq!(store.sequence(), 2);
    }

    #[test]
    fn the_total_is_bounded_and_deleting_frees_it() {
        let mut store = store();
        let fill = |store: &mut Store| {
            (0..100)
                .take_while(|n| store.set(&format!("k{n}"), "1".repeat(90).into()).is_ok())
                .count()
        };
        let first = fill(&mut store);
        assert!(first > 3 && first < 12);
        for n in 0..first {
            store.delete(&format!("k{n}")).unwrap();
        }
        assert_eq!(store.bytes(), 0);
        assert_eq!(fill(&mut store), first);
    }
}

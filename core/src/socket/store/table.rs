//! Slots by key: many small hash tables, so that none takes long to grow.

use super::slot::Slot;
use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};
use std::hash::BuildHasher;

/// Tables. A table of a million keys takes 50 ms to grow, during which nobody is served.
const TABLES: usize = 256;

#[derive(Debug)]
pub(super) struct Table {
    tables: Box<[HashTable<Slot>]>,
    hasher: DefaultHashBuilder,
    len: usize,
}

impl Table {
    pub(super) fn new() -> Table {
        let tables = std::iter::repeat_with(HashTable::new).take(TABLES).collect();
        Table { tables, hasher: DefaultHashBuilder::default(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn hash(&self, key: &str) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<&Slot> {
        let hash = self.hash(key);
        self.tables[place(hash)].find(hash, |slot| slot.key() == key)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Slot> {
        let hash = self.hash(key);
        self.tables[place(hash)].find_mut(hash, |slot| slot.key() == key)
    }

    /// Adds a slot whose key is not there.
    pub(super) fn insert(&mut self, slot: Slot) {
        let hash = self.hash(slot.key());
        let hasher = &self.hasher;
        let rehash = |slot: &Slot| hasher.hash_one(slot.key());
        self.tables[place(hash)].insert_unique(hash, slot, rehash);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Slot> {
        let hash = self.hash(key);
        let hasher = &self.hasher;
        let rehash = |slot: &Slot| hasher.hash_one(slot.key());
        match self.tables[place(hash)].entry(hash, |slot| slot.key() == key, rehash) {
            Entry::Occupied(slot) => {
                self.len -= 1;
                Some(slot.remove().0)
            }
            Entry::Vacant(_) => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.tables.iter().flat_map(HashTable::iter)
    }

    /// Shows the slots of whole tables from the one `cursor` names on, until there were `count`;
    /// the cursor to go on with, 0 at the end. A key that is there throughout is shown for certain.
    pub(super) fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&Slot)) -> u64 {
        let mut shown = 0;
        let mut at = usize::try_from(cursor).unwrap_or(TABLES);
        while at < TABLES && shown < count.max(1) {
            shown += self.tables[at].len();
            self.tables[at].iter().for_each(&mut show);
            at += 1;
        }
        if at < TABLES { at as u64 } else { 0 }
    }
}

/// By bits of the hash that the tables themselves don't go by. The last table gets twice as much as
/// the first, and each in between a little more than the one before: tables double, and of as many
/// alike all would be half empty at the same time, and grow at the same time.
fn place(hash: u64) -> usize {
    // 256 log2(1 + x), nearly, for x from 0 to 1 in 65536 parts.
    let x = (hash >> 40) & 0xFFFF;
    let bend = (x * (0x1_0000 - x) * 22_479) >> 16;
    (((x << 16) + bend) >> 24) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_gets_a_little_more_than_the_one_before() {
        let mut parts = [0_u32; TABLES];
        (0..0x1_0000).for_each(|x: u64| parts[place(x << 40)] += 1);
        assert!(parts.is_sorted_by(|a, b| *a <= b + 1), "{parts:?}");
        let ratio = f64::from(parts[TABLES - 1]) / f64::from(parts[0]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert_eq!(place(u64::MAX), TABLES - 1);
    }
}

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

/// Bits of the hash that the tables themselves don't go by.
fn place(hash: u64) -> usize {
    (hash >> 40) as usize % TABLES
}

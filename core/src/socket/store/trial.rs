//! What a batch would make of the store, step by step, with none of it done.

use super::{
    ELEMENT_BYTES, ENTRY_BYTES, Slot, Store, check_list, check_total, cost_of_value, not_a_list,
};
use crate::error::{Error, Result};
use crate::json::{Json, elements};
use crate::values::{added, incremented};
use std::borrow::Cow;
use std::collections::HashMap;

/// The store with some steps made: the keys they touch, as they would be.
#[derive(Debug)]
pub(in crate::socket) struct Trial<'s> {
    store: &'s Store,
    drafts: HashMap<Box<str>, Draft<'s>>,
    sequence: u64,
    bytes: usize,
}

/// One key as it would be.
#[derive(Debug, Clone)]
struct Draft<'s> {
    value: Shape<'s>,
    /// 0 where it is absent.
    revision: u64,
    /// What the value counts for in the total.
    cost: usize,
}

#[derive(Debug, Clone)]
enum Shape<'s> {
    Absent,
    Text(Cow<'s, str>),
    /// A list in parts: how many elements, and how long its JSON text is.
    List(usize, usize),
}

impl<'s> Trial<'s> {
    pub(in crate::socket) fn new(store: &'s Store) -> Trial<'s> {
        let (sequence, bytes) = (store.sequence(), store.bytes());
        Trial { store, drafts: HashMap::new(), sequence, bytes }
    }

    /// The number of `key`'s last write, 0 where it is absent.
    pub(in crate::socket) fn revision(&self, key: &str) -> u64 {
        self.drafts.get(key).map_or_else(|| self.store.revision(key), |draft| draft.revision)
    }

    /// As [`Store::set`].
    pub(in crate::socket) fn set(&mut self, key: &str, value: Cow<'s, str>) -> Result<u64> {
        self.store.check_value(&value)?;
        let draft = self.draft(key);
        let head = if matches!(draft.value, Shape::Absent) { key.len() + ENTRY_BYTES } else { 0 };
        let bytes = self.bytes - draft.cost + value.len() + head;
        check_total(bytes, self.store.total_bytes_max)?;
        let cost = value.len();
        Ok(self.keep(key, Shape::Text(value), cost, bytes))
    }

    /// As [`Store::delete`]; whether it was there.
    pub(in crate::socket) fn delete(&mut self, key: &str) -> bool {
        let draft = self.draft(key);
        if matches!(draft.value, Shape::Absent) {
            return false;
        }
        let bytes = self.bytes - draft.cost - key.len() - ENTRY_BYTES;
        self.keep(key, Shape::Absent, 0, bytes);
        true
    }

    /// Adds to a number and returns the sum.
    pub(in crate::socket) fn increment(&mut self, key: &str, by: i64) -> Result<i64> {
        let sum = match self.draft(key).value {
            Shape::Absent => added(0, by),
            Shape::Text(text) => incremented(Some(&Json::from_checked(text)), by),
            // Which is only looked at to be shown in an error.
            Shape::List(..) => Err(Error::new(crate::ErrorKind::Io, "not a 64-bit integer: [...]")),
        };
        let sum = sum.map_err(|error| Error::new(error.kind(), format!("{key}: {error}")))?;
        self.set(key, Cow::Owned(sum.to_string()))?;
        Ok(sum)
    }

    /// As [`Store::push`] of one element at the end; the new length.
    pub(in crate::socket) fn append(&mut self, key: &str, value: &str) -> Result<usize> {
        self.store.check_element(key, value)?;
        let draft = self.draft(key);
        let mut bytes = self.bytes + value.len() + ELEMENT_BYTES;
        let (length, json_bytes, cost) = match &draft.value {
            Shape::Absent => {
                bytes += key.len() + ENTRY_BYTES;
                (0, 2, 0)
            }
            Shape::Text(text) if text.starts_with('[') => {
                check_total(bytes, self.store.total_bytes_max)?;
                let length = elements(text).count();
                // Brackets and commas are not kept.
                let cost = text.len() - length.max(1) - 1 + length * ELEMENT_BYTES;
                bytes = bytes - draft.cost + cost;
                (length, text.len(), cost)
            }
            Shape::Text(_) => return Err(not_a_list(key)),
            Shape::List(length, json_bytes) => (*length, *json_bytes, draft.cost),
        };
        let more = value.len() + ELEMENT_BYTES;
        let head = if matches!(draft.value, Shape::Absent) { key.len() + ENTRY_BYTES } else { 0 };
        check_list(json_bytes + more + head)?;
        check_total(bytes, self.store.total_bytes_max)?;
        let comma = usize::from(length > 0);
        let list = Shape::List(length + 1, json_bytes + value.len() + comma);
        self.keep(key, list, cost + more, bytes);
        Ok(length + 1)
    }

    /// `key` as it would be now.
    fn draft(&self, key: &str) -> Draft<'s> {
        if let Some(draft) = self.drafts.get(key) {
            return draft.clone();
        }
        let Some(slot) = self.store.table.get(key) else {
            return Draft { value: Shape::Absent, revision: 0, cost: 0 };
        };
        let value = match slot {
            Slot::List(slot) => Shape::List(slot.list.len(), slot.list.json_bytes()),
            Slot::Text(_) => Shape::Text(Cow::Borrowed(slot.value().unwrap_or_default())),
        };
        Draft { value, revision: slot.revision(), cost: cost_of_value(slot) }
    }

    /// Notes what a step has made of `key`; the step's number.
    fn keep(&mut self, key: &str, value: Shape<'s>, cost: usize, bytes: usize) -> u64 {
        self.sequence += 1;
        self.bytes = bytes;
        let absent = matches!(value, Shape::Absent);
        let revision = if absent { 0 } else { self.sequence };
        self.drafts.insert(key.into(), Draft { value, revision, cost });
        self.sequence
    }
}

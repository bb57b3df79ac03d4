//! The values behind the socket, numbered by their writes. No I/O, no clock, no threads here.

mod expiries;
mod list;
mod slot;
mod snapshot;
mod table;
mod trial;

pub(super) use list::{Elements, End, List};
pub(super) use trial::Trial;

use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, elements};
use crate::key::Pattern;
use crate::limits::{JSON_DEPTH_MAX, LIST_BYTES_MAX};
use expiries::Expiries;
use slot::{ListSlot, Slot};
use std::borrow::Cow;
use table::Table;

/// One value and the number of its last write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) value: Value<'a>,
    pub(super) revision: u64,
}

/// One value as it lies in the store.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// Compact, checked JSON of any kind.
    Text(&'a str),
    /// A JSON array in parts.
    List(&'a List),
}

impl<'a> Value<'a> {
    /// The JSON text.
    pub(super) fn json(self) -> Cow<'a, str> {
        match self {
            Value::Text(text) => Cow::Borrowed(text),
            Value::List(list) => Cow::Owned(list.json()),
        }
    }

    /// Whether this is a JSON array.
    pub(super) fn is_list(self) -> bool {
        match self {
            Value::Text(text) => text.starts_with('['),
            Value::List(_) => true,
        }
    }
}

/// Bytes one entry costs beside its key and value: a generous estimate, for the limit.
const ENTRY_BYTES: usize = 64;
/// Bytes an element of a list costs beside its text.
const ELEMENT_BYTES: usize = 48;
/// Longest text of an array that is taken apart when it is only read, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// What a pop brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Popped {
    /// The number of this write.
    pub(super) revision: u64,
    pub(super) elements: Vec<Box<str>>,
    /// The list is empty now: the key is gone with its last element.
    pub(super) emptied: bool,
}

/// Values by key. Every write takes the next number of the run.
#[derive(Debug)]
pub(super) struct Store {
    table: Table,
    expiries: Expiries,
    sequence: u64,
    bytes: usize,
    value_bytes_max: usize,
    total_bytes_max: usize,
}

impl Store {
    pub(super) fn new(value_bytes_max: usize, total_bytes_max: usize) -> Store {
        Store {
            table: Table::new(),
            expiries: Expiries::default(),
            sequence: 0,
            bytes: 0,
            value_bytes_max,
            total_bytes_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that may still be added before the store is full.
    pub(super) fn room(&self) -> usize {
        self.total_bytes_max.saturating_sub(self.bytes)
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

    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<Entry<'_>> {
        self.table.get(key).map(entry)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// The number of `key`'s last write, 0 when it is absent.
    pub(super) fn revision(&self, key: &str) -> u64 {
        self.table.get(key).map_or(0, Slot::revision)
    }

    /// Stores `value`, which is checked JSON, and returns the number of this write. When the key
    /// goes by itself stays as it was.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<u64> {
        self.check_value(value)?;
        let revision = self.sequence + 1;
        if let Some(slot) = self.table.get_mut(key) {
            let bytes = self.bytes - cost_of_value(slot) + value.len();
            check_total(bytes, self.total_bytes_max)?;
            self.bytes = bytes;
            slot.replace(key, value, revision);
        } else {
            let added = key.len() + value.len() + ENTRY_BYTES;
            check_total(self.bytes + added, self.total_bytes_max)?;
            self.bytes += added;
            self.table.insert(Slot::text(key, value, revision));
        }
        self.sequence = revision;
        Ok(revision)
    }

    /// Removes `key` and returns the number of this write; `None` when it is absent.
    pub(super) fn delete(&mut self, key: &str) -> Option<u64> {
        let slot = self.table.remove(key)?;
        self.bytes -= slot.key().len() + cost_of_value(&slot) + ENTRY_BYTES;
        if !self.expiries.is_empty() {
            self.expiries.remove(key);
        }
        Some(self.next_sequence())
    }

    /// Adds elements to a list, in turn, and returns the number of this write and the new length.
    /// What is absent is an empty list.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where there is another value; [`ErrorKind::TooLarge`] above a limit.
    pub(super) fn push<T: AsRef<str>>(
        &mut self,
        key: &str,
        end: End,
        elements: &[T],
    ) -> Result<(u64, usize)> {
        let mut added = 0;
        for element in elements {
            self.check_element(key, element.as_ref())?;
            added += element.as_ref().len() + ELEMENT_BYTES;
        }
        let revision = self.sequence + 1;
        let present = self.table.get(key);
        if present.is_none() {
            added += key.len() + ENTRY_BYTES;
        }
        if !matches!(present, Some(Slot::List(_))) {
            check_total(self.bytes + added, self.total_bytes_max)?;
            self.make_list(key)?;
        }
        let Some(Slot::List(slot)) = self.table.get_mut(key) else { return Err(not_a_list(key)) };
        let checked = check_list(slot.list.json_bytes() + added)
            .and_then(|()| check_total(self.bytes + added, self.total_bytes_max));
        if let Err(error) = checked {
            if slot.revision == 0 {
                self.table.remove(key);
            }
            return Err(error);
        }
        slot.revision = revision;
        elements.iter().for_each(|element| slot.list.push(end, element.as_ref()));
        let length = slot.list.len();
        self.bytes += added;
        self.sequence = revision;
        Ok((revision, length))
    }

    /// Takes up to `count` elements off a list; `None` where the key is absent, the list empty or
    /// `count` 0.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where there is another value.
    pub(super) fn pop(&mut self, key: &str, end: End, count: usize) -> Result<Option<Popped>> {
        if count == 0 || self.list(key)?.is_none_or(Elements::is_empty) {
            return Ok(None);
        }
        self.make_list(key)?;
        let revision = self.sequence + 1;
        let Some(Slot::List(slot)) = self.table.get_mut(key) else { return Ok(None) };
        let count = count.min(slot.list.len());
        let elements: Vec<Box<str>> = (0..count).filter_map(|_| slot.list.pop(end)).collect();
        slot.revision = revision;
        let emptied = slot.list.len() == 0;
        self.bytes -= elements.iter().map(|element| element.len() + ELEMENT_BYTES).sum::<usize>();
        self.sequence = revision;
        if emptied {
            self.delete(key);
        }
        Ok(Some(Popped { revision, elements, emptied }))
    }

    /// The list under `key`, `None` where it is absent; the text of an array that is not long is
    /// taken apart for it.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where there is another value.
    pub(super) fn list(&mut self, key: &str) -> Result<Option<Elements<'_>>> {
        let text = match self.table.get(key) {
            None => return Ok(None),
            Some(Slot::List(_)) => false,
            Some(slot) => {
                if !entry(slot).value.is_list() {
                    return Err(not_a_list(key));
                }
                // A store without room for the parts has the text all the same.
                slot.value_bytes() > TEXT_BYTES_MAX || self.make_list(key).is_err()
            }
        };
        Ok(match self.table.get(key) {
            Some(Slot::List(slot)) => Some(Elements::Parts(&slot.list)),
            Some(slot) if text => slot.value().map(Elements::Text),
            _ => None,
        })
    }

    /// Takes the list in parts under `from` out of the store, if there is one, for
    /// [`Store::put_list`] under `to`, where it has room for certain; with the number of this write.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] where the other name makes it too large: nothing has changed then.
    pub(super) fn take_list(&mut self, from: &str, to: &str) -> Result<Option<(u64, List)>> {
        let Some(Slot::List(slot)) = self.table.get_mut(from) else { return Ok(None) };
        if to.len() > from.len() {
            check_total(self.bytes - from.len() + to.len(), self.total_bytes_max)?;
        }
        let list = std::mem::take(&mut slot.list);
        self.bytes -= cost_of_list(&list);
        Ok(self.delete(from).map(|revision| (revision, list)))
    }

    /// Stores a list whose elements have been checked under `key`, which is absent; the number of
    /// this write.
    pub(super) fn put_list(&mut self, key: &str, list: List) -> u64 {
        let revision = self.next_sequence();
        self.bytes += key.len() + cost_of_list(&list) + ENTRY_BYTES;
        self.table.insert(Slot::List(Box::new(ListSlot { key: key.into(), revision, list })));
        revision
    }

    /// Makes the value of `key` a list in parts; an absent one an empty list of revision 0.
    fn make_list(&mut self, key: &str) -> Result<()> {
        let Some(slot) = self.table.get_mut(key) else {
            let slot = ListSlot { key: key.into(), revision: 0, list: List::default() };
            self.table.insert(Slot::List(Box::new(slot)));
            return Ok(());
        };
        let Some(text) = slot.value() else { return Ok(()) };
        if !text.starts_with('[') {
            return Err(not_a_list(key));
        }
        // Looked at before there are any: parts take many times what short elements do.
        let parts = text.len() + elements(text).count() * ELEMENT_BYTES;
        check_total(self.bytes - text.len() + parts, self.total_bytes_max)?;
        let list = List::parse(text).ok_or_else(|| not_a_list(key))?;
        let revision = slot.revision();
        let before = cost_of_value(slot);
        *slot = Slot::List(Box::new(ListSlot { key: key.into(), revision, list }));
        self.bytes = self.bytes - before + cost_of_value(slot);
        Ok(())
    }

    /// When `key` goes by itself, in milliseconds of the server's clock.
    pub(super) fn expiry(&self, key: &str) -> Option<u64> {
        self.expiries.get(key)
    }

    /// Has `key`, if it is there, go at `at`, or never; whether that changed anything.
    pub(super) fn expire(&mut self, key: &str, at: Option<u64>) -> bool {
        match at {
            Some(at) if self.contains(key) => {
                self.expiries.set(key, at);
                true
            }
            Some(_) => false,
            None => !self.expiries.is_empty() && self.expiries.remove(key),
        }
    }

    /// How many keys go by themselves.
    pub(super) fn expiring(&self) -> usize {
        self.expiries.len()
    }

    /// The first key to go by itself, and when.
    pub(super) fn next_expiry(&self) -> Option<(u64, &str)> {
        self.expiries.first()
    }

    /// The keys that match, sorted.
    pub(super) fn keys(&self, pattern: &Pattern) -> Vec<&str> {
        if let Some(key) = pattern.literal() {
            return self.table.get(key).map(Slot::key).into_iter().collect();
        }
        let keys = self.table.iter().map(Slot::key);
        let mut keys: Vec<&str> = keys.filter(|key| pattern.matches(key)).collect();
        keys.sort_unstable();
        keys
    }

    /// Shows keys from where `cursor` stands, at least `count` of them if there are as many; the
    /// cursor to go on with, 0 at the end. A key that stays is shown for certain.
    pub(super) fn scan(&self, cursor: u64, count: usize, mut show: impl FnMut(&str)) -> u64 {
        self.table.scan(cursor, count, |slot| show(slot.key()))
    }

    /// Refuses what can't be an element of the list under `key`: above the limit, or as deep as a
    /// value may be, so that the list would be deeper.
    fn check_element(&self, key: &str, element: &str) -> Result<()> {
        self.check_value(element)?;
        if element.starts_with(['[', '{']) {
            let opens = element.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
            if opens >= JSON_DEPTH_MAX && Json::check(format!("[{element}]").as_bytes()).is_err() {
                let message = format!("{key}: nested deeper than {JSON_DEPTH_MAX} levels");
                return Err(Error::new(ErrorKind::Usage, message));
            }
        }
        Ok(())
    }

    /// Refuses a value above the limit.
    pub(super) fn check_value(&self, value: &str) -> Result<()> {
        if value.len() <= self.value_bytes_max {
            return Ok(());
        }
        Err(too_large(value.len(), self.value_bytes_max))
    }
}

fn entry(slot: &Slot) -> Entry<'_> {
    let value = match slot {
        Slot::List(slot) => Value::List(&slot.list),
        Slot::Text(_) => Value::Text(slot.value().unwrap_or_default()),
    };
    Entry { value, revision: slot.revision() }
}

/// What a value counts for in the total.
fn cost_of_value(slot: &Slot) -> usize {
    match slot {
        Slot::Text(_) => slot.value_bytes(),
        Slot::List(slot) => cost_of_list(&slot.list),
    }
}

fn cost_of_list(list: &List) -> usize {
    list.element_bytes() + list.len() * ELEMENT_BYTES
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

fn not_a_list(key: &str) -> Error {
    Error::new(ErrorKind::Io, format!("{key}: the value is no list"))
}

fn check_list(bytes: usize) -> Result<()> {
    if bytes <= LIST_BYTES_MAX {
        return Ok(());
    }
    let message = format!("list of {bytes} bytes: at most {LIST_BYTES_MAX} are allowed");
    Err(Error::new(ErrorKind::TooLarge, message))
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
mod tests;

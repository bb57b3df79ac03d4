//! Writing: the only places that change what is stored, so that waiters, subscribers and the history
//! hear of every change.

use super::super::store::{End, Value};
use super::super::waits::Waits;
use super::change::Change;
use super::{Delivery, Dispatch};
use crate::error::{Error, Result};
use crate::json::Json;
use crate::limits::KEY_BYTES_MAX;
use crate::values::{added, incremented};
use std::fmt::Write as _;
use std::rc::Rc;

/// Whether a key that is set goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::socket) enum Expiry {
    /// It stays.
    Never,
    /// As before.
    Keep,
    /// At this moment, in milliseconds of [`Dispatch::now`].
    At(u64),
}

impl Dispatch {
    /// Stores `value`, which is checked, compact JSON, and returns the number of this write.
    #[inline]
    pub(in crate::socket) fn put(&mut self, key: &str, value: &str, expiry: Expiry) -> Result<u64> {
        let seq = self.store.set(key, value)?;
        match expiry {
            Expiry::Never => drop(self.store.expire(key, None)),
            Expiry::Keep => {}
            Expiry::At(at) => drop(self.store.expire(key, Some(at))),
        }
        self.tell(seq, Change::Set, key, Some(value));
        self.wake(key);
        Ok(seq)
    }

    /// Removes `key` and returns the number of this write; `None` where it is absent.
    pub(in crate::socket) fn remove(&mut self, key: &str) -> Option<u64> {
        let seq = self.store.delete(key)?;
        self.tell(seq, Change::Delete, key, None);
        Some(seq)
    }

    /// Adds `by` to the integer under `key` and returns the sum, which is what is stored.
    pub(in crate::socket) fn add(&mut self, key: &str, by: i64) -> Result<i64> {
        let current = self.store.get(key).map(|entry| entry.value);
        let sum = match current {
            // Nearly always: a number, read where it lies.
            Some(Value::Text(text)) if text.parse::<i64>().is_ok() => {
                added(text.parse().unwrap_or_default(), by)
            }
            _ => incremented(current.map(|value| Json::from_checked(value.json())).as_ref(), by),
        };
        let sum = sum.map_err(|error| Error::new(error.kind(), format!("{key}: {error}")))?;
        let mut text = std::mem::take(&mut self.scratch);
        // Writing to a String can't fail.
        let _ = write!(text, "{sum}");
        let stored = self.put(key, &text, Expiry::Keep);
        self.give_back(text);
        stored?;
        Ok(sum)
    }

    /// Adds elements, each checked, compact JSON, to a list, one after the other, and returns its
    /// new length; what is absent is an empty list.
    pub(in crate::socket) fn push<T: AsRef<str>>(
        &mut self,
        key: &str,
        end: End,
        elements: &[T],
    ) -> Result<usize> {
        let (seq, length) = self.store.push(key, end, elements)?;
        let mut text = std::mem::take(&mut self.scratch);
        match end {
            End::First => {
                array(&mut text, elements.iter().rev());
                self.tell(seq, Change::Prepend, key, Some(&text));
            }
            End::Last => {
                array(&mut text, elements.iter());
                self.tell(seq, Change::Append, key, Some(&text));
            }
        }
        self.give_back(text);
        self.wake(key);
        Ok(length)
    }

    /// Takes up to `count` elements off a list; the key goes with the last one. `None` where it is
    /// absent.
    pub(in crate::socket) fn pop(
        &mut self,
        key: &str,
        end: End,
        count: usize,
    ) -> Result<Option<Vec<Box<str>>>> {
        let Some(popped) = self.store.pop(key, end, count)? else { return Ok(None) };
        let mut text = std::mem::take(&mut self.scratch);
        match end {
            End::First => {
                array(&mut text, popped.elements.iter());
                self.tell(popped.revision, Change::Shift, key, Some(&text));
            }
            End::Last => {
                array(&mut text, popped.elements.iter().rev());
                self.tell(popped.revision, Change::Pop, key, Some(&text));
            }
        }
        self.give_back(text);
        if popped.emptied {
            self.tell(popped.revision + 1, Change::Delete, key, None);
        }
        Ok(Some(popped.elements))
    }

    /// Gives the list in parts under `from` to `to`, in place of what is there: however long it has
    /// become, it stays. Whether there is one; its time is left behind.
    pub(in crate::socket) fn move_list(&mut self, from: &str, to: &str) -> Result<bool> {
        let Some((seq, list)) = self.store.take_list(from, to)? else { return Ok(false) };
        self.tell(seq, Change::Delete, from, None);
        self.remove(to);
        self.looks += list.len();
        let text = list.json();
        let seq = self.store.put_list(to, list);
        self.tell(seq, Change::Append, to, Some(&text));
        self.wake(to);
        Ok(true)
    }

    /// Tells those who listen to `channel`, and how many they are; nothing is stored.
    pub(in crate::socket) fn publish(&mut self, channel: &str, value: &str) -> Result<usize> {
        self.store.check_value(value)?;
        let seq = self.store.next_sequence();
        let told = self.tell(seq, Change::Publish, channel, Some(value));
        Ok(told + self.replaying(channel) + self.publish_to_resp(channel, value))
    }

    /// Has `key` go by itself at `at`, or never; whether that changed anything.
    pub(in crate::socket) fn expire(&mut self, key: &str, at: Option<u64>) -> bool {
        self.store.expire(key, at)
    }

    /// Ends the waits for `key`, which has just been written.
    #[inline]
    pub(super) fn wake(&mut self, key: &str) {
        if !self.waits.is_empty() {
            self.wake_waiting(key);
        }
        self.resp.blocked.came(key);
    }

    /// Has nobody's wait end while several changes are made that are one.
    pub(in crate::socket) fn set_waits_aside(&mut self) -> Waits {
        std::mem::take(&mut self.waits)
    }

    /// Ends the waits among those set aside for whichever of `keys` is there now. A text that is no
    /// key does no harm.
    pub(in crate::socket) fn resume_waits<'t>(
        &mut self,
        waits: Waits,
        keys: impl Iterator<Item = &'t [u8]>,
    ) {
        self.waits = waits;
        if self.waits.is_empty() {
            return;
        }
        for key in keys.filter(|key| key.len() <= KEY_BYTES_MAX) {
            if let Ok(key) = std::str::from_utf8(key)
                && self.store.contains(key)
            {
                self.wake_waiting(key);
            }
        }
    }

    fn wake_waiting(&mut self, key: &str) {
        let waits = self.waits.take_key(key);
        if waits.is_empty() {
            return;
        }
        let Some(entry) = self.store.get(key) else { return };
        let value: Rc<str> = match entry.value {
            Value::Text(text) => text.into(),
            Value::List(_) => entry.value.json().into(),
        };
        for wait in waits {
            self.deadlines.remove(wait.client);
            self.deliveries.push_back((wait.client, Delivery::Value(Rc::clone(&value))));
        }
    }

    /// Keeps a text's memory for the next one, unless that was unusually much.
    fn give_back(&mut self, mut text: String) {
        text.clear();
        if text.capacity() <= 64 << 10 {
            self.scratch = text;
        }
    }
}

/// Fills `out` with the array of `elements`.
fn array<T: AsRef<str>>(out: &mut String, elements: impl Iterator<Item = T>) {
    out.push('[');
    for (at, element) in elements.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(element.as_ref());
    }
    out.push(']');
}

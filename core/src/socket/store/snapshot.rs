//! The whole store as readable JSON, a key a line, and back.

use super::{ENTRY_BYTES, List, Slot, Store, check_list, check_total, cost_of_list};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, members, push_string};
use crate::key::check_key;

/// The version of the format.
const VERSION: &str = "1";

/// Far from where numbers would begin again at 0.
const SEQUENCE_MAX: u64 = u64::MAX / 2;

impl Store {
    /// All keys, sorted, with their values, revisions and the milliseconds they still have at `now`:
    ///
    /// ```json
    /// {"otto-store":1,"seq":9,"keys":{
    /// "build.version":{"rev":7,"value":"1.2.3"},
    /// "session":{"rev":9,"ttl_ms":2500,"value":true}
    /// }}
    /// ```
    pub(in crate::socket) fn snapshot(&self, now: u64) -> String {
        let mut slots: Vec<&Slot> = self.table.iter().collect();
        slots.sort_unstable_by_key(|slot| slot.key());
        let mut out = String::with_capacity(self.bytes + 64 * slots.len() + 64);
        out.push_str(&format!("{{\"otto-store\":{VERSION},\"seq\":{},\"keys\":{{", self.sequence));
        for (at, slot) in slots.into_iter().enumerate() {
            out.push_str(if at > 0 { ",\n" } else { "\n" });
            push_string(&mut out, slot.key());
            out.push_str(&format!(":{{\"rev\":{}", slot.revision()));
            if let Some(at) = self.expiry(slot.key()) {
                out.push_str(&format!(",\"ttl_ms\":{}", at.saturating_sub(now)));
            }
            out.push_str(",\"value\":");
            out.push_str(&super::entry(slot).value.json());
            out.push('}');
        }
        out.push_str("\n}}\n");
        out
    }

    /// Takes over what [`Store::snapshot`] made, at `now`, into a store that is empty.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] saying what is wrong; [`ErrorKind::TooLarge`] above a limit.
    pub(in crate::socket) fn restore(&mut self, text: &str, now: u64) -> Result<()> {
        let (sequence, keys) = match as_written(text) {
            Some(saved) => saved,
            None => as_edited(text)?,
        };
        if sequence > SEQUENCE_MAX {
            return Err(broken(&format!("\"seq\" is above {SEQUENCE_MAX}")));
        }
        for Saved { key, revision, left, value } in keys {
            let key = Json::parse(key)?.decode_string().unwrap_or_default();
            check_key(&key).map_err(|error| broken(&error.to_string()))?;
            if !(1..=sequence).contains(&revision) {
                return Err(broken(&format!("{key}: no \"rev\" up to \"seq\"")));
            }
            self.sequence = revision - 1;
            let value = Json::parse(value).map_err(|error| broken(&format!("{key}: {error}")))?;
            match List::parse(value.as_str()) {
                // Longer than any value may be that comes at once: it has grown.
                Some(list) if value.as_str().len() > self.value_bytes_max => {
                    self.restore_list(&key, list)?;
                }
                _ => drop(self.set(&key, value.as_str())?),
            }
            if let Some(left) = left {
                self.expire(&key, Some(now.saturating_add(left)));
            }
        }
        self.sequence = sequence;
        Ok(())
    }

    fn restore_list(&mut self, key: &str, list: List) -> Result<()> {
        list.iter().try_for_each(|element| self.check_value(element))?;
        check_list(list.json_bytes())?;
        self.delete(key).inspect(|_| self.sequence -= 1);
        let added = key.len() + cost_of_list(&list) + ENTRY_BYTES;
        check_total(self.bytes + added, self.total_bytes_max)?;
        self.put_list(key, list);
        Ok(())
    }
}

/// One key as it was saved: its JSON string, and what stands with it.
struct Saved<'a> {
    key: &'a str,
    revision: u64,
    /// Milliseconds it had left, where it goes by itself.
    left: Option<u64>,
    value: &'a str,
}

/// Reads exactly what [`Store::snapshot`] writes, line by line: values may be as deep as any may be,
/// which is deeper than a text may be that holds them all.
fn as_written(text: &str) -> Option<(u64, Vec<Saved<'_>>)> {
    let mut lines = text.strip_suffix("\n}}\n")?.split('\n');
    let head = lines.next()?.strip_prefix("{\"otto-store\":")?.strip_prefix(VERSION)?;
    let sequence = head.strip_prefix(",\"seq\":")?.strip_suffix(",\"keys\":{")?.parse().ok()?;
    let mut keys = Vec::new();
    let mut more = true;
    for line in lines {
        // The one before had a comma, and this is no line too many.
        let (line, comma) = line.strip_suffix(',').map_or((line, false), |line| (line, true));
        if !std::mem::replace(&mut more, comma) {
            return None;
        }
        // No key has this in it: its quotes are escaped.
        let (key, about) = line.split_once(":{\"rev\":")?;
        let (numbers, value) = about.strip_suffix('}')?.split_once(",\"value\":")?;
        let (revision, left) = match numbers.split_once(",\"ttl_ms\":") {
            Some((revision, left)) => (revision, Some(left.parse().ok()?)),
            None => (numbers, None),
        };
        keys.push(Saved { key, revision: revision.parse().ok()?, left, value });
    }
    (!more || keys.is_empty()).then_some((sequence, keys))
}

/// Reads the same as any JSON, with what somebody may have changed or added.
fn as_edited(text: &str) -> Result<(u64, Vec<Saved<'_>>)> {
    let (top, _) = members(text).map_err(|error| broken(&error.to_string()))?;
    let part = |name: &str| top.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    if part("\"otto-store\"") != Some(VERSION) {
        return Err(broken("\"otto-store\":1 is missing"));
    }
    let sequence: Option<u64> = part("\"seq\"").and_then(|text| text.parse().ok());
    let sequence = sequence.ok_or_else(|| broken("\"seq\" is missing"))?;
    let keys = part("\"keys\"").ok_or_else(|| broken("\"keys\" is missing"))?;
    let mut saved = Vec::new();
    for (key, about) in members(keys).map_err(|error| broken(&error.to_string()))?.0 {
        let wrong = |what| broken(&format!("{key}: {what}"));
        let (about, _) = members(about).map_err(|_| wrong("no object"))?;
        let part = |name: &str| about.iter().find(|(key, _)| *key == name);
        let number = |name| part(name).and_then(|(_, text)| text.parse::<u64>().ok());
        let revision = number("\"rev\"").ok_or_else(|| wrong("no \"rev\" up to \"seq\""))?;
        let value = part("\"value\"").ok_or_else(|| wrong("no \"value\""))?.1;
        let left = number("\"ttl_ms\"");
        if left.is_none() && part("\"ttl_ms\"").is_some() {
            return Err(wrong("\"ttl_ms\" is no number"));
        }
        saved.push(Saved { key, revision, left, value });
    }
    Ok((sequence, saved))
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("no saved store: {what}"))
}

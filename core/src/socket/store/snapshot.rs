//! The whole store as readable JSON, a key a line, and back.

use super::{Slot, Store};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, members, push_string};
use crate::key::check_key;

/// The version of the format.
const VERSION: &str = "1";

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
        let broken = |what: &str| Error::new(ErrorKind::Corrupt, format!("no saved store: {what}"));
        let (top, _) = members(text).map_err(|error| broken(&error.to_string()))?;
        let part = |name: &str| top.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        if part("\"otto-store\"") != Some(VERSION) {
            return Err(broken("\"otto-store\":1 is missing"));
        }
        let sequence: Option<u64> = part("\"seq\"").and_then(|text| text.parse().ok());
        let sequence = sequence.ok_or_else(|| broken("\"seq\" is missing"))?;
        let keys = part("\"keys\"").ok_or_else(|| broken("\"keys\" is missing"))?;
        for (key, about) in members(keys).map_err(|error| broken(&error.to_string()))?.0 {
            let key = Json::parse(key)?.decode_string().unwrap_or_default();
            check_key(&key).map_err(|error| broken(&error.to_string()))?;
            let wrong = |what| broken(&format!("{key}: {what}"));
            let (about, _) = members(about).map_err(|_| wrong("no object"))?;
            let part = |name: &str| about.iter().find(|(key, _)| *key == name);
            let number = |name| part(name).and_then(|(_, text)| text.parse::<u64>().ok());
            let revision = number("\"rev\"").filter(|revision| (1..=sequence).contains(revision));
            let revision = revision.ok_or_else(|| wrong("no \"rev\" up to \"seq\""))?;
            let value = part("\"value\"").ok_or_else(|| wrong("no \"value\""))?.1;
            self.sequence = revision - 1;
            self.set(&key, Json::parse(value)?.as_str())?;
            match (part("\"ttl_ms\""), number("\"ttl_ms\"")) {
                (None, _) => {}
                (Some(_), Some(left)) => drop(self.expire(&key, Some(now.saturating_add(left)))),
                (Some(_), None) => return Err(wrong("\"ttl_ms\" is no number")),
            }
        }
        self.sequence = sequence;
        Ok(())
    }
}

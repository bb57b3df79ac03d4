//! Strings and numbers.

use super::super::dispatch::Expiry;
use super::long_double::LongDouble;
use super::number::{self, Digits};
use super::parse::Args;
use super::reply::{self, Failure, NOT_FLOAT, NOT_INTEGER};
use super::table::Command;
use super::table::wrong_arity;
use super::{Call, Done, Flow, key, key_at, no_list, value};
use crate::error::ErrorKind;

/// Longest JSON text that a 64-bit integer can have: each digit may stand there as an escape.
const INTEGER_BYTES_MAX: usize = 2 + 20 * 6;
/// Longest JSON text that a number can have which INCRBYFLOAT takes.
const FLOAT_BYTES_MAX: usize = 2 + (5 << 10) * 6;

const OVERFLOW: Failure = Failure::Known("ERR increment or decrement would overflow");

impl Call<'_> {
    #[inline]
    pub(super) fn get(&mut self, args: &Args<'_>) -> Done {
        match self.dispatch.store.get(key_at(args, 1)?) {
            Some(entry) => value::push_bulk(self.out, no_list(entry.value)?),
            None => reply::null(self.out),
        }
        Ok(Flow::Done)
    }

    /// Stores a string.
    #[inline]
    pub(super) fn put(&mut self, key: &str, bytes: &[u8], expiry: Expiry) -> Result<(), Failure> {
        let mut json = std::mem::take(&mut self.dispatch.resp.json);
        value::push_json(&mut json, bytes);
        let stored = self.dispatch.put(key, &json, expiry);
        self.dispatch.resp.give_back(json);
        stored?;
        Ok(())
    }

    /// Stores the argument at `index` under the key before it.
    #[inline]
    pub(super) fn put_argument(&mut self, args: &Args<'_>, index: usize) -> Result<(), Failure> {
        self.put_argument_as(key_at(args, index - 1)?, args, index)
    }

    #[inline]
    fn put_argument_as(&mut self, key: &str, args: &Args<'_>, index: usize) -> Result<(), Failure> {
        let mut json = std::mem::take(&mut self.dispatch.resp.json);
        value::push_argument(&mut json, args, index);
        let stored = self.dispatch.put(key, &json, Expiry::Never);
        self.dispatch.resp.give_back(json);
        stored?;
        Ok(())
    }

    pub(super) fn get_and_delete(&mut self, args: &Args<'_>) -> Done {
        let key = key(args.get(1))?;
        match self.dispatch.store.get(key) {
            Some(entry) => value::push_bulk(self.out, no_list(entry.value)?),
            None => {
                reply::null(self.out);
                return Ok(Flow::Done);
            }
        }
        self.dispatch.remove(key);
        Ok(Flow::Done)
    }

    pub(super) fn set_if_absent(&mut self, args: &Args<'_>) -> Done {
        let key = key(args.get(1))?;
        if self.dispatch.store.get(key).is_some() {
            return self.integer(0);
        }
        self.put(key, args.get(2), Expiry::Never)?;
        self.integer(1)
    }

    pub(super) fn get_many(&mut self, args: &Args<'_>) -> Done {
        for arg in args.from(1) {
            key(arg)?;
        }
        let start = self.out.len();
        reply::array(self.out, args.len() - 1);
        for arg in args.from(1) {
            let entry = self.dispatch.store.get(key(arg)?);
            match entry.map(|entry| no_list(entry.value)) {
                Some(Ok(json)) => value::push_bulk(self.out, json),
                Some(Err(_)) | None => reply::null(self.out),
            }
            self.check_reply(start)?;
        }
        Ok(Flow::Done)
    }

    /// All of them or none: what can go wrong is looked for first.
    pub(super) fn set_many(&mut self, args: &Args<'_>) -> Done {
        if args.len().is_multiple_of(2) {
            return Err(wrong_arity(Command::MSet));
        }
        let mut room = self.dispatch.store.room();
        let mut json = std::mem::take(&mut self.dispatch.resp.json);
        let mut refused = None;
        for index in (2..args.len()).step_by(2) {
            let bytes = args.get(index);
            json.clear();
            // A string of ordinary size can't outgrow any limit, whatever it needs as JSON.
            let long = bytes.len() > 4096;
            if long {
                value::push_json(&mut json, bytes);
            }
            let cost = args.get(index - 1).len() + json.len().max(bytes.len() * 6) + 128;
            let checked = key_at(args, index - 1)
                .map(drop)
                .and_then(|()| self.dispatch.store.check_value(&json).map_err(Failure::from));
            if let Err(failure) = checked {
                refused = Some(failure);
                break;
            }
            match room.checked_sub(cost) {
                Some(left) => room = left,
                None => {
                    refused = Some(Failure::Known(
                        "OOM command not allowed when used memory > 'maxmemory'.",
                    ));
                    break;
                }
            }
        }
        self.dispatch.resp.give_back(json);
        if let Some(failure) = refused {
            return Err(failure);
        }
        for index in (2..args.len()).step_by(2) {
            // Checked above.
            match args.text(index - 1) {
                Some(key) => self.put_argument_as(key, args, index)?,
                None => self.put_argument(args, index)?,
            }
        }
        self.ok()
    }

    pub(super) fn append(&mut self, args: &Args<'_>) -> Done {
        let key = key(args.get(1))?;
        let mut json = std::mem::take(&mut self.dispatch.resp.json);
        let old = match self.dispatch.store.get(key) {
            Some(entry) => no_list(entry.value)?,
            None => "\"\"",
        };
        json.push_str(old);
        if !value::append(&mut json, args.get(2)) {
            let mut bytes = value::bytes(old).into_owned();
            bytes.extend_from_slice(args.get(2));
            json.clear();
            value::push_json(&mut json, &bytes);
        }
        self.looked_at(json.len());
        let length = value::length(&json);
        let stored = self.dispatch.put(key, &json, Expiry::Keep);
        self.dispatch.resp.give_back(json);
        stored?;
        reply::count(self.out, length);
        Ok(Flow::Done)
    }

    pub(super) fn length_of_string(&mut self, args: &Args<'_>) -> Done {
        let (length, looked) = match self.dispatch.store.get(key(args.get(1))?) {
            Some(entry) => {
                let json = no_list(entry.value)?;
                (value::length(json), json.len())
            }
            None => (0, 0),
        };
        self.looked_at(looked);
        reply::count(self.out, length);
        Ok(Flow::Done)
    }

    #[inline]
    pub(super) fn increment(&mut self, args: &Args<'_>, by: i64) -> Done {
        let key = key_at(args, 1)?;
        let number = match self.dispatch.store.get(key) {
            Some(entry) => {
                let json = no_list(entry.value)?;
                let short = json.len() <= INTEGER_BYTES_MAX;
                let number = short.then(|| number::integer(&value::bytes(json))).flatten();
                number.ok_or(NOT_INTEGER)?
            }
            None => 0,
        };
        let sum = number.checked_add(by).ok_or(OVERFLOW)?;
        let digits = Digits::of(sum);
        self.dispatch.put(key, digits.as_str(), Expiry::Keep)?;
        reply::integer_of(self.out, &digits);
        Ok(Flow::Done)
    }

    pub(super) fn increment_by(&mut self, args: &Args<'_>) -> Done {
        self.increment(args, number::integer(args.get(2)).ok_or(NOT_INTEGER)?)
    }

    pub(super) fn decrement_by(&mut self, args: &Args<'_>) -> Done {
        let by = number::integer(args.get(2)).ok_or(NOT_INTEGER)?;
        let by = by.checked_neg().ok_or(Failure::Known("ERR decrement would overflow"))?;
        self.increment(args, by)
    }

    pub(super) fn increment_by_float(&mut self, args: &Args<'_>) -> Done {
        let key = key(args.get(1))?;
        // A thousand digits are work for far longer than it takes to read them, also in vain.
        self.dispatch.looks += args.get(2).len();
        let number = match self.dispatch.store.get(key) {
            Some(entry) => {
                let json = no_list(entry.value)?;
                self.dispatch.looks += json.len().min(FLOAT_BYTES_MAX);
                let short = json.len() <= FLOAT_BYTES_MAX;
                let number = short.then(|| LongDouble::parse(&value::bytes(json))).flatten();
                number.ok_or(NOT_FLOAT)?
            }
            None => LongDouble::ZERO,
        };
        let sum = number.add(LongDouble::parse(args.get(2)).ok_or(NOT_FLOAT)?);
        if sum.is_infinite() {
            return Err(Failure::Known("ERR increment would produce NaN or Infinity"));
        }
        // Digits, a minus and a point: a JSON number.
        let text = sum.text();
        self.dispatch.put(key, &text, Expiry::Keep)?;
        reply::bulk(self.out, text.as_bytes());
        Ok(Flow::Done)
    }
}

/// A push or pop that found another value.
pub(super) fn list_failure(error: crate::error::Error) -> Failure {
    if error.kind() == ErrorKind::Io { reply::WRONG_TYPE } else { error.into() }
}

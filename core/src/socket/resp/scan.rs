//! KEYS and SCAN.

use super::glob::{self, Glob};
use super::keys::kind_of;
use super::number;
use super::parse::Args;
use super::reply::{self, Failure, NOT_INTEGER, SYNTAX};
use super::{Call, Done, Flow};

/// Keys that one SCAN looks at unless told otherwise.
const COUNT_DEFAULT: usize = 10;

impl Call<'_> {
    pub(super) fn keys(&mut self, args: &Args<'_>) -> Done {
        let pattern = args.get(1);
        glob::check(pattern)?;
        let glob = Glob::new(pattern);
        let (mut found, mut count) = (Vec::new(), 0);
        self.dispatch.store.scan(0, usize::MAX, |key| {
            if glob.matches(key.as_bytes()) && !self.dispatch.is_due(key) {
                reply::bulk(&mut found, key.as_bytes());
                count += 1;
            }
        });
        self.dispatch.looks += self.dispatch.store.len();
        let start = self.out.len();
        reply::array(self.out, count);
        self.out.append(&mut found);
        self.check_reply(start)?;
        Ok(Flow::Done)
    }

    pub(super) fn scan(&mut self, args: &Args<'_>) -> Done {
        let cursor = cursor(args.get(1))?;
        let (mut pattern, mut kind, mut count) = (None, None, COUNT_DEFAULT);
        let mut rest = args.from(2);
        while let Some(option) = rest.next() {
            let argument = rest.next().ok_or(SYNTAX)?;
            if option.eq_ignore_ascii_case(b"match") {
                glob::check(argument)?;
                pattern = Some(Glob::new(argument));
            } else if option.eq_ignore_ascii_case(b"type") {
                kind = Some(argument);
            } else if option.eq_ignore_ascii_case(b"count") {
                let number = number::integer(argument).ok_or(NOT_INTEGER)?;
                count = usize::try_from(number).ok().filter(|count| *count > 0).ok_or(SYNTAX)?;
            } else {
                return Err(SYNTAX);
            }
        }
        let (mut keys, mut looks) = (Vec::<Box<str>>::new(), 0);
        let next = self.dispatch.store.scan(cursor, count, |key| {
            looks += 1;
            let matches = pattern.as_ref().is_none_or(|pattern| pattern.matches(key.as_bytes()));
            if matches && !self.dispatch.is_due(key) {
                keys.push(key.into());
            }
        });
        if let Some(kind) = kind {
            keys.retain(|key| {
                let entry = self.dispatch.store.get(key);
                let of_key = entry.map_or("none", |entry| kind_of(entry.value));
                kind.eq_ignore_ascii_case(of_key.as_bytes())
            });
        }
        let start = self.out.len();
        reply::array(self.out, 2);
        reply::bulk(self.out, next.to_string().as_bytes());
        reply::array(self.out, keys.len());
        keys.iter().for_each(|key| reply::bulk(self.out, key.as_bytes()));
        self.dispatch.looks += looks;
        self.check_reply(start)?;
        Ok(Flow::Done)
    }
}

/// A cursor as C's `strtoul` reads it, up to a zero byte: also with a sign.
fn cursor(text: &[u8]) -> Result<u64, Failure> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Ok(0);
    }
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let number = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
    let number = number.and_then(|text| text.parse::<u64>().ok());
    let number = number.ok_or(Failure::Known("ERR invalid cursor"))?;
    Ok(if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_redis_reads_them() {
        for (text, expected) in
            [("", 0), ("0", 0), ("17", 17), ("-1", u64::MAX), ("+2", 2), ("3\0x", 3), ("007", 7)]
        {
            assert_eq!(cursor(text.as_bytes()).ok(), Some(expected), "{text:?}");
        }
        for text in ["x", " 0", "0 ", "-", "++1", "99999999999999999999999"] {
            assert!(cursor(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}

//! Keys, whatever is stored under them, and their time.

use super::super::dispatch::Expiry;
use super::super::store::Value;
use super::number;
use super::parse::Args;
use super::reply::{self, Failure, NO_SUCH_KEY, NOT_INTEGER, SYNTAX};
use super::set::{invalid_expire, wall_clock};
use super::table::Command;
use super::{Call, Done, Flow, key};

/// What EXPIRE asks of the time that the key has already.
#[derive(Debug, Default, Clone, Copy)]
struct Conditions {
    absent: bool,
    present: bool,
    later: bool,
    sooner: bool,
}

impl Conditions {
    fn parse(args: &Args<'_>) -> Result<Conditions, Failure> {
        let mut asked = Conditions::default();
        for option in args.from(3) {
            match option.to_ascii_lowercase().as_slice() {
                b"nx" => asked.absent = true,
                b"xx" => asked.present = true,
                b"gt" => asked.later = true,
                b"lt" => asked.sooner = true,
                _ => {
                    let option = String::from_utf8_lossy(option);
                    return Err(Failure::Text(format!("ERR Unsupported option {option}")));
                }
            }
        }
        if asked.absent && (asked.present || asked.later || asked.sooner) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(Failure::Known(text));
        }
        if asked.later && asked.sooner {
            let text = "ERR GT and LT options at the same time are not compatible";
            return Err(Failure::Known(text));
        }
        Ok(asked)
    }

    /// Whether they hold for a key that goes at `current`, or never, and would go at `at`.
    fn hold(self, current: Option<u64>, at: i128) -> bool {
        match current.map(i128::from) {
            Some(current) => {
                let fails =
                    self.absent || (self.later && at <= current) || (self.sooner && at >= current);
                !fails
            }
            None => !self.present && !self.later,
        }
    }
}

impl Call<'_> {
    pub(super) fn delete(&mut self, args: &Args<'_>) -> Done {
        for arg in args.from(1) {
            key(arg)?;
        }
        let mut count = 0;
        for arg in args.from(1) {
            count += usize::from(self.dispatch.remove(key(arg)?).is_some());
        }
        reply::count(self.out, count);
        Ok(Flow::Done)
    }

    pub(super) fn exists(&mut self, args: &Args<'_>) -> Done {
        let mut count = 0;
        for arg in args.from(1) {
            count += usize::from(self.dispatch.store.contains(key(arg)?));
        }
        reply::count(self.out, count);
        Ok(Flow::Done)
    }

    pub(super) fn kind(&mut self, args: &Args<'_>) -> Done {
        let entry = self.dispatch.store.get(key(args.get(1))?);
        reply::simple(self.out, entry.map_or("none", |entry| kind_of(entry.value)));
        Ok(Flow::Done)
    }

    /// TTL and PTTL, in units of so many milliseconds.
    pub(super) fn time_to_live(&mut self, args: &Args<'_>, unit: u64) -> Done {
        let key = key(args.get(1))?;
        if !self.dispatch.store.contains(key) {
            return self.integer(-2);
        }
        let Some(at) = self.dispatch.store.expiry(key) else { return self.integer(-1) };
        let left = at.saturating_sub(self.dispatch.now);
        self.integer(i64::try_from(left.saturating_add(unit / 2) / unit).unwrap_or(i64::MAX))
    }

    /// EXPIRE and PEXPIRE.
    pub(super) fn expire(&mut self, command: Command, args: &Args<'_>, unit: i64) -> Done {
        let asked = Conditions::parse(args)?;
        let number = number::integer(args.get(2)).ok_or(NOT_INTEGER)?;
        let from_now = number.checked_mul(unit).ok_or_else(|| invalid_expire(command))?;
        from_now.checked_add(wall_clock()).ok_or_else(|| invalid_expire(command))?;
        let key = key(args.get(1))?;
        if !self.dispatch.store.contains(key) {
            return self.integer(0);
        }
        let at = i128::from(self.dispatch.now) + i128::from(from_now);
        if !asked.hold(self.dispatch.store.expiry(key), at) {
            return self.integer(0);
        }
        match u64::try_from(at) {
            Ok(at) if from_now > 0 => drop(self.dispatch.expire(key, Some(at))),
            // Its time is over already.
            _ => drop(self.dispatch.remove(key)),
        }
        self.integer(1)
    }

    pub(super) fn persist(&mut self, args: &Args<'_>) -> Done {
        let changed = self.dispatch.expire(key(args.get(1))?, None);
        self.integer(changed.into())
    }

    pub(super) fn rename(&mut self, args: &Args<'_>) -> Done {
        let (from, to) = (key(args.get(1))?, key(args.get(2))?);
        let Some(entry) = self.dispatch.store.get(from) else { return Err(NO_SUCH_KEY) };
        if from == to {
            return self.ok();
        }
        let expiry = self.dispatch.store.expiry(from).map_or(Expiry::Never, Expiry::At);
        match entry.value {
            // As long as a list may be, it has no text that may be as long.
            Value::List(list) if list.len() > 0 => {
                self.dispatch.move_list(from, to)?;
                if let Expiry::At(at) = expiry {
                    self.dispatch.expire(to, Some(at));
                }
            }
            value => {
                let json = value.json().into_owned();
                self.looked_at(json.len());
                self.dispatch.put(to, &json, expiry)?;
                self.dispatch.remove(from);
            }
        }
        self.ok()
    }

    pub(super) fn flush_all(&mut self, args: &Args<'_>) -> Done {
        let how = args.get(1);
        let known = how.eq_ignore_ascii_case(b"async") || how.eq_ignore_ascii_case(b"sync");
        if args.len() > 2 || (args.len() == 2 && !known) {
            return Err(SYNTAX);
        }
        self.dispatch.expire_all();
        let mut keys: Vec<Box<str>> = Vec::with_capacity(self.dispatch.store.len());
        self.dispatch.store.scan(0, usize::MAX, |key| keys.push(key.into()));
        // One after the other, so that subscribers hear of each.
        for key in &keys {
            self.dispatch.remove(key);
        }
        self.dispatch.looks += keys.len();
        self.ok()
    }
}

/// What Redis calls a value of this kind.
pub(super) fn kind_of(value: Value<'_>) -> &'static str {
    if value.is_list() { "list" } else { "string" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_compare_with_the_time_there_is() {
        let asked = |word: &str| {
            let input = [b"EXPIREk1", word.as_bytes()].concat();
            let end = input.len() as u32;
            Conditions::parse(&Args::new(&input, &[(0, 6), (6, 7), (7, 8), (8, end)])).unwrap()
        };
        // Never; earlier than asked; later than asked.
        for (word, never, earlier, later) in [
            ("NX", true, false, false),
            ("xx", false, true, true),
            ("gt", false, true, false),
            ("LT", true, false, true),
        ] {
            let asked = asked(word);
            let held = [None, Some(5), Some(15)].map(|current| asked.hold(current, 10));
            assert_eq!(held, [never, earlier, later], "{word}");
        }
    }
}

//! SET and its options, SETEX, and the moments at which keys go.

use super::super::dispatch::Expiry;
use super::number;
use super::parse::Args;
use super::reply::{self, Failure, NOT_INTEGER, SYNTAX};
use super::table::Command;
use super::{Call, Done, Flow, key, no_list, value};
use std::time::{SystemTime, UNIX_EPOCH};

/// When a key goes, as it is asked for.
#[derive(Debug, Clone, Copy)]
struct Time<'a> {
    number: &'a [u8],
    /// Milliseconds in its unit.
    unit: i64,
    /// Counted from 1970, not from now.
    absolute: bool,
}

#[derive(Debug, Default)]
struct Options<'a> {
    if_absent: bool,
    if_present: bool,
    get: bool,
    keep: bool,
    time: Option<Time<'a>>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Options<'a>, Failure> {
        let mut options = Options::default();
        let mut kind = None;
        let mut rest = args.from(3);
        while let Some(option) = rest.next() {
            let mut upper = [0; 8];
            let Some(upper) = upper.get_mut(..option.len()) else { return Err(SYNTAX) };
            upper.copy_from_slice(option);
            upper.make_ascii_uppercase();
            match &*upper {
                b"NX" if !options.if_present => options.if_absent = true,
                b"XX" if !options.if_absent => options.if_present = true,
                b"GET" => options.get = true,
                b"KEEPTTL" if kind.is_none() => options.keep = true,
                b"EX" | b"PX" | b"EXAT" | b"PXAT" if !options.keep => {
                    let this = (upper[0], upper.len());
                    if kind.is_some_and(|kind| kind != this) {
                        return Err(SYNTAX);
                    }
                    kind = Some(this);
                    options.time = Some(Time {
                        number: rest.next().ok_or(SYNTAX)?,
                        unit: if upper[0] == b'E' { 1000 } else { 1 },
                        absolute: upper.len() == 4,
                    });
                }
                _ => return Err(SYNTAX),
            }
        }
        Ok(options)
    }
}

/// What becomes of a key's time.
enum Fate {
    /// As given.
    Goes(Expiry),
    /// Its time is over already.
    Gone,
}

/// Milliseconds since 1970.
pub(super) fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The error for a moment that no clock reaches.
pub(super) fn invalid_expire(command: Command) -> Failure {
    Failure::Text(format!("ERR invalid expire time in '{}' command", command.spec().name))
}

impl Call<'_> {
    #[inline]
    pub(super) fn set(&mut self, args: &Args<'_>) -> Done {
        if args.len() > 3 {
            return self.set_with_options(args);
        }
        self.put_argument(args, 2)?;
        self.ok()
    }

    fn set_with_options(&mut self, args: &Args<'_>) -> Done {
        let options = Options::parse(args)?;
        let fate = match options.time {
            Some(time) => self.fate(time, Command::Set)?,
            None if options.keep => Fate::Goes(Expiry::Keep),
            None => Fate::Goes(Expiry::Never),
        };
        let key = key(args.get(1))?;
        let start = self.out.len();
        let present = match self.dispatch.store.get(key) {
            Some(entry) if options.get => {
                value::push_bulk(self.out, no_list(entry.value)?);
                true
            }
            Some(_) => true,
            None => {
                if options.get {
                    reply::null(self.out);
                }
                false
            }
        };
        if (options.if_absent && present) || (options.if_present && !present) {
            if !options.get {
                reply::null(self.out);
            }
            return Ok(Flow::Done);
        }
        if let Err(failure) = self.put_with(key, args.get(2), fate) {
            self.out.truncate(start);
            return Err(failure);
        }
        if !options.get {
            reply::ok(self.out);
        }
        Ok(Flow::Done)
    }

    pub(super) fn set_for_seconds(&mut self, args: &Args<'_>) -> Done {
        let time = Time { number: args.get(2), unit: 1000, absolute: false };
        let fate = self.fate(time, Command::SetEx)?;
        self.put_with(key(args.get(1))?, args.get(3), fate)?;
        self.ok()
    }

    fn put_with(&mut self, key: &str, bytes: &[u8], fate: Fate) -> Result<(), Failure> {
        match fate {
            Fate::Goes(expiry) => self.put(key, bytes, expiry),
            Fate::Gone => {
                // Never there for anybody who waits for it.
                let waits = self.dispatch.set_waits_aside();
                let outcome = self.put(key, bytes, Expiry::Never);
                if outcome.is_ok() {
                    self.dispatch.remove(key);
                }
                self.dispatch.resume_waits(waits, std::iter::empty());
                outcome
            }
        }
    }

    /// Redis's rules: above 0, and within 64 bits when counted in milliseconds since 1970.
    fn fate(&self, time: Time<'_>, command: Command) -> Result<Fate, Failure> {
        let number = number::integer(time.number).ok_or(NOT_INTEGER)?;
        let given = number.checked_mul(time.unit).filter(|_| number > 0);
        let given = given.ok_or_else(|| invalid_expire(command))?;
        let from_now = if time.absolute {
            given - wall_clock()
        } else {
            given.checked_add(wall_clock()).ok_or_else(|| invalid_expire(command))?;
            given
        };
        match u64::try_from(from_now) {
            Ok(from_now) if from_now > 0 => {
                Ok(Fate::Goes(Expiry::At(self.dispatch.now.saturating_add(from_now))))
            }
            _ => Ok(Fate::Gone),
        }
    }
}

//! What a reply says: done, a value, or which error.

use super::super::binary::status;
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use std::borrow::Cow;
use std::str::FromStr;

/// One reply, read off the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received<'a> {
    pub(super) status: u8,
    pub(super) payload: &'a [u8],
}

/// A reply together with the key it is about.
pub(super) struct Answer<'a> {
    pub(super) received: Received<'a>,
    key: &'a str,
}

impl<'a> Received<'a> {
    pub(super) fn of(self, key: &'a str) -> Answer<'a> {
        Answer { received: self, key }
    }
}

impl Answer<'_> {
    /// The error this reply is, if it is one.
    pub(super) fn check(&self) -> Result<()> {
        let key = self.key;
        Err(match self.received.status {
            status::OK => return Ok(()),
            status::NOT_FOUND => Error::not_found(key),
            status::TIMED_OUT => Error::timed_out(key),
            status::CONDITION if self.received.payload.is_empty() => {
                Error::new(ErrorKind::Condition, format!("condition not met: {key}"))
            }
            status::CONDITION => Error::new(ErrorKind::Condition, self.line()),
            status::PRODUCER_ENDED => {
                let message = format!("producer ended: {}", self.line());
                Error::new(ErrorKind::ProducerEnded, message)
            }
            _ => {
                let line = self.line();
                Error::new(kind_of(&line), line)
            }
        })
    }

    /// The line that an error's payload is.
    fn line(&self) -> String {
        String::from_utf8_lossy(self.received.payload).into_owned()
    }

    pub(super) fn done(self) -> Result<()> {
        self.check()
    }

    pub(super) fn json(self) -> Result<Json> {
        self.check()?;
        server_json(self.received.payload)
    }

    /// A JSON number.
    pub(super) fn number<N: FromStr>(self) -> Result<N> {
        let json = self.json()?;
        json.as_str()
            .parse()
            .map_err(|_| Error::new(ErrorKind::Protocol, "the server's reply is no number"))
    }
}

/// What kind of error the server's line is. Its limits are its own, so that this side can't know
/// what is above them; the wire has one status for whatever is wrong. Names have no white space,
/// so that no line begins like this by a name in it.
fn kind_of(line: &str) -> ErrorKind {
    let step = line.strip_prefix("operation ").and_then(|rest| rest.split_once(": "));
    let line = match step {
        Some((number, what)) if is_number(number) => what,
        _ => line,
    };
    let (what, rest) = line.split_once(": ").unwrap_or((line, ""));
    let sized = what.strip_suffix(" bytes").and_then(|what| what.split_once(" of "));
    let is_sized = sized.is_some_and(|(_, bytes)| is_number(bytes));
    if is_sized && rest.starts_with("at most ") || line.starts_with("a batch has at most ") {
        return ErrorKind::TooLarge;
    }
    let is_deep = !what.contains(' ') && rest.starts_with("nested deeper than ");
    if is_deep || line.starts_with("invalid JSON at byte ") {
        return ErrorKind::Usage;
    }
    ErrorKind::Io
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// JSON the server has checked and compacted already.
pub(super) fn server_json(bytes: &[u8]) -> Result<Json> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Json::from_checked(Cow::Borrowed(text))),
        Err(_) => Err(Error::new(ErrorKind::Protocol, "the server's reply is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_only_look_alike_are_no_limits() {
        for line in [
            "operation of value: at most",
            "operation x: value of 7 bytes: at most 5 are allowed",
            "value of seven bytes: at most 5 are allowed",
            "value of 7 bytes",
            "a of 7 bytes: the value is no list",
            "db: at most 1024 locks on a connection",
            "the store is full: all values together may take 5 bytes; delete some keys",
            "",
        ] {
            assert_eq!(kind_of(line), ErrorKind::Io, "{line}");
        }
    }
}

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
            _ => Error::new(ErrorKind::Io, self.line()),
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

/// JSON the server has checked and compacted already.
pub(super) fn server_json(bytes: &[u8]) -> Result<Json> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Json::from_checked(Cow::Borrowed(text))),
        Err(_) => Err(Error::new(ErrorKind::Protocol, "the server's reply is not UTF-8")),
    }
}

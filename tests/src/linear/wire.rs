//! The dialects: calls as bytes, bytes as answers. Nothing of the toolkit's own codecs is used here.

mod answers;
mod requests;

pub use answers::{Reply, answer, read_reply};
pub use requests::{request, resp};

use super::model::{Change, Op};
use std::str::FromStr;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// One command a line.
    Text,
    /// Frames.
    Binary,
    /// What Redis clients speak.
    Resp,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 3] = [Dialect::Text, Dialect::Binary, Dialect::Resp];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Text => "text",
            Dialect::Binary => "binary",
            Dialect::Resp => "resp",
        }
    }

    /// Whether it can say this.
    #[must_use]
    pub fn has(self, op: &Op) -> bool {
        let resp = self == Dialect::Resp;
        match op {
            Op::GetAll | Op::Pop => resp,
            Op::GetRevision | Op::CompareAndSet(..) => !resp,
            // A condition inside MULTI is not one on all of it.
            Op::Batch(changes) => {
                !resp || !changes.iter().any(|change| matches!(change, Change::SetIfAbsent(_)))
            }
            _ => true,
        }
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Dialect, String> {
        let found = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name);
        found.ok_or_else(|| format!("no dialect: {name}"))
    }
}

/// The three keys of the model on a server.
#[derive(Debug, Clone)]
pub struct Keys {
    text: String,
    number: String,
    list: String,
}

impl Keys {
    /// Those that begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Keys {
        let key = |name| format!("{prefix}.{name}");
        Keys { text: key("text"), number: key("number"), list: key("list") }
    }

    fn of(&self, change: Change) -> &str {
        match change {
            Change::Set(_) | Change::SetIfAbsent(_) | Change::DeleteText => &self.text,
            Change::Increment(_) | Change::DeleteNumber => &self.number,
            Change::Append(_) | Change::DeleteList => &self.list,
        }
    }
}

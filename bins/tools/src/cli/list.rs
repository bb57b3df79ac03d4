//! `otto-list`

use super::{flag, optional, program, via};
use clap::Command;

/// The command line of `otto-list`.
#[must_use]
pub fn command() -> Command {
    let examples = "  otto-list             every key, a line each
  otto-list 'build.*'   the keys of task build";
    program("otto-list", "List keys, sorted", examples)
        .arg(via())
        .arg(flag("json", "Print one JSON array"))
        .arg(optional("PATTERN", "* is any run of characters, ? is one [default: *]"))
}

//! `otto-delete`

use super::{program, required, via};
use clap::Command;

/// The command line of `otto-delete`.
#[must_use]
pub fn command() -> Command {
    let examples = "  otto-delete build.version";
    program("otto-delete", "Remove a key and its value", examples)
        .arg(via())
        .arg(required("KEY", "The whole key: <task>.<name>"))
}

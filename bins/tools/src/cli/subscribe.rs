//! `otto-subscribe`

use super::{option, program, required};
use clap::Command;

/// The command line of `otto-subscribe`.
#[must_use]
pub fn command() -> Command {
    let examples = "  otto-subscribe 'build.*' | while read -r event; do echo \"$event\"; done
  otto-subscribe '*' --count 1 --timeout 60   the next change of anything";
    program(
        "otto-subscribe",
        "Print every change of matching keys and channels, a JSON line each",
        examples,
    )
    .arg(option("from", "start|now|SEQ", "Where to begin; only now, the default, is there yet"))
    .arg(option("count", "N", "End after N events"))
    .arg(option("timeout", "S", "End after S seconds with exit status 4"))
    .arg(required("PATTERN", "* is any run of characters, ? is one"))
}

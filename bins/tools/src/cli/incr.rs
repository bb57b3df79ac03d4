//! `otto-incr`

use super::{optional, program, required, via};
use clap::Command;

/// The command line of `otto-incr`.
#[must_use]
pub fn command() -> Command {
    let examples = "  otto-incr done        count one more and print the sum
  otto-incr budget -5   count down";
    program("otto-incr", "Add to a number and print the sum, without losing updates", examples)
        .arg(via())
        .arg(required("KEY", "The whole key; absent counts as 0"))
        .arg(optional("BY", "A 64-bit integer [default: 1]").allow_negative_numbers(true))
}

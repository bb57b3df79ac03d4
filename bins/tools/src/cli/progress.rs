//! `otto-progress`

use super::{option, optional, program, required};
use clap::Command;

/// The command line of `otto-progress`.
#[must_use]
pub fn command() -> Command {
    let examples = "  for i in {1..100}; do otto-progress $i 100 \"Processing item $i\"; done
  otto-progress 4096 - 'bytes so far' --id download   (a total that is not known)";
    program(
        "otto-progress",
        "Report progress to whoever shows it; without a run, to standard error",
        examples,
    )
    .arg(option("id", "NAME", "Which bar, for a task that has several"))
    .arg(required("CURRENT", "How much is done: 0 or more"))
    .arg(required("TOTAL", "How much there is; - when that is not known"))
    .arg(optional("MESSAGE", "What is being done"))
}

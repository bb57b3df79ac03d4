//! `otto-mmap-read`

use super::{flag, option, optional, program};
use clap::{ArgGroup, Command};

/// The command line of `otto-mmap-read`.
#[must_use]
pub fn command() -> Command {
    let examples = "  otto-mmap-read build version           one value of task build's document
  otto-mmap-read build                   the whole document as JSON
  otto-mmap-read --dataset features > f  the bytes of a dataset";
    program("otto-mmap-read", "Read documents and datasets in shared memory", examples)
        .arg(optional("TASK", "Whose document"))
        .arg(optional("KEY", "Which of its keys [default: the whole document]"))
        .arg(flag("json", "Print JSON always, strings in quotes too"))
        .arg(option("dataset", "NAME", "Read the dataset NAME"))
        .arg(option("output", "FILE", "Write the dataset to FILE instead").requires("dataset"))
        .arg(flag("list", "List the documents and datasets of this run"))
        .arg(option("stat", "NAME", "Tell about the dataset NAME, or the document of task NAME"))
        .group(ArgGroup::new("what").args(["TASK", "dataset", "list", "stat"]).required(true))
}

//! `otto-mmap-write`

use super::{flag, option, optional, program};
use clap::Command;

/// The command line of `otto-mmap-write`.
#[must_use]
pub fn command() -> Command {
    let examples =
        "  otto-mmap-write build version 1.2.3        set one value of task build's document
  otto-mmap-write build ports '[80]' --json  JSON
  otto-mmap-write --dataset features f.csv   publish a file's bytes
  producer | otto-mmap-write --dataset log   publish what standard input holds";
    program("otto-mmap-write", "Write documents and publish datasets in shared memory", examples)
        .arg(option(
            "dataset",
            "NAME",
            "Publish the dataset NAME from FILE, or from standard input",
        ))
        .arg(flag("json", "VALUE is JSON, not a string").conflicts_with("dataset"))
        .arg(optional("TASK", "Whose document; with --dataset the FILE, - is standard input"))
        .arg(optional("KEY", "Which of its keys").conflicts_with("dataset"))
        .arg(
            optional(
                "VALUE",
                "The value; - is standard input, @FILE a file; after -- taken literally",
            )
            .conflicts_with("dataset")
            .allow_negative_numbers(true),
        )
}

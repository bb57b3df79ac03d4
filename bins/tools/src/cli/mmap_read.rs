//! `otto-mmap-read`

use super::program::{Program, flag, option, optional};

/// The command line of `otto-mmap-read`.
pub static MMAP_READ: Program = Program {
    name: "otto-mmap-read",
    about: "Read documents and datasets in shared memory",
    examples: "  otto-mmap-read build version           one value of task build's document
  otto-mmap-read build                   the whole document as JSON
  otto-mmap-read build version --wait    wait until somebody writes it
  otto-mmap-read --dataset features > f  the bytes of a dataset
  otto-mmap-read --list                  what there is, of every run of yours",
    arguments: &[
        optional("TASK", "Whose document"),
        optional("KEY", "Which of its keys [default: the whole document]"),
        flag("json", "Print JSON always, strings in quotes too").conflicts_with(&["dataset"]),
        flag("wait", "Wait until KEY is there").requires("KEY"),
        option("timeout", "S", "Wait at most S seconds, then exit 4").requires("wait"),
        option("dataset", "NAME", "Read the dataset NAME"),
        option("output", "FILE", "Write the dataset to FILE, - is standard output")
            .requires("dataset"),
        flag(
            "list",
            "List every region of yours: run, name, kind, bytes, alive, dead or unknown owner",
        ),
        option(
            "stat",
            "NAME",
            "Tell about the dataset NAME and the document of task NAME, a line of JSON each",
        ),
    ],
    one_of: &["TASK", "dataset", "list", "stat"],
};

//! `otto-mmap-write`

use super::program::{Program, flag, option, optional};

/// The command line of `otto-mmap-write`.
pub static MMAP_WRITE: Program = Program {
    name: "otto-mmap-write",
    about: "Write documents and publish datasets in shared memory",
    examples: "  otto-mmap-write build version 1.2.3        set one value of task build's document
  otto-mmap-write build ports '[80]' --json  JSON
  otto-mmap-write --dataset features f.csv   publish a file's bytes
  producer | otto-mmap-write --dataset log   publish what standard input holds
  otto-mmap-write --remove --dataset log     give its memory back",
    arguments: &[
        option("dataset", "NAME", "Publish the dataset NAME from FILE, or from standard input"),
        flag("spill", "Put the dataset on disk if memory has no room for it")
            .requires("dataset")
            .conflicts_with(&["remove"]),
        flag("remove", "Remove task TASK's document, or the dataset NAME").conflicts_with(&["KEY"]),
        flag("json", "VALUE is JSON, not a string").conflicts_with(&["dataset"]),
        optional("TASK", "Whose document; with --dataset the FILE, - is standard input"),
        optional("KEY", "Which of its keys").conflicts_with(&["dataset"]),
        optional("VALUE", "The value; - is standard input, @FILE a file; after -- taken literally")
            .conflicts_with(&["dataset"])
            .negative_numbers(),
    ],
    one_of: &[],
};

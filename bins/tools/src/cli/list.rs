//! `otto-list`

use super::program::{Program, VIA, flag, optional};

/// The command line of `otto-list`.
pub static LIST: Program = Program {
    name: "otto-list",
    about: "List keys, sorted",
    examples: "  otto-list             every key, a line each
  otto-list 'build.*'   the keys of task build",
    arguments: &[
        VIA,
        flag("json", "Print one JSON array"),
        optional("PATTERN", "* is any run of characters, ? is one [default: *]"),
    ],
    one_of: &[],
};

//! `otto-delete`

use super::program::{Program, VIA, required};

/// The command line of `otto-delete`.
pub static DELETE: Program = Program {
    name: "otto-delete",
    about: "Remove a key and its value",
    examples: "  otto-delete build.version",
    arguments: &[VIA, required("KEY", "The whole key: <task>.<name>")],
    one_of: &[],
};

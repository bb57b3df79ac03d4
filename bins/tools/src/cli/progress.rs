//! `otto-progress`

use super::program::{Program, option, optional, required};

/// The command line of `otto-progress`.
pub static PROGRESS: Program = Program {
    name: "otto-progress",
    about: "Report progress to whoever shows it; without a run, to standard error",
    examples: "  for i in {1..100}; do otto-progress $i 100 \"Processing item $i\"; done
  otto-progress 4096 - 'bytes so far' --id download   (a total that is not known)",
    arguments: &[
        option("id", "NAME", "Which bar, for a task that has several"),
        required("CURRENT", "How much is done: 0 or more"),
        required("TOTAL", "How much there is; - when that is not known"),
        optional("MESSAGE", "What is being done"),
    ],
    one_of: &[],
};

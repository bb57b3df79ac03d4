//! `otto-progress`

use super::program::{Program, RUN, flag, option, optional, required};

/// The command line of `otto-progress`.
pub static PROGRESS: Program = Program {
    name: "otto-progress",
    about: "Report progress to whoever shows it; without a run, to standard error",
    examples: "  for i in {1..100}; do otto-progress $i 100 \"Processing item $i\"; done
  otto-progress 4096 - 'bytes so far' --id download   (a total that is not known)
  otto-progress --watch   from another terminal: how far the run is",
    arguments: &[
        option("id", "NAME", "Which bar, for a task that has several").conflicts_with(&["watch"]),
        flag("watch", "Show how far the tasks of a run are, until it ends"),
        RUN,
        required("CURRENT", "How much is done: 0 or more")
            .unless(&["watch"])
            .conflicts_with(&["watch"]),
        required("TOTAL", "How much there is; - when that is not known").unless(&["watch"]),
        optional("MESSAGE", "What is being done"),
    ],
    one_of: &[],
};

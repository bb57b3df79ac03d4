//! `otto-subscribe`

use super::program::{Program, option, required};

/// The command line of `otto-subscribe`.
pub static SUBSCRIBE: Program = Program {
    name: "otto-subscribe",
    about: "Print every change of matching keys and channels, a JSON line each",
    examples: "  otto-subscribe 'build.*' | while read -r event; do echo \"$event\"; done
  otto-subscribe '*' --count 1 --timeout 60   the next change of anything
  otto-subscribe 'build.*' --from start       what has happened so far, too
  otto-subscribe build.done --exec 'echo \"$OTTO_EVENT_VALUE\"'   a command for each",
    arguments: &[
        option(
            "from",
            "start|now|SEQ",
            "Begin with the first event that is kept, with those to \
            come, or with the event of number SEQ [default: now]",
        ),
        option("count", "N", "End after N events"),
        option("timeout", "S", "End after S seconds with exit status 4"),
        option(
            "exec",
            "COMMAND",
            "Run COMMAND (sh -c) for each event, one after the other: JSON on \
            its standard input and in OTTO_EVENT, its parts in OTTO_EVENT_SEQ, _KIND, _KEY and _VALUE",
        ),
        required("PATTERN", "* is any run of characters, ? is one"),
    ],
    one_of: &[],
};

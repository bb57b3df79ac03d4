//! `otto-lock`

use super::program::{Program, flag, option, required, rest};

/// The command line of `otto-lock`.
pub static LOCK: Program = Program {
    name: "otto-lock",
    about: "Run a command while holding a lock of the run",
    examples: "  otto-lock db -- ./migrate            one at a time, in the order they asked
  otto-lock gpu -n 2 -- python train   at most two at a time
  otto-lock db --timeout 5 -- ./report give up after 5 seconds
  otto-lock --who                      who holds which lock, and how many wait",
    arguments: &[
        option(
            "slots",
            "SLOTS",
            "How many may hold it at a time, the same for all who ask [default: 1]",
        )
        .letter('n'),
        option("timeout", "S", "Wait at most S seconds for it, then exit 4"),
        flag("who", "Print who holds the lock NAME [default: any lock]; * and ? match several")
            .conflicts_with(&["slots", "timeout", "hold", "COMMAND"]),
        flag("json", "Print the holders as a JSON array, with --who"),
        option(
            "hold",
            "PID",
            "Hold it in the background until process PID has ended; print the fencing number and \
             the process to end (TERM) to let go of it",
        )
        .conflicts_with(&["COMMAND"]),
        required("NAME", "The lock: 1 to 512 bytes without white space").unless(&["who"]),
        rest("COMMAND", "What to run; it finds the fencing number in OTTO_LOCK_TOKEN")
            .unless(&["who", "hold"]),
    ],
    one_of: &[],
};

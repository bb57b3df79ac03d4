//! `otto-subscribe`

use super::program::{Program, option, required};

/// The command line of `otto-subscribe`.
pub static SUBSCRIBE: Program = Program {
    name: "otto-subscribe",
    about: "Print every change of matching keys and channels, a JSON line each",
    examples: "  otto-subscribe 'build.*' | while read -r event; do echo \"$event\"; done
  otto-subscribe '*' --count 1 --timeout 60   the next change of anything",
    arguments: &[
        option("from", "start|now|SEQ", "Where to begin; only now, the default, is there yet"),
        option("count", "N", "End after N events"),
        option("timeout", "S", "End after S seconds with exit status 4"),
        required("PATTERN", "* is any run of characters, ? is one"),
    ],
    one_of: &[],
};

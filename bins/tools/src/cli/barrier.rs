//! `otto-barrier`

use super::program::{Program, flag, option, required};

/// The command line of `otto-barrier`.
pub static BARRIER: Program = Program {
    name: "otto-barrier",
    about: "Wait until COUNT have come to the barrier NAME, then go on together",
    examples: "  otto-barrier ready 4                4 tasks go on once all of them are here
  otto-barrier ready 4 --timeout 60   unless the last one takes more than a minute",
    arguments: &[
        option("timeout", "S", "Wait at most S seconds for the others, then exit 4"),
        flag("number", "Print which one this was: 1 for the first to come"),
        required("NAME", "The barrier: 1 to 512 bytes without white space"),
        required("COUNT", "How many have to come, the same for all of them"),
    ],
    one_of: &[],
};

//! `otto-incr`

use super::program::{Program, VIA, optional, required};

/// The command line of `otto-incr`.
pub static INCR: Program = Program {
    name: "otto-incr",
    about: "Add to a number and print the sum, without losing updates",
    examples: "  otto-incr done        count one more and print the sum
  otto-incr budget -5   count down",
    arguments: &[
        VIA,
        required("KEY", "The whole key; absent counts as 0"),
        optional("BY", "A 64-bit integer [default: 1]").negative_numbers(),
    ],
    one_of: &[],
};

//! `otto-publish`

use super::program::{Program, flag, required};

/// The command line of `otto-publish`.
pub static PUBLISH: Program = Program {
    name: "otto-publish",
    about: "Tell the subscribers of a channel; nothing is stored but the event",
    examples: "  otto-publish build.log 'compiling main.c'
  otto-publish --json points '{\"x\": 1, \"y\": 2}'
  otto-subscribe build.log --from start   what was published, from the beginning",
    arguments: &[
        flag("json", "VALUE is JSON, not a string"),
        required("CHANNEL", "The whole channel: 1 to 512 bytes without white space"),
        required("VALUE", "The value; - is standard input, @FILE a file; after -- taken literally")
            .negative_numbers(),
    ],
    one_of: &[],
};

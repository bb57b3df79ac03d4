//! `otto-set`

use super::program::{Program, VIA, flag, option, required};

/// The command line of `otto-set`.
pub static SET: Program = Program {
    name: "otto-set",
    about: "Store a value for other tasks to read",
    examples: "  otto-set version 1.2.3             store the string 1.2.3 as <this task>.version
  otto-set --json ports '[80, 443]'  store JSON
  make 2>&1 | otto-set log -         store what standard input holds
  otto-set -g leader $$ --if-absent  store leader itself, unless somebody has",
    arguments: &[
        flag("global", "Take KEY as it stands instead of <this task>.KEY").letter('g'),
        VIA,
        flag("json", "VALUE is JSON, not a string"),
        flag("if-absent", "Only if KEY is absent; else exit 5").conflicts_with("if-rev"),
        option(
            "if-rev",
            "N",
            "Only if KEY's revision is N (see otto-get --rev; 0: absent); else exit 5",
        ),
        required("KEY", "1 to 512 bytes without white space"),
        required("VALUE", "The value; - is standard input, @FILE a file; after -- taken literally")
            .negative_numbers(),
    ],
    one_of: &[],
};

//! `otto-set`

use super::program::{Program, VIA, flag, option, required};

/// The command line of `otto-set`.
pub static SET: Program = Program {
    name: "otto-set",
    about: "Store a value for other tasks to read",
    examples: "  otto-set version 1.2.3             store the string 1.2.3 as <this task>.version
  otto-set --json ports '[80, 443]'  store JSON
  make 2>&1 | otto-set log -         store what standard input holds
  otto-set -g leader $$ --if-absent  store leader itself, unless somebody has
  otto-set -g leader $$ --ttl 30     store it for 30 seconds
  otto-set --append files main.c     add an element to the list files
  otto-set --batch changes.jsonl     store, add and delete, all of it or nothing",
    arguments: &[
        flag("global", "Take KEY as it stands instead of <this task>.KEY").letter('g'),
        VIA,
        flag("json", "VALUE is JSON, not a string"),
        flag("if-absent", "Only if KEY is absent; else exit 5").conflicts_with(&["if-rev"]),
        option(
            "if-rev",
            "N",
            "Only if KEY's revision is N (see otto-get --rev; 0: absent); else exit 5",
        ),
        flag("append", "Add VALUE to the end of the list KEY; absent: an empty one")
            .conflicts_with(&["if-absent", "if-rev", "ttl"]),
        option("ttl", "S", "Remove KEY again after S seconds, unless it is set anew (socket only)"),
        flag(
            "batch",
            "Carry out JSON lines, all or none, of the file KEY [default: standard input] (socket \
             only): {\"key\":K,\"value\":V}, with \"ttl\":S, \"if_absent\":true or \"if_rev\":N; \
             {\"key\":K,\"delete\":true}; {\"key\":K,\"incr\":N}; {\"key\":K,\"append\":V}",
        )
        .conflicts_with(&["json", "if-absent", "if-rev", "append", "ttl", "VALUE"]),
        required("KEY", "1 to 512 bytes without white space").unless(&["batch"]),
        required("VALUE", "The value; - is standard input, @FILE a file; after -- taken literally")
            .unless(&["batch"])
            .negative_numbers(),
    ],
    one_of: &[],
};

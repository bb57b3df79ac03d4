//! `otto-set`

use super::{flag, option, program, required, via};
use clap::{Arg, ArgAction, Command};

/// The command line of `otto-set`.
#[must_use]
pub fn command() -> Command {
    let examples =
        "  otto-set version 1.2.3             store the string 1.2.3 as <this task>.version
  otto-set --json ports '[80, 443]'  store JSON
  make 2>&1 | otto-set log -         store what standard input holds
  otto-set -g leader $$ --if-absent  store leader itself, unless somebody has";
    program("otto-set", "Store a value for other tasks to read", examples)
        .arg(
            Arg::new("global")
                .short('g')
                .long("global")
                .action(ArgAction::SetTrue)
                .help("Take KEY as it stands instead of <this task>.KEY"),
        )
        .arg(via())
        .arg(flag("json", "VALUE is JSON, not a string"))
        .arg(flag("if-absent", "Only if KEY is absent; else exit 5").conflicts_with("if-rev"))
        .arg(option(
            "if-rev",
            "N",
            "Only if KEY's revision is N (see otto-get --rev; 0: absent); else exit 5",
        ))
        .arg(required("KEY", "1 to 512 bytes without white space"))
        .arg(
            required(
                "VALUE",
                "The value; - is standard input, @FILE a file; after -- taken literally",
            )
            .allow_negative_numbers(true),
        )
}

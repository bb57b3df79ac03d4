//! `otto-get`

use super::{flag, option, program, required, via};
use clap::{Arg, ArgAction, Command};

/// The command line of `otto-get`.
#[must_use]
pub fn command() -> Command {
    let examples = "  otto-get build.version                     print the value task build has set
  otto-get build.version --default unknown   print unknown when it is absent
  otto-get db.ready --wait --timeout 30      wait until somebody sets it";
    program("otto-get", "Print a value: a string raw, anything else as JSON", examples)
        .arg(via())
        .arg(flag("json", "Print JSON always, strings in quotes too"))
        .arg(
            Arg::new("no-newline")
                .short('n')
                .action(ArgAction::SetTrue)
                .help("No newline after the value"),
        )
        .arg(option("default", "V", "Print V when KEY is absent, or can't come"))
        .arg(flag("wait", "Wait until KEY is set"))
        .arg(option("timeout", "S", "Wait at most S seconds, then exit 4").requires("wait"))
        .arg(flag("rev", "Print the revision, a tab, then the value (socket only)"))
        .arg(required("KEY", "The whole key: <task>.<name>"))
}

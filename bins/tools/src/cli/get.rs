//! `otto-get`

use super::program::{Program, VIA, flag, option, required};

/// The command line of `otto-get`.
pub static GET: Program = Program {
    name: "otto-get",
    about: "Print a value: a string raw, anything else as JSON",
    examples: "  otto-get build.version                     print the value task build has set
  otto-get build.version --default unknown   print unknown when it is absent
  otto-get db.ready --wait --timeout 30      wait until somebody sets it
  otto-get session.token --ttl               seconds until it expires, or never",
    arguments: &[
        VIA,
        flag("json", "Print JSON always, strings in quotes too"),
        flag("no-newline", "No newline after the value").letter_only('n'),
        option("default", "V", "Print V when KEY is absent, or can't come"),
        flag("wait", "Wait until KEY is set"),
        option("timeout", "S", "Wait at most S seconds, then exit 4").requires("wait"),
        flag("rev", "Print the revision, a tab, then the value (socket only)"),
        flag("ttl", "Print the seconds the value still has, or never (socket only)")
            .conflicts_with(&["wait", "rev", "json"]),
        required("KEY", "The whole key: <task>.<name>"),
    ],
    one_of: &[],
};

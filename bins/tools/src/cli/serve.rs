//! `otto-serve`

use super::program::{self, option, optional};
use clap::Command;

/// The command line of `otto-serve`.
#[must_use]
pub fn command() -> Command {
    let examples =
        "  otto-serve -- make -j8                 every recipe can use otto-set, otto-get, ...
  otto-serve -- bash -c 'otto-set a 1; otto-get a'
  eval \"$(otto-serve &)\"                 serve this shell until: kill $OTTO_RUN_ID
  otto-serve --load s.json --save s.json -- ./job   go on with the values of the last time";
    let socket =
        option("socket", "PATH", "Where the socket goes [default: the run's private folder]");
    let ready = option("ready-fd", "N", "Write a newline to descriptor N once clients can connect");
    let save = option(
        "save",
        "FILE",
        "Keep the values in FILE, as JSON: at the end, and whenever signal USR1 comes",
    );
    let load = option(
        "load",
        "FILE",
        "Begin with the values of FILE; where --save names it as well, it may be missing at first",
    );
    program::command(
        "otto-serve",
        "Give a command, or this shell, the whole toolkit: values, events, regions, streams",
        examples,
    )
    .arg(socket.definition())
    .arg(ready.definition())
    .arg(save.definition())
    .arg(load.definition())
    .arg(
        optional("COMMAND", "The command to run; without one, print its environment and serve")
            .definition()
            .value_parser(clap::value_parser!(std::ffi::OsString))
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true),
    )
}

//! `otto-serve`

use super::program::{self, option, optional};
use clap::Command;

/// The command line of `otto-serve`.
#[must_use]
pub fn command() -> Command {
    let examples =
        "  otto-serve -- make -j8                 every recipe can use otto-set, otto-get, ...
  otto-serve -- bash -c 'otto-set a 1; otto-get a'
  eval \"$(otto-serve &)\"                 serve this shell until: kill $OTTO_RUN_ID";
    let socket =
        option("socket", "PATH", "Where the socket goes [default: the run's private folder]");
    let ready = option("ready-fd", "N", "Write a newline to descriptor N once clients can connect");
    program::command(
        "otto-serve",
        "Give a command, or this shell, the whole toolkit: values, events, regions, streams",
        examples,
    )
    .arg(socket.definition())
    .arg(ready.definition())
    .arg(
        optional("COMMAND", "The command to run; without one, print its environment and serve")
            .definition()
            .value_parser(clap::value_parser!(std::ffi::OsString))
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true),
    )
}

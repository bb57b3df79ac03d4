//! `otto-pipe`

use super::program::{self, option, optional, required};
use clap::Command;

/// What `otto-pipe` will do once streams have a relay of their own; named here to be refused.
pub const LATER: [&str; 6] = ["tee", "merge", "stat", "tap", "record", "replay"];

/// The command line of `otto-pipe`.
#[must_use]
pub fn command() -> Command {
    let examples = "  otto-pipe create logs              make the stream and print its path
  tail -n 100 app.log | otto-pipe write logs &
  otto-pipe read logs                (in another program of the run)
  otto-pipe read | grep ERROR        in a streaming task: its input";
    let name = |help| optional("NAME", help).definition();
    let timeout = || {
        option("timeout", "S", "Wait at most S seconds for the other side, then exit 4")
            .definition()
    };
    let made = || required("NAME", "1 to 100 of A-Z a-z 0-9 _ : -").definition();
    let mut command =
        program::command("otto-pipe", "Stream bytes and lines between running programs", examples)
            .subcommand_required(true)
            .disable_help_subcommand(true)
            .subcommand(
                Command::new("create")
                    .about(
                        "Make the stream NAME in this run, if it is not there, and print its path",
                    )
                    .arg(made()),
            )
            .subcommand(Command::new("path").about("Print the path of the stream NAME").arg(made()))
            .subcommand(
                Command::new("write")
                    .about("Copy standard input to a stream until it ends")
                    .arg(timeout())
                    .arg(name("The stream [default: this task's output]")),
            )
            .subcommand(
                Command::new("read")
                    .about("Copy a stream to standard output until it ends")
                    .arg(timeout())
                    .arg(name("The stream [default: this task's input]")),
            );
    for later in LATER {
        command = command.subcommand(
            Command::new(later).hide(true).arg(
                optional("ANY", "")
                    .definition()
                    .num_args(0..)
                    .allow_hyphen_values(true)
                    .trailing_var_arg(true),
            ),
        );
    }
    command
}

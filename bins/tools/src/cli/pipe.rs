//! `otto-pipe`

use super::program::{self, Argument, flag, option, optional, required};
use clap::{Arg, ArgAction, Command};

/// What a stream can be called wherever one is asked for.
const STREAMS: &str =
    "STREAM is the name of a stream, - for standard input or output, or a path with a / in it.";

/// The command line of `otto-pipe`.
#[must_use]
pub fn command() -> Command {
    let examples =
        "  otto-pipe create logs                       make the stream and print its path
  app > \"$(otto-pipe path logs)\" &            anything can write it
  otto-pipe read logs | grep ERROR            anything can read it
  otto-pipe stat logs                         who waits for whom
  otto-pipe tee errors - < app.log            one stream to several readers
  otto-pipe record day.rec logs | grep ERROR  keep what passes, with its times
  otto-pipe read --json --count 10            in a streaming task: 10 records of its input";
    let mut command =
        program::command("otto-pipe", "Stream bytes and lines between running programs", examples)
            .subcommand_required(true)
            .disable_help_subcommand(true);
    for subcommand in [names(), copies(), joints(), looks(), recordings()].into_iter().flatten() {
        command = command.subcommand(subcommand);
    }
    command
}

fn subcommand(name: &'static str, about: &'static str, arguments: &[Argument]) -> Command {
    Command::new(name).about(about).args(arguments.iter().map(Argument::definition))
}

const NAME: Argument = required("NAME", "1 to 100 of A-Z a-z 0-9 _ : -");
const TIMEOUT: Argument =
    option("timeout", "S", "Wait at most S seconds for the other side, then exit 4");
const PROGRESS: Argument = flag(
    "progress",
    "Show bytes and rate also where standard error is no terminal, a line a second",
);
const QUIET: Argument =
    flag("quiet", "Show no bytes and rate on a terminal").conflicts_with(&["progress"]);
const RUN: Argument = option("run", "ID", "Look at the run ID of yours [default: this run]");

fn names() -> Vec<Command> {
    vec![
        subcommand(
            "create",
            "Make the stream NAME, if it is not there, and print its path",
            &[NAME],
        ),
        subcommand("path", "Print the path of the stream NAME", &[NAME]),
        subcommand("remove", "Remove the stream NAME; who has it open goes on with it", &[NAME]),
        subcommand(
            "list",
            "Print the names of this run's streams; without a run, of those outside all runs",
            &[flag("json", "Print an array of objects, with their paths"), RUN],
        ),
    ]
}

fn copies() -> Vec<Command> {
    let write = subcommand(
        "write",
        "Copy standard input to a stream until it ends",
        &[optional("STREAM", "The stream [default: this task's output]"), TIMEOUT, PROGRESS, QUIET],
    );
    let read = subcommand(
        "read",
        "Copy a stream to standard output until it ends",
        &[
            optional("STREAM", "The stream [default: this task's input]"),
            flag("lines", "Write whole lines only; a last one without a newline gets one"),
            flag(
                "json",
                "Check that each line is JSON; the first that is not ends it with status 1",
            )
            .conflicts_with(&["lines"]),
            option("count", "N", "End after N lines, and leave what follows in the stream"),
            TIMEOUT,
            PROGRESS,
            QUIET,
        ],
    );
    vec![write, read]
}

fn joints() -> Vec<Command> {
    let several = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .value_name("STREAM")
            .help(help)
            .required(true)
            .num_args(1..)
            .action(ArgAction::Append)
    };
    let tee = subcommand(
        "tee",
        "Copy one stream to several, each of which gets all of it",
        &[
            option("from", "STREAM", "What is copied [default: standard input]"),
            TIMEOUT,
            PROGRESS,
            QUIET,
        ],
    );
    let merge = subcommand(
        "merge",
        "Merge several streams by whole lines, a turn for each",
        &[
            option(
                "to",
                "STREAM",
                "Where they go [default: this task's output, else standard output]",
            ),
            TIMEOUT,
            PROGRESS,
            QUIET,
        ],
    );
    vec![
        tee.arg(several("TO", "Where it goes")).after_help(STREAMS),
        merge.arg(several("FROM", "What is merged")).after_help(STREAMS),
    ]
}

fn looks() -> Vec<Command> {
    let stat = subcommand(
        "stat",
        "Tell how much passes, what is queued, and who waits for whom",
        &[
            optional("NAME", "One task or stream [default: all of this run]"),
            flag("json", "Print one JSON object"),
            RUN,
        ],
    );
    let tap = subcommand(
        "tap",
        "Look at records on their way, without taking them away or holding them up",
        &[
            required("NAME", "A stream, or a task of otto-run: what it writes, else what it reads"),
            option("every", "N", "Every Nth record from now on [default: 1]"),
            option("last", "K", "The newest K records, then end").conflicts_with(&["every"]),
            RUN,
        ],
    );
    vec![stat, tap]
}

fn recordings() -> Vec<Command> {
    let record = subcommand(
        "record",
        "Pass a stream on and keep it in FILE, with the time of each piece",
        &[
            required("FILE", "The recording; one that holds something already is refused"),
            optional("STREAM", "What is recorded [default: standard input]"),
            option(
                "to",
                "STREAM",
                "Where it goes on [default: this task's output, else standard output]",
            ),
            flag("force", "Replace FILE"),
            flag("append", "Go on at the end of FILE, a recording").conflicts_with(&["force"]),
            TIMEOUT,
            PROGRESS,
            QUIET,
        ],
    );
    let replay = subcommand(
        "replay",
        "Write a recording again, as fast as it is read",
        &[
            required("FILE", "The recording; - for standard input"),
            optional("STREAM", "Where to [default: this task's output, else standard output]"),
            flag("timing", "At the pace of the recording"),
            option("speed", "X", "X times as fast as the recording"),
            TIMEOUT,
            PROGRESS,
            QUIET,
        ],
    );
    vec![record.after_help(STREAMS), replay.after_help(STREAMS)]
}

//! What `otto-pipe` does, a file for each of its subcommands.

mod ends;
mod lines;
mod merge;
mod meter;
mod names;
mod read;
mod record;
mod recording;
mod relay_socket;
mod relayed;
mod replay;
mod site;
mod stat;
mod tap;
mod tee;
mod write;

use crate::Done;
use clap::ArgMatches;
use otto_core::{Error, ErrorKind};

/// Runs the subcommand that was given.
///
/// # Errors
/// Whatever ends it: one line to say, and an exit status.
pub fn run(arguments: &ArgMatches) -> Done {
    let Some((name, arguments)) = arguments.subcommand() else { return Ok(0) };
    match name {
        "create" => names::create(arguments),
        "path" => names::path(arguments),
        "remove" => names::remove(arguments),
        "list" => names::list(arguments),
        "write" => write::run(arguments),
        "read" => read::run(arguments),
        "tee" => tee::run(arguments),
        "merge" => merge::run(arguments),
        "stat" => stat::run(arguments),
        "tap" => tap::run(arguments),
        "record" => record::run(arguments),
        _ => replay::run(arguments),
    }
}

fn usage(message: impl Into<String>) -> anyhow::Error {
    Error::new(ErrorKind::Usage, message).into()
}

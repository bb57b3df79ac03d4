//! The command line of every program, as data: `--help`, man pages and completions all come of it.

pub mod delete;
pub mod get;
pub mod incr;
pub mod list;
pub mod mmap_read;
pub mod mmap_write;
pub mod pipe;
pub mod progress;
pub mod serve;
pub mod set;
pub mod subscribe;

use clap::{Arg, ArgAction, ArgMatches, Command};
use otto_core::{Error, ErrorKind, Result, Via};
use std::time::{Duration, Instant};

/// The command lines of all programs of this package.
#[must_use]
pub fn all() -> Vec<Command> {
    vec![
        set::command(),
        get::command(),
        list::command(),
        delete::command(),
        incr::command(),
        subscribe::command(),
        progress::command(),
        pipe::command(),
        mmap_read::command(),
        mmap_write::command(),
        serve::command(),
    ]
}

/// The exit statuses, told at the end of every help.
const STATUSES: &str = "Exit status: 0 done; 1 failed; 2 usage; 3 no such key, region or stream; \
4 timed out; 5 condition not met; 6 the producer ended and the value can no longer come.";

/// A program: name, what it does in one line, and what stands at the end of its help.
fn program(name: &'static str, about: &'static str, examples: &str) -> Command {
    Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(format!("Examples:\n{examples}\n\n{STATUSES}"))
}

fn required(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(name).required(true).help(help)
}

fn optional(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(name).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).allow_hyphen_values(true).help(help)
}

fn via() -> Arg {
    let help = "Transport: socket, files or mmap [default: $OTTO_VIA, else the socket if there is one, else files]";
    Arg::new("via").long("via").value_name("T").help(help)
}

/// The text of an argument that must be there, or of an option with a default.
#[must_use]
pub fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

/// The text of an argument that may be absent.
#[must_use]
pub fn given<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// The transport named on the command line.
///
/// # Errors
/// When there is none of that name.
pub fn named_via(matches: &ArgMatches) -> Result<Option<Via>> {
    given(matches, "via").map(Via::parse).transpose()
}

/// The moment `--timeout S` ends.
///
/// # Errors
/// When that is no number of seconds.
pub fn deadline(matches: &ArgMatches) -> Result<Option<Instant>> {
    let Some(text) = given(matches, "timeout") else { return Ok(None) };
    let seconds: Option<f64> = text.parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
    let Some(seconds) = seconds else {
        let message = format!("--timeout {text:?}: give seconds, like 30 or 0.5");
        return Err(Error::new(ErrorKind::Usage, message));
    };
    // More than the clock can hold is for ever.
    let span = Duration::try_from_secs_f64(seconds).ok();
    Ok(span.and_then(|span| Instant::now().checked_add(span)))
}

/// A number given to an option or argument.
///
/// # Errors
/// When the text is none, naming `what` it was for.
pub fn number<N: std::str::FromStr>(what: &str, text: &str) -> Result<N> {
    text.parse()
        .map_err(|_| Error::new(ErrorKind::Usage, format!("{what} takes a number, not {text:?}")))
}

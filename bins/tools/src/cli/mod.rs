//! The command line of every program, as data: `--help`, man pages and completions all come of it.

mod arguments;
pub mod delete;
pub mod get;
pub mod incr;
pub mod list;
pub mod mmap_read;
pub mod mmap_write;
pub mod pipe;
mod program;
pub mod progress;
pub mod serve;
pub mod set;
pub mod subscribe;

pub use arguments::{Arguments, Given};
pub use program::{Argument, Program};

use clap::Command;
use otto_core::{Error, ErrorKind, Result, Via};
use std::time::{Duration, Instant};

/// The programs whose command lines are data.
pub static PROGRAMS: [&Program; 9] = [
    &set::SET,
    &get::GET,
    &list::LIST,
    &delete::DELETE,
    &incr::INCR,
    &subscribe::SUBSCRIBE,
    &progress::PROGRESS,
    &mmap_read::MMAP_READ,
    &mmap_write::MMAP_WRITE,
];

/// The command lines of all programs of this package, as clap knows them.
#[must_use]
pub fn all() -> Vec<Command> {
    let mut all: Vec<Command> = PROGRAMS.iter().map(|program| program.command()).collect();
    all.extend([pipe::command(), serve::command()]);
    all
}

/// The transport named on the command line.
///
/// # Errors
/// When there is none of that name.
pub fn named_via(arguments: &Arguments) -> Result<Option<Via>> {
    arguments.given("via").map(Via::parse).transpose()
}

/// The moment `--timeout S` ends.
///
/// # Errors
/// When that is no number of seconds.
pub fn deadline(arguments: &impl Given) -> Result<Option<Instant>> {
    let Some(text) = arguments.given("timeout") else { return Ok(None) };
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

//! The command line of every program, as data: `--help`, man pages and completions all come of it.

mod arguments;
pub mod barrier;
pub mod cancel;
pub mod delete;
pub mod get;
pub mod incr;
pub mod list;
pub mod lock;
pub mod mmap_read;
pub mod mmap_write;
pub mod pipe;
mod program;
pub mod progress;
pub mod publish;
pub mod serve;
pub mod set;
pub mod subscribe;

pub use arguments::{Arguments, Given};
pub use program::{Argument, Program};

use clap::Command;
use otto_core::run::{Environment, variable};
use otto_core::{Error, ErrorKind, Result, Via};
use std::time::{Duration, Instant};

/// The programs whose command lines are data.
pub static PROGRAMS: [&Program; 13] = [
    &set::SET,
    &get::GET,
    &list::LIST,
    &delete::DELETE,
    &incr::INCR,
    &subscribe::SUBSCRIBE,
    &publish::PUBLISH,
    &lock::LOCK,
    &barrier::BARRIER,
    &cancel::CANCEL,
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

/// Refuses `what` where values go by another way than the socket.
///
/// # Errors
/// Then, and where there is no transport at all.
pub fn only_over_socket(what: &str, via: Option<Via>, environment: &Environment) -> Result<()> {
    match Via::choose(via, environment)? {
        Via::Socket => Ok(()),
        Via::Files | Via::Mmap => {
            let message = format!("{what} needs the socket: leave out --via and {}", variable::VIA);
            Err(Error::new(ErrorKind::Usage, message))
        }
    }
}

/// The moment `--timeout S` ends.
///
/// # Errors
/// When that is no number of seconds.
pub fn deadline(arguments: &impl Given) -> Result<Option<Instant>> {
    let Some(text) = arguments.given("timeout") else { return Ok(None) };
    // More than the clock can hold is for ever.
    Ok(Instant::now().checked_add(seconds("--timeout", text)?))
}

/// The time given to an option, in seconds.
///
/// # Errors
/// When the text is no such time, naming `what` it was for.
pub fn seconds(what: &str, text: &str) -> Result<Duration> {
    let seconds: Option<f64> = text.parse().ok().filter(|seconds: &f64| *seconds >= 0.0);
    match seconds {
        Some(seconds) => Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)),
        None => {
            let message = format!("{what} {text:?}: give seconds, like 30 or 0.5");
            Err(Error::new(ErrorKind::Usage, message))
        }
    }
}

/// A number given to an option or argument.
///
/// # Errors
/// When the text is none, naming `what` it was for.
pub fn number<N: std::str::FromStr>(what: &str, text: &str) -> Result<N> {
    text.parse()
        .map_err(|_| Error::new(ErrorKind::Usage, format!("{what} takes a number, not {text:?}")))
}

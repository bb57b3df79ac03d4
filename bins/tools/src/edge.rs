//! Where every program begins and ends: arguments in, one line of error and an exit status out.

use crate::cli::{Arguments, Program};
use anyhow::Context;
use clap::error::ErrorKind as ClapError;
use clap::{ArgMatches, Command};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::process::ExitCode;

/// What a program's body returns: its exit status.
pub type Done = anyhow::Result<u8>;

/// Reads the arguments, runs `body`, and turns what comes of it into an exit status: the body's
/// own, 2 for a bad command line, else the error's. Errors are one line on standard error.
///
/// ```
/// // The whole of a program's `main`:
/// fn main() -> std::process::ExitCode {
///     otto_tools::run(&otto_tools::cli::list::LIST, |_arguments| Ok(0))
/// }
/// ```
#[must_use]
pub fn run(program: &'static Program, body: impl FnOnce(&Arguments) -> Done) -> ExitCode {
    match Arguments::plain(program, std::env::args_os()) {
        Some(arguments) => {
            say_bugs_in_a_line(program.name());
            finish(program.name(), body(&arguments))
        }
        None => run_command(program.command(), |matches| body(&program.arguments(matches))),
    }
}

/// [`run`] for a command line of another shape: subcommands, or words passed on.
#[must_use]
pub fn run_command(mut command: Command, body: impl FnOnce(&ArgMatches) -> Done) -> ExitCode {
    let name = command.get_name().to_owned();
    say_bugs_in_a_line(&name);
    match command.try_get_matches_from_mut(std::env::args_os()) {
        Ok(matches) => finish(&name, body(&matches)),
        Err(error) => refuse(&name, &command.render_usage().to_string(), &error),
    }
}

/// No panic reaches a user as anything but one line.
fn say_bugs_in_a_line(name: &str) {
    let name = name.to_owned();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        eprintln!("{name}: a bug{place}; please report it");
        std::process::exit(1);
    }));
}

fn finish(name: &str, done: Done) -> ExitCode {
    match done {
        Ok(status) => ExitCode::from(status),
        Err(error) => match status_of(&error) {
            0 => ExitCode::SUCCESS,
            status => {
                say(&format!("{name}: {error:#}"));
                ExitCode::from(status)
            }
        },
    }
}

/// The exit status of an error; 0 when a reader closed its end, which is no error.
fn status_of(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<io::Error>()
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        return 0;
    }
    error.downcast_ref::<otto_core::Error>().map_or(1, otto_core::Error::exit_status)
}

/// Help and version are asked for; anything else becomes one line.
fn refuse(name: &str, usage: &str, error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ClapError::DisplayHelp | ClapError::DisplayVersion) {
        return finish(name, print(error.to_string().as_bytes()).map(|()| 0));
    }
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    // An empty line parts what is wrong from what to do about it.
    let words = lines.fold(String::new(), |said, line| match line {
        "" if said.is_empty() || said.ends_with(' ') => said,
        "" => said + "; ",
        line if said.is_empty() || said.ends_with(' ') => said + line,
        line => said + " " + line,
    });
    let words = words.trim_end_matches("; ");
    let usage = usage.trim().trim_start_matches("Usage: ").lines().next().unwrap_or(name).trim();
    say(&format!("{name}: {words}; usage: {usage} (see {name} --help)"));
    ExitCode::from(2)
}

/// Writes a line to standard error in one piece: others write there too. It stays one line that no
/// terminal obeys, whatever names and messages are in it.
pub fn say(line: &str) {
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // Where even this fails nobody is left to tell.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes to standard output at once.
///
/// # Errors
/// When standard output takes no more; a reader that has gone ends the program quietly.
pub fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("can't write to standard output")
}

/// Whether whoever read standard output has gone, which a program that waits does not see by itself.
#[must_use]
pub fn is_unread() -> bool {
    let out = rustix::stdio::stdout();
    let mut out = [PollFd::new(&out, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut out, Some(&at_once)).is_ok() && out[0].revents().contains(PollFlags::ERR)
}

//! Streams bytes between running programs.

use clap::ArgMatches;
use otto_core::fifo::{self, Copied};
use otto_core::run::{Environment, variable};
use otto_core::{Error, ErrorKind};
use otto_tools::cli::{self, Given, deadline};
use otto_tools::{Done, print};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run_command(cli::pipe::command(), pipe)
}

fn pipe(arguments: &ArgMatches) -> Done {
    let environment = Environment::from_process();
    match arguments.subcommand() {
        Some(("create", arguments)) => {
            print_path(&fifo::create(environment.run_dir()?, arguments.text("NAME"))?)?;
        }
        Some(("path", arguments)) => {
            let path = fifo::path(environment.run_dir()?, arguments.text("NAME"))?;
            if !path.exists() {
                let name = arguments.text("NAME");
                let message =
                    format!("no such stream: {name}; make it with: otto-pipe create {name}");
                return Err(Error::new(ErrorKind::NotFound, message).into());
            }
            print_path(&path)?;
        }
        Some(("write", arguments)) => {
            let path = stream(
                arguments,
                &environment,
                environment.output_pipe.as_ref(),
                variable::OUTPUT_PIPE,
            )?;
            let to = fifo::open_write(&path, deadline(arguments)?, &mut || Ok(()))?;
            if let Copied::ReaderGone(bytes) = fifo::copy(std::io::stdin(), to)? {
                let message = format!("the reader has gone after {bytes} bytes; the rest is lost");
                return Err(Error::new(ErrorKind::Io, message).into());
            }
        }
        Some(("read", arguments)) => {
            let path = stream(
                arguments,
                &environment,
                environment.input_pipe.as_ref(),
                variable::INPUT_PIPE,
            )?;
            let from = fifo::open_read(&path, deadline(arguments)?, &mut || Ok(()))?;
            // A reader of ours that closes its end is no error.
            fifo::copy(from, std::io::stdout())?;
        }
        other => {
            let name = other.map_or("", |(name, _)| name);
            let message =
                format!("{name} is not built yet: there are create, path, write and read");
            return Err(Error::new(ErrorKind::Usage, message).into());
        }
    }
    Ok(0)
}

fn print_path(path: &std::path::Path) -> anyhow::Result<()> {
    let mut line = path.as_os_str().as_bytes().to_vec();
    line.push(b'\n');
    print(&line)
}

/// The stream that is named, else this task's own.
fn stream(
    arguments: &ArgMatches,
    environment: &Environment,
    own: Option<&PathBuf>,
    variable: &str,
) -> otto_core::Result<PathBuf> {
    match (arguments.given("NAME"), own) {
        (Some(name), _) => fifo::path(environment.run_dir()?, name),
        (None, Some(own)) => Ok(own.clone()),
        (None, None) => Err(Error::new(
            ErrorKind::Usage,
            format!("give a stream's NAME: this is no streaming task, {variable} is not set"),
        )),
    }
}

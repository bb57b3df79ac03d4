//! Removes a key.

use clap::ArgMatches;
use otto_core::Key;
use otto_core::run::Environment;
use otto_tools::Done;
use otto_tools::cli::{self, named_via, text};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(cli::delete::command(), delete)
}

fn delete(arguments: &ArgMatches) -> Done {
    let key = Key::parse(text(arguments, "KEY"))?;
    let mut values = otto_core::open(named_via(arguments)?, &Environment::from_process())?;
    values.delete(&key)?;
    Ok(0)
}

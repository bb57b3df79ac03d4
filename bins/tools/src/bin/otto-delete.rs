//! Removes a key.

use otto_core::Key;
use otto_core::run::Environment;
use otto_tools::Done;
use otto_tools::cli::{self, Arguments, Given, named_via};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::delete::DELETE, delete)
}

fn delete(arguments: &Arguments) -> Done {
    let key = Key::parse(arguments.text("KEY"))?;
    let mut values = otto_core::open(named_via(arguments)?, &Environment::from_process())?;
    values.delete(&key)?;
    Ok(0)
}

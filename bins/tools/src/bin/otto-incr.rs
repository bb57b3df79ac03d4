//! Adds to a number.

use otto_core::Key;
use otto_core::run::Environment;
use otto_tools::cli::{self, Arguments, Given, named_via, number};
use otto_tools::{Done, print};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::incr::INCR, increment)
}

fn increment(arguments: &Arguments) -> Done {
    let key = Key::parse(arguments.text("KEY"))?;
    let by = arguments.given("BY").map_or(Ok(1), |by| number("BY", by))?;
    let mut values = otto_core::open(named_via(arguments)?, &Environment::from_process())?;
    let sum = values.increment(&key, by)?;
    print(format!("{sum}\n").as_bytes())?;
    Ok(0)
}

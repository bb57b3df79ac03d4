//! Adds to a number.

use anyhow::Context;
use clap::ArgMatches;
use otto_core::Key;
use otto_core::run::Environment;
use otto_tools::cli::{self, given, named_via, number, text};
use otto_tools::{Done, print};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(cli::incr::command(), increment)
}

fn increment(arguments: &ArgMatches) -> Done {
    let key = Key::parse(text(arguments, "KEY"))?;
    let by = given(arguments, "BY").map_or(Ok(1), |by| number("BY", by))?;
    let mut values = otto_core::open(named_via(arguments)?, &Environment::from_process())?;
    let sum = values.increment(&key, by).with_context(|| format!("add to {key}"))?;
    print(format!("{sum}\n").as_bytes())?;
    Ok(0)
}

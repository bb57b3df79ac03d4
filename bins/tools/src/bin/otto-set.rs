//! Stores a value.

use clap::ArgMatches;
use otto_core::run::Environment;
use otto_core::{Condition, Values};
use otto_tools::cli::{self, given, named_via, number, text};
use otto_tools::{Done, read_value, spelled_after_dashes};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(cli::set::command(), set)
}

fn set(arguments: &ArgMatches) -> Done {
    let environment = Environment::from_process();
    let key = environment.own_key(text(arguments, "KEY"), arguments.get_flag("global"))?;
    let condition = match given(arguments, "if-rev") {
        Some(revision) => Condition::IfRevision(number("--if-rev", revision)?),
        None if arguments.get_flag("if-absent") => Condition::IfAbsent,
        None => Condition::Always,
    };
    let literal = spelled_after_dashes(std::env::args_os());
    let via = named_via(arguments)?;
    let value = read_value(text(arguments, "VALUE"), arguments.get_flag("json"), literal)?;
    let mut values: Box<dyn Values> = otto_core::open(via, &environment)?;
    values.set(&key, &value, condition)?;
    Ok(0)
}

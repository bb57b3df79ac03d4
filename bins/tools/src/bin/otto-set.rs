//! Stores a value.

use otto_core::run::Environment;
use otto_core::{Condition, Values};
use otto_tools::cli::{self, Arguments, Given, named_via, number};
use otto_tools::{Done, read_value, spelled_after_dashes};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::set::SET, set)
}

fn set(arguments: &Arguments) -> Done {
    let environment = Environment::from_process();
    let key = environment.own_key(arguments.text("KEY"), arguments.flag("global"))?;
    let condition = match arguments.given("if-rev") {
        Some(revision) => Condition::IfRevision(number("--if-rev", revision)?),
        None if arguments.flag("if-absent") => Condition::IfAbsent,
        None => Condition::Always,
    };
    let literal = spelled_after_dashes(std::env::args_os());
    let via = named_via(arguments)?;
    let value = read_value(arguments.text("VALUE"), arguments.flag("json"), literal)?;
    let mut values: Box<dyn Values> = otto_core::open(via, &environment)?;
    values.set(&key, &value, condition)?;
    Ok(0)
}

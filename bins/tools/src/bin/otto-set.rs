//! Stores a value, or changes several at once.

use otto_core::run::Environment;
use otto_core::socket::{Client, Operation};
use otto_core::{Condition, Error, ErrorKind, Result, Values};
use otto_tools::cli::{self, Arguments, Given, named_via, number, only_over_socket, seconds};
use otto_tools::{Done, read_batch, read_value, spelled_after_dashes};
use std::process::ExitCode;
use std::time::Duration;

const TTL_MAX: Duration = Duration::from_secs(100 * 31_557_600);

fn main() -> ExitCode {
    otto_tools::run(&cli::set::SET, set)
}

fn set(arguments: &Arguments) -> Done {
    let environment = Environment::from_process();
    if arguments.flag("batch") {
        return batch(arguments, &environment);
    }
    let key = environment.own_key(arguments.text("KEY"), arguments.flag("global"))?;
    let condition = match arguments.given("if-rev") {
        Some(revision) => Condition::IfRevision(number("--if-rev", revision)?),
        None if arguments.flag("if-absent") => Condition::IfAbsent,
        None => Condition::Always,
    };
    let ttl = arguments.given("ttl").map(time_to_live).transpose()?;
    let literal = spelled_after_dashes(std::env::args_os());
    let via = named_via(arguments)?;
    let value = read_value(arguments.text("VALUE"), arguments.flag("json"), literal)?;
    if let Some(ttl) = ttl {
        only_over_socket("--ttl", via, &environment)?;
        let set = Operation::set(&key, &value).ttl(ttl);
        let set = match condition {
            Condition::Always => set,
            Condition::IfAbsent => set.if_absent(),
            Condition::IfRevision(revision) => set.if_revision(revision),
        };
        Client::connect(environment.socket()?)?.batch(&[set])?;
        return Ok(0);
    }
    let mut values: Box<dyn Values> = otto_core::open(via, &environment)?;
    if arguments.flag("append") {
        values.append(&key, &value)?;
    } else {
        values.set(&key, &value, condition)?;
    }
    Ok(0)
}

fn time_to_live(text: &str) -> Result<Duration> {
    let ttl = seconds("--ttl", text)?;
    if ttl.is_zero() || ttl > TTL_MAX {
        let message = format!("--ttl {text}: give seconds above 0, a hundred years at most");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    Ok(ttl)
}

fn batch(arguments: &Arguments, environment: &Environment) -> Done {
    only_over_socket("--batch", named_via(arguments)?, environment)?;
    // Before standard input is read, which may take its time.
    let socket = environment.socket()?;
    let from = arguments.given("KEY").unwrap_or("-");
    let batch = read_batch(from, environment, arguments.flag("global"))?;
    batch.carry_out(&mut Client::connect(socket)?)?;
    Ok(0)
}

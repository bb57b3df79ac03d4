//! Waits until all have come.

use otto_core::run::Environment;
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Key};
use otto_tools::cli::{self, Arguments, Given, deadline, number};
use otto_tools::{Done, print};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::barrier::BARRIER, wait)
}

fn wait(arguments: &Arguments) -> Done {
    let name = Key::parse(arguments.text("NAME"))?;
    let count = number("COUNT", arguments.text("COUNT"))?;
    if count == 0 {
        let message = "COUNT 0: nobody would ever come; give 1 or more";
        return Err(Error::new(ErrorKind::Usage, message).into());
    }
    let deadline = deadline(arguments)?;
    let mut client = Client::connect(Environment::from_process().socket()?)?;
    let arrival = client.barrier(&name, count, deadline, &mut || Ok(()))?;
    if arguments.flag("number") {
        print(format!("{arrival}\n").as_bytes())?;
    }
    Ok(0)
}

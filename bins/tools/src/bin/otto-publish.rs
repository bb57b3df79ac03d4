//! Tells the subscribers of a channel.

use otto_core::Key;
use otto_core::run::Environment;
use otto_core::socket::Client;
use otto_tools::cli::{self, Arguments, Given};
use otto_tools::{Done, read_value, spelled_after_dashes};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::publish::PUBLISH, publish)
}

fn publish(arguments: &Arguments) -> Done {
    let channel = Key::parse(arguments.text("CHANNEL"))?;
    let environment = Environment::from_process();
    let socket = environment.socket()?;
    let literal = spelled_after_dashes(std::env::args_os());
    let value = read_value(arguments.text("VALUE"), arguments.flag("json"), literal)?;
    Client::connect(socket)?.publish(&channel, &value)?;
    Ok(0)
}

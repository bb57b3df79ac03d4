//! Ends a task, or a run.

use otto_core::TaskName;
use otto_core::socket::Client;
use otto_tools::cli::{self, Arguments, Given};
use otto_tools::{Done, socket_of_run};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::cancel::CANCEL, cancel)
}

fn cancel(arguments: &Arguments) -> Done {
    let task = arguments.given("TASK").map(TaskName::parse).transpose()?;
    let mut client = Client::connect(&socket_of_run(arguments)?)?;
    client.cancel(task.as_ref())?;
    Ok(0)
}

//! Reports progress, or shows it.

use otto_core::progress::Record;
use otto_core::run::Environment;
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind};
use otto_tools::cli::{self, Arguments, Given};
use otto_tools::watch::watch;
use otto_tools::{Done, say, socket_of_run};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::progress::PROGRESS, progress)
}

fn progress(arguments: &Arguments) -> Done {
    if arguments.flag("watch") {
        return watch(&socket_of_run(arguments)?);
    }
    if arguments.given("run").is_some() {
        let message = "--run goes with --watch: progress is reported to this run";
        return Err(Error::new(ErrorKind::Usage, message).into());
    }
    let environment = Environment::from_process();
    let total = arguments.text("TOTAL");
    let record = Record {
        task: environment.task_name.clone().unwrap_or_default(),
        id: arguments.text("id").into(),
        current: count("CURRENT", arguments.text("CURRENT"))?,
        total: if total == "-" { None } else { Some(count("TOTAL", total)?) },
        message: arguments.text("MESSAGE").into(),
    };
    match &environment.socket {
        Some(socket) => Client::connect(socket)?.progress(&record)?,
        None => {
            // Told to nobody else; and where nobody listens here either, that is no failure.
            say(&record.line(None));
        }
    }
    Ok(0)
}

fn count(name: &str, text: &str) -> otto_core::Result<f64> {
    match text.parse::<f64>() {
        Ok(count) if count.is_finite() && count >= 0.0 => Ok(count),
        _ => Err(Error::new(
            ErrorKind::Usage,
            format!("{name} must be a number, 0 or more, not {text:?}"),
        )),
    }
}

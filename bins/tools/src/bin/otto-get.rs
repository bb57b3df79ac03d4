//! Prints a value.

use otto_core::run::Environment;
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Json, Key, Values};
use otto_tools::cli::{self, Arguments, Given, deadline, named_via, only_over_socket};
use otto_tools::{Done, print};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    otto_tools::run(&cli::get::GET, get)
}

fn get(arguments: &Arguments) -> Done {
    let key = Key::parse(arguments.text("KEY"))?;
    let deadline = deadline(arguments)?;
    let environment = Environment::from_process();
    let via = named_via(arguments)?;
    if arguments.flag("ttl") {
        only_over_socket("--ttl", via, &environment)?;
        return time_to_live(arguments, &key, environment.socket()?);
    }
    let mut values = otto_core::open(via, &environment)?;
    let revision = arguments.flag("rev");
    let found = if arguments.flag("wait") {
        wait(&mut *values, &key, revision, deadline)
    } else {
        look(&mut *values, &key, revision)
    };
    let (number, value) = match (found, arguments.given("default")) {
        (Err(error), Some(default)) if is_absence(&error) => (0, Json::string(default)),
        (found, _) => found?,
    };
    let mut out = if revision { format!("{number}\t") } else { String::new() };
    match value.decode_string() {
        Some(text) if !arguments.flag("json") => out.push_str(&text),
        _ => out.push_str(value.as_str()),
    }
    show(arguments, out)
}

/// Waits for the value, and with `revision` for a look at its number at a moment when it is there:
/// between the wait and that look somebody may have deleted it.
fn wait(
    values: &mut dyn Values,
    key: &Key,
    revision: bool,
    deadline: Option<Instant>,
) -> otto_core::Result<(u64, Json)> {
    loop {
        let value = values.wait(key, deadline, &mut || Ok(()))?;
        if !revision {
            return Ok((0, value));
        }
        if let Some(found) = values.get_with_revision(key)? {
            return Ok(found);
        }
        // A wait that finds the key there does not look at the clock.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Error::new(ErrorKind::TimedOut, format!("timeout: {key}")));
        }
    }
}

/// Prints how long the value will still be there.
fn time_to_live(arguments: &Arguments, key: &Key, socket: &Path) -> Done {
    match (Client::connect(socket)?.ttl(key), arguments.given("default")) {
        (Ok(Some(left)), _) => show(arguments, left.as_secs_f64().to_string()),
        (Ok(None), _) => show(arguments, "never".into()),
        (Err(error), Some(default)) if is_absence(&error) => show(arguments, default.into()),
        (Err(error), _) if error.kind() == ErrorKind::NotFound => Err(absent(key).into()),
        (Err(error), _) => Err(error.into()),
    }
}

fn show(arguments: &Arguments, mut out: String) -> Done {
    if !arguments.flag("no-newline") {
        out.push('\n');
    }
    print(out.as_bytes())?;
    Ok(0)
}

fn look(values: &mut dyn Values, key: &Key, revision: bool) -> otto_core::Result<(u64, Json)> {
    let found = if revision {
        values.get_with_revision(key)?
    } else {
        values.get(key)?.map(|value| (0, value))
    };
    found.ok_or_else(|| absent(key))
}

fn absent(key: &Key) -> Error {
    let message = format!("no such key: {key}; set it, or give --default or --wait");
    Error::new(ErrorKind::NotFound, message)
}

/// Whether the value is just not there, which `--default` is for.
fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TimedOut | ErrorKind::ProducerEnded)
}

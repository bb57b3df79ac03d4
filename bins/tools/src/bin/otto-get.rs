//! Prints a value.

use otto_core::run::Environment;
use otto_core::{Error, ErrorKind, Json, Key, Values};
use otto_tools::cli::{self, Arguments, Given, deadline, named_via};
use otto_tools::{Done, print};
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::get::GET, get)
}

fn get(arguments: &Arguments) -> Done {
    let key = Key::parse(arguments.text("KEY"))?;
    let deadline = deadline(arguments)?;
    let mut values = otto_core::open(named_via(arguments)?, &Environment::from_process())?;
    let revision = arguments.flag("rev");
    let found = if arguments.flag("wait") {
        let waited = values.wait(&key, deadline, &mut || Ok(()));
        match waited {
            Ok(value) if !revision => Ok((0, value)),
            Ok(_) => look(&mut *values, &key, true),
            Err(error) => Err(error),
        }
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
    found.ok_or_else(|| {
        let message = format!("no such key: {key}; set it, or give --default or --wait");
        Error::new(ErrorKind::NotFound, message)
    })
}

/// Whether the value is just not there, which `--default` is for.
fn is_absence(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TimedOut | ErrorKind::ProducerEnded)
}

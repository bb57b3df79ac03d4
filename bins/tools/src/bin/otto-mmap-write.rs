//! Writes documents and publishes datasets.

use otto_core::region::{Dataset, DocumentStore};
use otto_core::run::{Environment, RunId};
use otto_core::{Condition, Error, ErrorKind, Json, Key, TaskName, Values};
use otto_tools::cli::{self, Arguments, Given};
use otto_tools::{Done, read_value, spelled_after_dashes};
use std::fs::File;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::mmap_write::MMAP_WRITE, write)
}

fn write(arguments: &Arguments) -> Done {
    let run = Environment::from_process().run()?;
    if let Some(name) = arguments.given("dataset") {
        publish(run, &TaskName::parse(name)?, arguments.given("TASK").unwrap_or("-"))?;
        return Ok(0);
    }
    let (Some(task), Some(key), Some(value)) =
        (arguments.given("TASK"), arguments.given("KEY"), arguments.given("VALUE"))
    else {
        let message = "give TASK KEY VALUE, or --dataset NAME (see otto-mmap-write --help)";
        return Err(Error::new(ErrorKind::Usage, message).into());
    };
    let key = Key::of_task(&TaskName::parse(task)?, key)?;
    let literal = spelled_after_dashes(std::env::args_os());
    let value = read_value(value, arguments.flag("json"), literal)?;
    DocumentStore::open(run).set(&key, &value, Condition::Always)?;
    Ok(0)
}

/// Publishes a file's bytes, or those of standard input.
fn publish(run: RunId, name: &TaskName, source: &str) -> otto_core::Result<()> {
    if source == "-" {
        Dataset::publish(run, name, &mut std::io::stdin().lock(), None, &Json::null())?;
        return Ok(());
    }
    let path = Path::new(source);
    let mut file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let found = file.metadata().map_err(|error| Error::io("look at", path, error))?;
    if found.is_dir() {
        let message = format!("{source} is a folder: give a file");
        return Err(Error::new(ErrorKind::Usage, message));
    }
    // Of anything but a plain file the size says nothing.
    let size = found.is_file().then_some(found.len());
    Dataset::publish(run, name, &mut file, size, &Json::null())?;
    Ok(())
}

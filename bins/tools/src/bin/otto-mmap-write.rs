//! Writes documents and publishes datasets.

use anyhow::Context;
use otto_core::region::{Dataset, Document, DocumentStore, Publisher, Spill};
use otto_core::run::{Environment, RunId};
use otto_core::{Condition, Error, ErrorKind, Key, TaskName, Values};
use otto_tools::cli::{self, Arguments, Given};
use otto_tools::{CopyBar, Done, read_value, spelled_after_dashes};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::mmap_write::MMAP_WRITE, write)
}

fn write(arguments: &Arguments) -> Done {
    // Asked for last: what is wrong with the command line is wrong in any run.
    let run = || Environment::from_process().run();
    let dataset = arguments.given("dataset").map(TaskName::parse).transpose()?;
    match (dataset, arguments.given("TASK")) {
        (Some(_), Some(file)) if arguments.flag("remove") => {
            return Err(usage(&format!("--remove --dataset takes no file: {file}")));
        }
        (Some(name), _) if arguments.flag("remove") => Dataset::remove(run()?, &name)?,
        (Some(name), source) => {
            let spill = if arguments.flag("spill") { Spill::WhenFull } else { Spill::Never };
            publish(run()?, &name, source.unwrap_or("-"), spill)?;
        }
        (None, Some(task)) if arguments.flag("remove") => {
            let task = TaskName::parse(task)?;
            Document::remove(run()?, &task)?;
        }
        (None, _) if arguments.flag("spill") => {
            return Err(usage("--spill is for datasets: give --dataset NAME"));
        }
        (None, None) if arguments.flag("remove") => {
            return Err(usage("what is to be removed? Give TASK, or --dataset NAME"));
        }
        (None, task) => set(run, task, arguments)?,
    }
    Ok(0)
}

fn usage(message: &str) -> anyhow::Error {
    Error::new(ErrorKind::Usage, message).into()
}

/// Sets one key of a document.
fn set(
    run: impl FnOnce() -> otto_core::Result<RunId>,
    task: Option<&str>,
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let (Some(task), Some(key), Some(value)) =
        (task, arguments.given("KEY"), arguments.given("VALUE"))
    else {
        return Err(usage("give TASK KEY VALUE, or --dataset NAME (see otto-mmap-write --help)"));
    };
    let key = Key::of_task(&TaskName::parse(task)?, key)?;
    let literal = spelled_after_dashes(std::env::args_os());
    let value = read_value(value, arguments.flag("json"), literal)?;
    DocumentStore::open(run()?).set(&key, &value, Condition::Always)?;
    Ok(())
}

/// Publishes a file's bytes, or those of standard input.
fn publish(run: RunId, name: &TaskName, source: &str, spill: Spill) -> anyhow::Result<()> {
    if source == "-" {
        let input = std::io::stdin();
        return publish_from(run, name, input.as_fd(), spill).context("standard input");
    }
    let path = Path::new(source);
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    publish_from(run, name, file.as_fd(), spill).with_context(|| source.to_owned())
}

fn publish_from(
    run: RunId,
    name: &TaskName,
    source: BorrowedFd<'_>,
    spill: Spill,
) -> otto_core::Result<()> {
    // Not while somebody is typing.
    let bar = (!source.is_terminal()).then(|| Publisher::size_of(source));
    let mut bar = bar.map(|size| CopyBar::new(name.as_str(), size));
    let progress = &mut |done| {
        if let Some(bar) = &mut bar {
            bar.tick(done);
        }
        Ok(())
    };
    Publisher::new(run, name).spill(spill).progress(progress).file(source)?;
    Ok(())
}

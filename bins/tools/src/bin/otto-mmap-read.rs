//! Reads documents and datasets.

use anyhow::Context;
use otto_core::region::{Dataset, Document, DocumentStore};
use otto_core::run::{Environment, RunId};
use otto_core::{Error, ErrorKind, Json, Key, TaskName, Values};
use otto_tools::cli::{self, Arguments, Given};
use otto_tools::{Done, print};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::mmap_read::MMAP_READ, read)
}

fn read(arguments: &Arguments) -> Done {
    let run = Environment::from_process().run()?;
    if let Some(name) = arguments.given("dataset") {
        fetch(run, &TaskName::parse(name)?, arguments.given("output"))?;
    } else if let Some(name) = arguments.given("stat") {
        print(stat(run, &TaskName::parse(name)?)?.as_bytes())?;
    } else if arguments.flag("list") {
        print(list(run)?.as_bytes())?;
    } else if let Some(task) = arguments.given("TASK") {
        let task = TaskName::parse(task)?;
        let value = match arguments.given("KEY") {
            None => Json::parse_owned(whole(run, &task)?)?,
            Some(key) => {
                let key = Key::of_task(&task, key)?;
                // Told apart: a region that is not there, and one without this key.
                Document::open(run, &task)?;
                DocumentStore::open(run).get(&key)?.ok_or_else(|| {
                    Error::new(
                        ErrorKind::NotFound,
                        format!("no such key in {task}'s document: {}", key.name()),
                    )
                })?
            }
        };
        let text = value.decode_string().filter(|_| !arguments.flag("json"));
        print(format!("{}\n", text.as_deref().unwrap_or(value.as_str())).as_bytes())?;
    }
    Ok(0)
}

/// A document's text; one that nobody has written to is the empty object.
fn whole(run: RunId, task: &TaskName) -> otto_core::Result<Vec<u8>> {
    let json = Document::open(run, task)?.read()?;
    Ok(if json.is_empty() { b"{}".to_vec() } else { json })
}

/// Copies a dataset to a file or to standard output.
fn fetch(run: RunId, name: &TaskName, output: Option<&str>) -> anyhow::Result<()> {
    let mut dataset = Dataset::open(run, name)?;
    match output {
        Some(path) => {
            let path = Path::new(path);
            let failed = |error| Error::io("write", path, error);
            let mut file = File::create(path).map_err(failed)?;
            dataset.copy_to(&mut file).map_err(failed)?;
        }
        None => {
            // Not through standard output's buffer: the kernel copies by itself between files.
            let mut out = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
            dataset.copy_to(&mut out).context("can't write to standard output")?;
        }
    }
    Ok(())
}

/// A line for each region of the run: kind, bytes, name.
fn list(run: RunId) -> otto_core::Result<String> {
    let mut out = String::new();
    for task in Document::list(run)? {
        // Gone since it was listed: not there to be told of.
        if let Ok(json) = whole(run, &task) {
            out.push_str(&format!("document\t{}\t{task}\n", json.len()));
        }
    }
    for name in Dataset::list(run)? {
        if let Ok(info) = Dataset::stat(run, &name) {
            out.push_str(&format!("dataset\t{}\t{name}\n", info.size));
        }
    }
    Ok(out)
}

/// One JSON object about a dataset, or else about a document.
fn stat(run: RunId, name: &TaskName) -> otto_core::Result<String> {
    match Dataset::stat(run, name) {
        Ok(info) => Ok(format!(
            "{{\"kind\":\"dataset\",\"name\":\"{name}\",\"bytes\":{},\"generation\":{},\"about\":{}}}\n",
            info.size, info.generation, info.about
        )),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let json = whole(run, name).map_err(|error| match error.kind() {
                ErrorKind::NotFound => Error::new(
                    ErrorKind::NotFound,
                    format!("no dataset and no document named {name}"),
                ),
                _ => error,
            })?;
            Ok(format!("{{\"kind\":\"document\",\"name\":\"{name}\",\"bytes\":{}}}\n", json.len()))
        }
        Err(error) => Err(error),
    }
}

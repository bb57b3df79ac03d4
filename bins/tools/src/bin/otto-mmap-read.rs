//! Reads documents and datasets.

use anyhow::Context;
use otto_core::region::{Dataset, Document, DocumentStore, RegionEntry, RegionKind, regions};
use otto_core::run::{Environment, Owner, RunId};
use otto_core::{Error, ErrorKind, Json, Key, TaskName, Values};
use otto_tools::cli::{self, Arguments, Given, deadline};
use otto_tools::{CopyBar, Done, print};
use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    otto_tools::run(&cli::mmap_read::MMAP_READ, read)
}

fn read(arguments: &Arguments) -> Done {
    for (option, needed) in [("output", "--dataset"), ("wait", "KEY")] {
        if arguments.given(option).is_some()
            && arguments.given(needed.trim_start_matches('-')).is_none()
        {
            let message = format!("--{option} goes with {needed} (see otto-mmap-read --help)");
            return Err(Error::new(ErrorKind::Usage, message).into());
        }
    }
    if arguments.flag("list") {
        print(list(arguments.flag("json"))?.as_bytes())?;
        return Ok(0);
    }
    let named = |what| arguments.given(what).map(TaskName::parse).transpose();
    let (dataset, stat_of, task) = (named("dataset")?, named("stat")?, named("TASK")?);
    let run = Environment::from_process().run()?;
    if let Some(name) = dataset {
        fetch(run, &name, arguments.given("output"))?;
    } else if let Some(name) = stat_of {
        stat(run, &name)?;
    } else if let Some(task) = task {
        let value = match arguments.given("KEY") {
            None => Json::parse_owned(whole(run, &task)?)?,
            Some(key) => value(run, &task, key, arguments)?,
        };
        let text = value.decode_string().filter(|_| !arguments.flag("json"));
        print(format!("{}\n", text.as_deref().unwrap_or(value.as_str())).as_bytes())?;
    }
    Ok(0)
}

/// One value of a document, now or when it comes.
fn value(run: RunId, task: &TaskName, key: &str, arguments: &Arguments) -> otto_core::Result<Json> {
    let key = Key::of_task(task, key)?;
    let mut store = DocumentStore::open(run);
    if arguments.flag("wait") {
        return store.wait(&key, deadline(arguments)?, &mut || Ok(()));
    }
    // Told apart: a region that is not there, and one without this key.
    Document::open(run, task)?;
    store.get(&key)?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("no such key in {task}'s document: {}", key.name()))
    })
}

/// A document's text; one that nobody has written to is the empty object.
fn whole(run: RunId, task: &TaskName) -> otto_core::Result<Vec<u8>> {
    let json = Document::open(run, task)?.read()?;
    Ok(if json.is_empty() { b"{}".to_vec() } else { json })
}

/// Copies a dataset to a file or to standard output.
fn fetch(run: RunId, name: &TaskName, output: Option<&str>) -> anyhow::Result<()> {
    let dataset = Dataset::open(run, name)?;
    match output.filter(|path| *path != "-") {
        Some(path) => {
            let file = create(Path::new(path), &dataset)?;
            copy(&dataset, name, file.as_fd(), true).with_context(|| path.to_owned())
        }
        None => {
            let out = std::io::stdout();
            let bar = !out.is_terminal();
            match copy(&dataset, name, out.as_fd(), bar) {
                // A reader that has seen enough.
                Err(error) if is_closed_pipe(&error) => Ok(()),
                copied => copied.context("can't write to standard output"),
            }
        }
    }
}

/// Makes or empties the file `path`; not where that is a region, whose readers would be killed.
fn create(path: &Path, dataset: &Dataset) -> otto_core::Result<File> {
    let failed = |error| Error::io("write", path, error);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let is = |other: &Path| {
        let other = std::fs::metadata(other);
        other.is_ok_and(|other| (other.dev(), other.ino()) == (found.dev(), found.ino()))
    };
    let refused = |what| {
        let message = format!("{} is {what}: give another file", path.display());
        Err(Error::new(ErrorKind::Usage, message))
    };
    if is(dataset.path()) {
        return refused("the dataset itself");
    }
    let is_of = |region: RegionEntry| match region.kind {
        RegionKind::Dataset => is(&region.run.dataset_path(&region.name)),
        RegionKind::Document => is(&region.run.document_path(&region.name)),
    };
    if regions()?.into_iter().any(is_of) {
        return refused("a region");
    }
    if found.is_file() {
        file.set_len(0).map_err(failed)?;
    }
    Ok(file)
}

fn copy(
    dataset: &Dataset,
    name: &TaskName,
    out: BorrowedFd<'_>,
    bar: bool,
) -> otto_core::Result<()> {
    let mut bar = bar.then(|| CopyBar::new(name.as_str(), Some(dataset.info().size)));
    dataset.copy_to(out, &mut |done| {
        if let Some(bar) = &mut bar {
            bar.tick(done);
        }
        Ok(())
    })
}

fn is_closed_pipe(error: &Error) -> bool {
    error.io_source().is_some_and(|source| source.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A line for each region of this user: run, name, kind, bytes, owner; or one JSON array.
fn list(json: bool) -> otto_core::Result<String> {
    let mut out = String::new();
    for region in regions()? {
        let kind = match region.kind {
            RegionKind::Document => "document",
            RegionKind::Dataset => "dataset",
        };
        let owner = match region.owner {
            Owner::Alive => "alive",
            Owner::Dead => "dead",
            Owner::Unknown => "unknown",
        };
        let RegionEntry { run, name, size, on_disk, .. } = region;
        if json {
            out.push_str(if out.is_empty() { "[" } else { "," });
            out.push_str(&format!(
                "{{\"run\":{run},\"name\":\"{name}\",\"kind\":\"{kind}\",\"bytes\":{size},\
                 \"on_disk\":{on_disk},\"owner\":\"{owner}\"}}"
            ));
        } else {
            out.push_str(&format!("{run}\t{name}\t{kind}\t{size}\t{owner}\n"));
        }
    }
    Ok(match (json, out.is_empty()) {
        (true, true) => "[]\n".to_owned(),
        (true, false) => out + "]\n",
        _ => out,
    })
}

/// Prints a JSON object about the dataset `name` and one about the document, a line each; also of
/// one where the other is damaged.
fn stat(run: RunId, name: &TaskName) -> anyhow::Result<()> {
    let told = [stat_dataset(run, name), stat_document(run, name)];
    let is_missing = |told: &otto_core::Result<String>| {
        told.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    if told.iter().all(is_missing) {
        let message = format!("no dataset and no document named {name}");
        return Err(Error::new(ErrorKind::NotFound, message).into());
    }
    print(told.iter().flatten().map(String::as_str).collect::<String>().as_bytes())?;
    let damaged = told.into_iter().filter(|told| !is_missing(told)).find_map(Result::err);
    damaged.map_or(Ok(()), |error| Err(error.into()))
}

fn stat_dataset(run: RunId, name: &TaskName) -> otto_core::Result<String> {
    let info = Dataset::stat(run, name)?;
    let path = Json::string(&run.dataset_path(name).to_string_lossy());
    Ok(format!(
        "{{\"kind\":\"dataset\",\"name\":\"{name}\",\"bytes\":{},\"generation\":{},\
         \"about\":{},\"offset\":{},\"on_disk\":{},\"path\":{path}}}\n",
        info.size, info.generation, info.about, info.offset, info.on_disk
    ))
}

fn stat_document(run: RunId, name: &TaskName) -> otto_core::Result<String> {
    let stat = Document::open(run, name)?.stat()?;
    let writer = stat.writer.map_or("null".to_owned(), |writer| writer.to_string());
    Ok(format!(
        "{{\"kind\":\"document\",\"name\":\"{name}\",\"bytes\":{},\"size\":{},\
         \"generation\":{},\"writer\":{writer},\"writer_alive\":{}}}\n",
        stat.size, stat.capacity, stat.generation, stat.writer_alive
    ))
}

//! The Rust side of the language pairs: what a task written in Rust against otto-core does.
//!
//! ```text
//! rust-client write FOLDER    stores every value of FOLDER
//! rust-client read FOLDER OUT reads them into OUT
//! rust-client send FOLDER     sends every value as a record
//! rust-client receive OUT     receives records into OUT
//! rust-client increment KEY N adds 1, N times
//! ```
#![allow(missing_docs)]

use otto_core::run::Environment;
use otto_core::{Condition, Error, ErrorKind, Json, Key, Result, Values, fifo, open};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["write", folder] => write(Path::new(folder)),
        ["read", folder, out] => read(Path::new(folder), Path::new(out)),
        ["send", folder] => send(Path::new(folder)),
        ["receive", out] => receive(Path::new(out)),
        ["increment", key, times] => increment(key, times.parse().unwrap_or(0)),
        _ => Err(Error::new(ErrorKind::Usage, "see the source for the usage")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rust-client: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn store() -> Result<Box<dyn Values>> {
    open(None, &Environment::from_process())
}

/// The values of `folder`: name, JSON, and the bare text of those that are strings.
fn values(folder: &Path) -> Result<Vec<(String, Json, Option<String>)>> {
    let entries = fs::read_dir(folder).map_err(|error| Error::io("list", folder, error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let json = fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
        Ok((name, Json::parse_bytes(&json)?, fs::read_to_string(path.with_extension("txt")).ok()))
    };
    paths.into_iter().map(read).collect()
}

fn write(folder: &Path) -> Result<()> {
    let mut store = store()?;
    for (name, json, text) in values(folder)? {
        let value = text.map_or(json, |text| Json::string(&text));
        store.set(&Key::parse(&format!("pair.{name}"))?, &value, Condition::Always)?;
    }
    Ok(())
}

fn read(folder: &Path, out: &Path) -> Result<()> {
    let mut store = store()?;
    for (name, _, _) in values(folder)? {
        let key = Key::parse(&format!("pair.{name}"))?;
        let missing = || Error::new(ErrorKind::NotFound, format!("no {key}"));
        keep(out, &name, &store.get(&key)?.ok_or_else(missing)?)?;
    }
    Ok(())
}

/// Writes a value as `name.json`, and what a string holds as `name.txt`.
fn keep(out: &Path, name: &str, value: &Json) -> Result<()> {
    let put = |extension: &str, text: &str| {
        let path = out.join(format!("{name}.{extension}"));
        fs::write(&path, text).map_err(|error| Error::io("write", &path, error))
    };
    put("json", value.as_str())?;
    value.decode_string().map_or(Ok(()), |text| put("txt", &text))
}

fn send(folder: &Path) -> Result<()> {
    let pipe = Environment::from_process().output_pipe.unwrap_or_default();
    let mut stream = fifo::open_write(&pipe, None, &mut || Ok(()))?;
    for (_, json, _) in values(folder)? {
        writeln!(stream, "{}", json.as_str())
            .map_err(|error| Error::io("write to", &pipe, error))?;
    }
    Ok(())
}

fn receive(out: &Path) -> Result<()> {
    let pipe = Environment::from_process().input_pipe.unwrap_or_default();
    let stream = fifo::open_read(&pipe, None, &mut || Ok(()))?;
    for (number, line) in BufReader::new(stream).lines().enumerate() {
        let line = line.map_err(|error| Error::io("read", &pipe, error))?;
        keep(out, &format!("{number:02}"), &Json::parse(&line)?)?;
    }
    Ok(())
}

fn increment(key: &str, times: u32) -> Result<()> {
    let mut store = store()?;
    let key = Key::parse(key)?;
    (0..times).try_for_each(|_| store.increment(&key, 1).map(drop))
}

//! A task's values, by whichever transport it set them, brought together when it has ended.

use otto_core::region::Document;
use otto_core::run::RunId;
use otto_core::socket::Handle;
use otto_core::{ErrorKind, Key, Object, Result, TaskName, files};
use std::path::Path;

/// Writes all that `task` set into its `output.<task>.json`, and makes what it set past the server
/// known there, so that later tasks see it by whatever transport they ask. Of a name set by
/// several the server's value counts before the document's, and that before the file's.
pub(crate) fn keep(run: RunId, server: &Handle, task: &TaskName, folder: &Path) -> Result<()> {
    let path = folder.join(format!("output.{task}.json"));
    let in_file = files::read(&path)?;
    let in_document = document(run, task)?;
    let in_store = server.task_values(task)?;
    for (name, value) in in_document.iter().chain(in_file.iter()) {
        let wins = |other: &Object| other.get(name).is_none_or(|winner| winner == value);
        if wins(&in_document) && !in_store.iter().any(|(known, _)| known == name) {
            // A name that only a file can hold is in the file, which is where it came from.
            if let Ok(key) = Key::of_task(task, name) {
                server.set(&key, value)?;
            }
        }
    }
    if in_document.is_empty() && in_store.is_empty() && (!in_file.is_empty() || path.exists()) {
        return Ok(());
    }
    if in_document.is_empty() && in_store.is_empty() {
        // Nothing to lose, so nothing that has to be safe against a crash.
        return crate::workspace::write_new(&path, "{}\n")
            .map_err(|error| otto_core::Error::io("create", &path, error));
    }
    files::update(&path, |object| {
        for (name, value) in in_document.iter() {
            object.set(name, value.clone());
        }
        for (name, value) in in_store {
            object.set(&name, value);
        }
        Ok(())
    })
}

fn document(run: RunId, task: &TaskName) -> Result<Object> {
    let bytes = match Document::open(run, task).and_then(|mut document| document.read()) {
        Ok(bytes) => bytes,
        // The task may have removed it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Object::new()),
        Err(error) => return Err(error),
    };
    Object::parse(&bytes)
}

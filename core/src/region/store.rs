//! Values in documents, one document a task.

use super::document::{Document, SIZE_DEFAULT};
use crate::error::{ErrorKind, Result};
use crate::json::Json;
use crate::key::TaskName;
use crate::object::Object;
use crate::objects::{Objects, not_an_object};
use crate::run::{RunId, SHARED_MEMORY};
use crate::watch::Watch;
use std::collections::HashMap;
use std::path::Path;

/// Values in the documents of a run. A task's document is made when its first value is set.
///
/// ```
/// use otto_core::{Condition, Json, Key, Values, region::DocumentStore, run::{Descendants, Run}};
/// let run = Run::create(Descendants::Left).unwrap();
/// let mut documents = DocumentStore::open(run.id());
/// let key = Key::parse("build.count").unwrap();
/// assert_eq!(documents.get(&key).unwrap(), None);
/// documents.set(&key, &Json::number(41), Condition::Always).unwrap();
/// assert_eq!(documents.increment(&key, 1).unwrap(), 42);
/// ```
#[derive(Debug)]
pub struct DocumentStore {
    run: RunId,
    documents: HashMap<TaskName, Document>,
}

impl DocumentStore {
    /// The documents of `run`; nothing is opened or made yet.
    #[must_use]
    pub fn open(run: RunId) -> DocumentStore {
        DocumentStore { run, documents: HashMap::new() }
    }

    /// The document of `task`, opened where it is there and not open yet.
    fn document(&mut self, task: &TaskName) -> Result<Option<&mut Document>> {
        if !self.documents.contains_key(task) {
            match Document::open(self.run, task) {
                Ok(document) => drop(self.documents.insert(task.clone(), document)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(self.documents.get_mut(task))
    }

    /// Calls `look` with the text of `task`'s document, empty when there is none.
    fn look<R>(&mut self, task: &TaskName, look: impl FnOnce(&[u8]) -> Result<R>) -> Result<R> {
        let Some(document) = self.document(task)? else { return look(b"") };
        match document.snapshot() {
            Ok(json) => {
                look(json).map_err(|error| not_an_object(&self.run.document_path(task), &error))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.documents.remove(task);
                look(b"")
            }
            Err(error) => Err(error),
        }
    }
}

impl Objects for DocumentStore {
    fn tasks(&mut self) -> Result<Vec<TaskName>> {
        Document::list(self.run)
    }

    fn find(&mut self, task: &TaskName, name: &str) -> Result<Option<Json>> {
        self.look(task, |bytes| Object::find(bytes, name))
    }

    fn read(&mut self, task: &TaskName) -> Result<Object> {
        self.look(task, Object::parse)
    }

    fn update<R>(
        &mut self,
        task: &TaskName,
        change: impl FnOnce(&mut Object) -> Result<R>,
    ) -> Result<R> {
        if let Some(document) = self.documents.get_mut(task) {
            return document.update_or_create(change);
        }
        let mut document = Document::create(self.run, task, SIZE_DEFAULT)?;
        let result = document.update_or_create(change);
        self.documents.insert(task.clone(), document);
        result
    }

    fn watch(&mut self, task: &TaskName, watch: &Watch) {
        // One that fails is told of by the look that follows.
        match self.document(task).map(|document| document.map(Document::listen)) {
            Ok(Some(Ok(bell))) => watch.doorbell(bell),
            _ => watch.arrivals(Path::new(SHARED_MEMORY)),
        }
    }
}

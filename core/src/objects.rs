//! The rules that files and documents share: one JSON object a task, one key in it a value.

use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::{Key, NO_TASK, Pattern, TaskName};
use crate::limits::{DOCUMENT_BYTES_MAX, VALUE_BYTES_MAX};
use crate::object::Object;
use crate::values::{Condition, Tick, Values, appended, incremented};
use crate::watch::{self, Watch};
use std::path::Path;
use std::time::Instant;

/// Where objects are kept by task.
pub(crate) trait Objects {
    /// The tasks that have an object, in any order.
    fn tasks(&mut self) -> Result<Vec<TaskName>>;

    /// The value of `name` in `task`'s object; `None` too when there is no object.
    fn find(&mut self, task: &TaskName, name: &str) -> Result<Option<Json>>;

    /// `task`'s object; empty when there is none.
    fn read(&mut self, task: &TaskName) -> Result<Object>;

    /// Changes `task`'s object so that nobody else's change is lost; an error changes nothing.
    fn update<R>(
        &mut self,
        task: &TaskName,
        change: impl FnOnce(&mut Object) -> Result<R>,
    ) -> Result<R>;

    /// Names what to watch for a change of `task`'s object.
    fn watch(&mut self, task: &TaskName, watch: &Watch);
}

impl<T: Objects> Values for T {
    fn set(&mut self, key: &Key, value: &Json, condition: Condition) -> Result<()> {
        if let Condition::IfRevision(_) = condition {
            return Err(no_revisions());
        }
        check_value(key, value)?;
        self.update(&key.task_name()?, |object| {
            if condition == Condition::IfAbsent && object.get(key.name()).is_some() {
                return Err(Error::new(ErrorKind::Condition, format!("exists: {key}")));
            }
            object.set(key.name(), value.clone());
            Ok(())
        })
    }

    fn get(&mut self, key: &Key) -> Result<Option<Json>> {
        self.find(&key.task_name()?, key.name())
    }

    fn get_with_revision(&mut self, _: &Key) -> Result<Option<(u64, Json)>> {
        Err(no_revisions())
    }

    fn list(&mut self, pattern: &Pattern) -> Result<Vec<String>> {
        let tasks = match pattern.literal() {
            Some(literal) => match Key::parse(literal).and_then(|key| key.task_name()) {
                Ok(task) => vec![task],
                // Not a key a task could have: nothing can match.
                Err(_) => Vec::new(),
            },
            None => self.tasks()?,
        };
        let mut keys = Vec::new();
        for task in tasks {
            let object = self.read(&task)?;
            keys.extend(
                object
                    .iter()
                    .filter_map(|(name, _)| key_of(&task, name))
                    .filter(|key| pattern.matches(key.as_str()))
                    .map(|key| key.as_str().to_owned()),
            );
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn delete(&mut self, key: &Key) -> Result<()> {
        let task = key.task_name()?;
        // Looked at first, so that a miss creates neither file nor document.
        if self.find(&task, key.name())?.is_none() {
            return Err(Error::not_found(key.as_str()));
        }
        self.update(&task, |object| match object.remove(key.name()) {
            true => Ok(()),
            false => Err(Error::not_found(key.as_str())),
        })
    }

    fn increment(&mut self, key: &Key, by: i64) -> Result<i64> {
        self.update(&key.task_name()?, |object| {
            let sum = incremented(object.get(key.name()), by)
                .map_err(|error| Error::new(error.kind(), format!("{key}: {error}")))?;
            object.set(key.name(), Json::number(sum));
            Ok(sum)
        })
    }

    fn append(&mut self, key: &Key, value: &Json) -> Result<u64> {
        check_value(key, value)?;
        self.update(&key.task_name()?, |object| {
            let (list, length) = appended(object.get(key.name()), value)
                .map_err(|error| Error::new(error.kind(), format!("{key}: {error}")))?;
            check_value(key, &list)?;
            object.set(key.name(), list);
            Ok(length)
        })
    }

    fn wait(&mut self, key: &Key, deadline: Option<Instant>, tick: Tick<'_>) -> Result<Json> {
        let task = key.task_name()?;
        let found = watch::until(deadline, tick, |watch| {
            self.watch(&task, watch);
            self.find(&task, key.name())
        })?;
        found.ok_or_else(|| Error::timed_out(key.as_str()))
    }
}

/// Refuses a value that is larger than any may be.
fn check_value(key: &Key, value: &Json) -> Result<()> {
    let size = value.as_str().len();
    if size <= VALUE_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "{key}: a value of {size} bytes is above the limit of {VALUE_BYTES_MAX}: publish it as a \
         dataset"
    );
    Err(Error::new(ErrorKind::TooLarge, message))
}

/// The key of `name` in `task`'s object; a script may have put names there that are no keys, or
/// another task's.
fn key_of(task: &TaskName, name: &str) -> Option<Key> {
    if task.as_str() == NO_TASK && name.contains('.') {
        return None;
    }
    Key::of_task(task, name).ok()
}

/// Neither files nor documents number their writes.
fn no_revisions() -> Error {
    Error::usage("revisions (--rev, --if-rev) need the socket: leave out --via")
}

/// Refuses an object whose text outgrew the limit.
pub(crate) fn check_size(path: &Path, size: usize) -> Result<()> {
    if size <= DOCUMENT_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!(
            "{} would grow to {size} bytes, above the limit of {DOCUMENT_BYTES_MAX}: \
             delete keys or publish large values as datasets",
            path.display()
        ),
    ))
}

/// What stands at `path` is no JSON object: `error` says where it stops being one.
pub(crate) fn not_an_object(path: &Path, error: &Error) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("{} holds no JSON object ({error}): mend or remove it", path.display()),
    )
}

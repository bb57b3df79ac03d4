//! Which file belongs to which task.

use super::replace::{find, read, update};
use crate::error::{Error, ErrorKind, Result};
use crate::json::Json;
use crate::key::TaskName;
use crate::object::Object;
use crate::objects::Objects;
use crate::watch::Watch;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Values in the files of a task's folder.
///
/// The task's own values are in `output.<task>.json` there. Another task's are read from
/// `input.<task>.json` when that is there; otherwise from the other task's folder beside this one,
/// when this folder bears its task's name as under `otto-run`; otherwise from
/// `output.<task>.json` here. Writing never goes through an `input` file.
///
/// ```
/// use otto_core::{Condition, Json, Key, Values, files::FileStore};
/// let folder = tempfile::tempdir().unwrap();
/// let mut files = FileStore::open(folder.path(), None).unwrap();
/// let key = Key::parse("build.version").unwrap();
/// files.set(&key, &Json::string("1.10"), Condition::Always).unwrap();
/// assert_eq!(files.get(&key).unwrap(), Some(Json::string("1.10")));
/// let text = std::fs::read_to_string(folder.path().join("output.build.json")).unwrap();
/// assert_eq!(text, "{\"version\":\"1.10\"}\n");
/// ```
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    own: Option<TaskName>,
    /// Where the folders of the other tasks stand, when they do.
    beside: Option<PathBuf>,
}

impl FileStore {
    /// The files of `folder`, which belongs to the task `own`, if to any.
    ///
    /// # Errors
    /// [`ErrorKind::NoRun`] when there is no such folder.
    pub fn open(folder: &Path, own: Option<TaskName>) -> Result<FileStore> {
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(no_folder(folder, "is not a folder")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(no_folder(folder, "does not exist"));
            }
            Err(error) => return Err(Error::io("open", folder, error)),
        }
        let named_after_task = own.as_ref().is_some_and(|own| {
            folder
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes() == own.as_str().as_bytes())
        });
        let beside = named_after_task.then(|| folder.parent()).flatten().map(|parent| {
            // The parent of a bare name is "", which can be joined to but not listed.
            if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() }
        });
        Ok(FileStore { folder: folder.to_owned(), own, beside })
    }

    /// The file that `task`'s values are written to.
    #[must_use]
    pub fn output_path(&self, task: &TaskName) -> PathBuf {
        let name = format!("output.{task}.json");
        if self.own.as_ref() != Some(task)
            && let Some(folder) = self.folder_beside(task)
        {
            return folder.join(name);
        }
        self.folder.join(name)
    }

    /// The file that `task`'s values are read from.
    #[must_use]
    pub fn input_path(&self, task: &TaskName) -> PathBuf {
        if self.own.as_ref() != Some(task) {
            let input = self.folder.join(format!("input.{task}.json"));
            // A link counts even while the file it leads to is still to be written.
            if fs::symlink_metadata(&input).is_ok() {
                return input;
            }
        }
        self.output_path(task)
    }

    fn folder_beside(&self, task: &TaskName) -> Option<PathBuf> {
        let folder = self.beside.as_ref()?.join(task.as_str());
        folder.is_dir().then_some(folder)
    }
}

fn no_folder(folder: &Path, what: &str) -> Error {
    Error::new(
        ErrorKind::NoRun,
        format!("the task's folder {} {what}: create it or set OTTO_TASK_DIR", folder.display()),
    )
}

/// The task named in `output.<task>.json` or `input.<task>.json`.
fn task_of_file(name: &str) -> Option<TaskName> {
    let rest = name.strip_prefix("output.").or_else(|| name.strip_prefix("input."))?;
    TaskName::parse(rest.strip_suffix(".json")?).ok()
}

impl Objects for FileStore {
    fn tasks(&mut self) -> Result<Vec<TaskName>> {
        let mut tasks = BTreeSet::new();
        let entries =
            fs::read_dir(&self.folder).map_err(|error| Error::io("list", &self.folder, error))?;
        for entry in entries.flatten() {
            tasks.extend(entry.file_name().to_str().and_then(task_of_file));
        }
        // The folder above may be closed to us; then there is nothing to read beside this one.
        if let Some(Ok(entries)) = self.beside.as_ref().map(fs::read_dir) {
            for entry in entries.flatten() {
                tasks
                    .extend(entry.file_name().to_str().and_then(|name| TaskName::parse(name).ok()));
            }
        }
        Ok(tasks.into_iter().collect())
    }

    fn find(&mut self, task: &TaskName, name: &str) -> Result<Option<Json>> {
        find(&self.input_path(task), name)
    }

    fn read(&mut self, task: &TaskName) -> Result<Object> {
        read(&self.input_path(task))
    }

    fn update<R>(
        &mut self,
        task: &TaskName,
        change: impl FnOnce(&mut Object) -> Result<R>,
    ) -> Result<R> {
        update(&self.output_path(task), change)
    }

    fn watch(&mut self, task: &TaskName, watch: &Watch) {
        watch.folder(&self.folder);
        if let Some(beside) = &self.beside {
            watch.arrivals(beside);
        }
        let path = self.input_path(task);
        // An input link leads to a file in another folder: that is where it will be replaced.
        let target = fs::read_link(&path).map(|target| self.folder.join(target)).unwrap_or(path);
        if let Some(folder) = target.parent().filter(|folder| *folder != self.folder) {
            watch.folder(folder);
        }
    }
}

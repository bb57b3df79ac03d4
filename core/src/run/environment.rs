//! The environment contract: what a task finds in its variables.

use super::{RunId, ending};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, TaskName};
use std::env;
use std::path::{Path, PathBuf};

/// The names of the variables.
pub mod variable {
    /// The run ID.
    pub const RUN_ID: &str = "OTTO_RUN_ID";
    /// Private folder of the run.
    pub const RUN_DIR: &str = "OTTO_RUN_DIR";
    /// Path of the server's socket.
    pub const SOCKET: &str = "OTTO_SOCKET";
    /// This task's name.
    pub const TASK_NAME: &str = "OTTO_TASK_NAME";
    /// This task's name, as the original Otto calls it.
    pub const TASK: &str = "OTTO_TASK";
    /// This task's folder.
    pub const TASK_DIR: &str = "OTTO_TASK_DIR";
    /// The stream a streaming task reads.
    pub const INPUT_PIPE: &str = "OTTO_INPUT_PIPE";
    /// The stream a streaming task writes.
    pub const OUTPUT_PIPE: &str = "OTTO_OUTPUT_PIPE";
    /// Default transport: `socket`, `files` or `mmap`.
    pub const VIA: &str = "OTTO_VIA";
    /// Path of `otto.sh`.
    pub const OTTO_SH: &str = "OTTO_SH";

    /// Every variable of the contract.
    pub const ALL: [&str; 10] =
        [RUN_ID, RUN_DIR, SOCKET, TASK_NAME, TASK, TASK_DIR, INPUT_PIPE, OUTPUT_PIPE, VIA, OTTO_SH];
}

/// What the variables say; an empty variable counts as unset.
///
/// ```
/// use otto_core::run::Environment;
/// let environment = Environment {
///     task_name: Some("build".into()),
///     ..Environment::default()
/// };
/// assert_eq!(environment.own_key("version", false).unwrap().as_str(), "build.version");
/// assert_eq!(environment.own_key("version", true).unwrap().as_str(), "version");
/// assert!(environment.socket().is_err());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `OTTO_RUN_ID`, as text.
    pub run_id: Option<String>,
    /// `OTTO_RUN_DIR`
    pub run_dir: Option<PathBuf>,
    /// `OTTO_SOCKET`
    pub socket: Option<PathBuf>,
    /// `OTTO_TASK_NAME`, else `OTTO_TASK`.
    pub task_name: Option<String>,
    /// `OTTO_TASK_DIR`
    pub task_dir: Option<PathBuf>,
    /// `OTTO_INPUT_PIPE`
    pub input_pipe: Option<PathBuf>,
    /// `OTTO_OUTPUT_PIPE`
    pub output_pipe: Option<PathBuf>,
    /// `OTTO_VIA`, as text.
    pub via: Option<String>,
    /// `XDG_RUNTIME_DIR`, where the folders of runs belong.
    pub runtime_dir: Option<PathBuf>,
}

impl Environment {
    /// Reads this process's variables. Nothing else in this crate does: where other threads change
    /// them, as Python's do, it is enough to keep them from it during this call.
    #[must_use]
    pub fn from_process() -> Environment {
        let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // What is not UTF-8 must not count as unset: it is refused by whoever needs it.
        let text = |name| {
            let value = env::var_os(name).filter(|value| !value.is_empty())?;
            Some(value.to_string_lossy().into_owned())
        };
        Environment {
            run_id: text(variable::RUN_ID),
            run_dir: path(variable::RUN_DIR),
            socket: path(variable::SOCKET),
            task_name: text(variable::TASK_NAME).or_else(|| text(variable::TASK)),
            task_dir: path(variable::TASK_DIR),
            input_pipe: path(variable::INPUT_PIPE),
            output_pipe: path(variable::OUTPUT_PIPE),
            via: text(variable::VIA),
            runtime_dir: path("XDG_RUNTIME_DIR"),
        }
    }

    /// The run.
    ///
    /// # Errors
    /// [`ErrorKind::NoRun`] without one, [`ErrorKind::Usage`] when the variable is no number.
    pub fn run(&self) -> Result<RunId> {
        let Some(text) = &self.run_id else { return Err(missing(variable::RUN_ID)) };
        let run = RunId::parse(text)?;
        let folder = self.run_dir.as_deref().and_then(Path::file_name);
        ending::note_told(run, folder.is_some_and(|folder| folder == run.to_string().as_str()));
        Ok(run)
    }

    /// The socket's path.
    ///
    /// # Errors
    /// [`ErrorKind::NoRun`] without one.
    pub fn socket(&self) -> Result<&PathBuf> {
        self.socket.as_ref().ok_or_else(|| missing(variable::SOCKET))
    }

    /// The run's private folder.
    ///
    /// # Errors
    /// [`ErrorKind::NoRun`] without one.
    pub fn run_dir(&self) -> Result<&PathBuf> {
        self.run_dir.as_ref().ok_or_else(|| missing(variable::RUN_DIR))
    }

    /// The folder of streams with a name: the run's, else one of this user's outside all runs, made
    /// where it is missing.
    ///
    /// # Errors
    /// [`ErrorKind::NoRun`] when the run has ended, [`ErrorKind::Io`] when the folder is not ours.
    pub fn streams_dir(&self) -> Result<PathBuf> {
        let Some(dir) = &self.run_dir else {
            return super::directory::of_streams(self.runtime_dir.as_deref());
        };
        if dir.is_dir() {
            return Ok(dir.clone());
        }
        let message = format!(
            "no run here any more: {} is {}, which is gone; unset it for a stream outside all runs",
            variable::RUN_DIR,
            dir.display()
        );
        Err(Error::new(ErrorKind::NoRun, message))
    }

    /// This task's name, checked; `None` outside a task.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when the variable holds no task name.
    pub fn task(&self) -> Result<Option<TaskName>> {
        let task = self.task_name.as_deref().map(TaskName::parse).transpose();
        task.map_err(|error| Error::usage(format!("{}: {error}", variable::TASK_NAME)))
    }

    /// The key that setting `name` here means: this task's, unless `global` or outside a task.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when that is no key.
    pub fn own_key(&self, name: &str, global: bool) -> Result<Key> {
        // Checked by itself first, so that a message shows what the user wrote.
        let key = Key::parse(name)?;
        match if global { None } else { self.task()? } {
            Some(task) => Key::parse(&format!("{task}.{name}")),
            None => Ok(key),
        }
    }
}

/// Says what is missing and how to get it.
fn missing(name: &str) -> Error {
    Error::new(
        ErrorKind::NoRun,
        format!("no run here: {name} is not set; start one with: otto-serve -- your-command"),
    )
}

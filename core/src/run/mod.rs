//! A run: its number, its folders, its environment, who owns it and how it is cleaned up.

mod descriptors;
mod directory;
mod ending;
mod environment;
mod installation;
mod live;
mod ownership;
mod processes;
mod remains;

pub use descriptors::{DescriptorLimit, HeldLimit};
pub use environment::{Environment, variable};
pub use installation::Installation;
pub use live::{LiveRun, live_run, live_runs};
pub(crate) use ownership::still_there;
pub use ownership::{Descendants, Owner, Run, owner_of};
pub(crate) use processes::was_running;
pub use processes::{Process, processes_by_task, processes_of};
pub use remains::clean_dead_runs;

pub(crate) use descriptors::raise as raise_descriptors;
pub(crate) use directory::{find_spilled, make_spilled, spilled};
pub(crate) use ending::Belonging;

use crate::error::{Error, Result};
use crate::key::TaskName;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where regions and ownership locks live: memory, shared by every process of the machine.
pub const SHARED_MEMORY: &str = "/dev/shm";

/// The number of a run: the process ID of its tasks' parent.
///
/// ```
/// use otto_core::run::RunId;
/// let run = RunId::parse("4711").unwrap();
/// assert_eq!(run.lock_path().to_str(), Some("/dev/shm/.otto-4711.lock"));
/// assert!(RunId::parse("-1").is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub u64);

impl RunId {
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) when the text is no decimal number.
    pub fn parse(text: &str) -> Result<RunId> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Ok(RunId(number)),
            _ => Err(Error::usage(format!("OTTO_RUN_ID is {text:?}: it must be a number"))),
        }
    }

    /// The document of `task`: `/dev/shm/otto-<run>-<task>`.
    #[must_use]
    pub fn document_path(self, task: &TaskName) -> PathBuf {
        Path::new(SHARED_MEMORY).join(format!("otto-{self}-{task}"))
    }

    /// The control file of `task`'s document: `/dev/shm/.otto-<run>-<task>.ctl`.
    #[must_use]
    pub fn control_path(self, task: &TaskName) -> PathBuf {
        Path::new(SHARED_MEMORY).join(format!(".otto-{self}-{task}.ctl"))
    }

    /// The dataset `name`: `/dev/shm/otto-<run>.ds-<name>`.
    #[must_use]
    pub fn dataset_path(self, name: &TaskName) -> PathBuf {
        Path::new(SHARED_MEMORY).join(format!("otto-{self}.ds-{name}"))
    }

    /// The file whose `flock` the owner holds for its lifetime.
    #[must_use]
    pub fn lock_path(self) -> PathBuf {
        Path::new(SHARED_MEMORY).join(format!(".otto-{self}.lock"))
    }

    /// Where the seed looks for the socket: a link, made only where nothing stands in its place.
    #[must_use]
    pub fn socket_link(self) -> PathBuf {
        PathBuf::from(format!("/tmp/otto-{self}.sock"))
    }
}

/// The private folder of `run`, if its owner runs with the same `$XDG_RUNTIME_DIR` as we do.
///
/// # Errors
/// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none.
pub fn folder_of(run: RunId) -> Result<PathBuf> {
    let runtime = Environment::from_process().runtime_dir;
    let folder = directory::of_run(run, runtime.as_deref())?;
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(Error::new(crate::ErrorKind::NotFound, format!("no such run: {run}; is it still alive?")))
}

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

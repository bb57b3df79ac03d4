//! Where streams are: in this run, in another one of this user's, or outside all runs.

use crate::cli::Given;
use clap::ArgMatches;
use otto_core::run::{Environment, RunId, folder_of};
use otto_core::{Error, ErrorKind, Result, fifo};
use std::path::{Path, PathBuf};

pub(super) struct Site {
    pub(super) environment: Environment,
    run: Option<String>,
}

impl Site {
    /// This process's run.
    pub(super) fn here() -> Site {
        Site { environment: Environment::from_process(), run: None }
    }

    /// The run named by `--run`, else this process's.
    pub(super) fn named(arguments: &ArgMatches) -> Site {
        Site { run: arguments.given("run").map(str::to_owned), ..Site::here() }
    }

    /// The folder of named streams.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        match &self.run {
            Some(run) => {
                let message = format!("--run takes a run's number, not {run:?}");
                let id = RunId::parse(run).map_err(|_| Error::new(ErrorKind::Usage, message))?;
                folder_of(id)
            }
            None => self.environment.streams_dir(),
        }
    }

    /// Where the stream `name` is, or would be.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf> {
        // What is no name is refused before a folder is made.
        fifo::path(Path::new(""), name)?;
        fifo::path(&self.folder()?, name)
    }

    /// The socket at which otto-run tells of a run's streams; `None` where there is none.
    pub(super) fn socket(&self) -> Result<Option<PathBuf>> {
        let path = self.folder()?.join("streams.sock");
        Ok(path.exists().then_some(path))
    }
}

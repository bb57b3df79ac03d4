//! Choosing the transport: what the caller names, else `OTTO_VIA`, else the socket, else files.

use crate::error::{Error, ErrorKind, Result};
use crate::files::FileStore;
use crate::region::DocumentStore;
use crate::run::{Environment, variable};
use crate::socket::Client;
use crate::values::Values;

/// A transport of [`Values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The run's server.
    Socket,
    /// `output.<task>.json` in the task's folder.
    Files,
    /// Documents in shared memory.
    Mmap,
}

impl Via {
    /// Every name [`Via::parse`] knows.
    pub const NAMES: [&str; 3] = ["socket", "files", "mmap"];

    /// # Errors
    /// [`ErrorKind::Usage`] naming the transports there are.
    pub fn parse(text: &str) -> Result<Via> {
        match text {
            "socket" => Ok(Via::Socket),
            "files" => Ok(Via::Files),
            "mmap" => Ok(Via::Mmap),
            _ => Err(Error::usage(format!("no transport {text:?}: use socket, files or mmap"))),
        }
    }

    /// The transport to use here.
    ///
    /// ```
    /// use otto_core::{Via, run::Environment};
    /// let here = Environment { task_dir: Some("/tmp".into()), ..Environment::default() };
    /// assert_eq!(Via::choose(None, &here).unwrap(), Via::Files);
    /// assert_eq!(Via::choose(Some(Via::Mmap), &here).unwrap(), Via::Mmap);
    /// assert!(Via::choose(None, &Environment::default()).is_err());
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoRun`] when there is none; the message says how to get one.
    pub fn choose(named: Option<Via>, environment: &Environment) -> Result<Via> {
        if let Some(via) = named {
            return Ok(via);
        }
        if let Some(name) = &environment.via {
            return Via::parse(name)
                .map_err(|error| Error::usage(format!("{}: {error}", variable::VIA)));
        }
        if environment.socket.is_some() {
            return Ok(Via::Socket);
        }
        if environment.task_dir.is_some() {
            return Ok(Via::Files);
        }
        Err(nothing_here())
    }
}

fn nothing_here() -> Error {
    Error::new(
        ErrorKind::NoRun,
        "no run here: neither OTTO_SOCKET nor OTTO_TASK_DIR is set; \
         start one with: otto-serve -- your-command",
    )
}

/// Opens the transport that [`Via::choose`] chooses.
///
/// # Errors
/// When there is no run, or its server or folder can't be reached.
pub fn open(named: Option<Via>, environment: &Environment) -> Result<Box<dyn Values>> {
    Ok(match Via::choose(named, environment)? {
        Via::Socket => Box::new(Client::connect(environment.socket()?)?),
        Via::Mmap => Box::new(DocumentStore::open(environment.run()?)),
        Via::Files => {
            let folder = environment.task_dir.as_ref().ok_or_else(|| {
                Error::new(
                    ErrorKind::NoRun,
                    "no task folder here: OTTO_TASK_DIR is not set; \
                     set it to a folder, or start a run with: otto-serve -- your-command",
                )
            })?;
            Box::new(FileStore::open(folder, environment.task()?)?)
        }
    })
}

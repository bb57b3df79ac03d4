//! Where values are, and the open connections to there.

use crate::crossing::blocking;
use crate::fork::PerProcess;
use otto_core::files::FileStore;
use otto_core::region::DocumentStore;
use otto_core::run::{Environment, RunId, variable};
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Result, TaskName, Tick, Values, Via};
use pyo3::prelude::*;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Open connections kept for the next call, each used by one thread at a time.
const IDLE_MAX: usize = 16;
/// Idle for longer than this a connection is looked at before it is used.
const FRESH: Duration = Duration::from_millis(20);

/// Where values are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind the server at this path.
    Socket(PathBuf),
    /// In the documents of a run.
    Documents(RunId),
    /// In the files of a folder, which belongs to a task.
    Files(PathBuf, Option<TaskName>),
}

/// An open place.
pub(crate) enum Store {
    Socket(Client),
    Documents(DocumentStore),
    Files(FileStore),
}

impl Place {
    /// What `via` names, else what the environment says, as every program of Otto chooses.
    pub(crate) fn choose(via: Option<&str>) -> Result<Place> {
        if let Some(socket) = socket_at_once(via) {
            return Ok(Place::Socket(socket));
        }
        let environment = Environment::from_process();
        let named = via.map(Via::parse).transpose()?;
        Ok(match Via::choose(named, &environment)? {
            Via::Socket => Place::Socket(environment.socket()?.clone()),
            Via::Mmap => Place::Documents(environment.run()?),
            Via::Files => {
                let task = environment.task()?;
                let folder = environment.task_dir.ok_or_else(|| {
                    Error::new(ErrorKind::NoRun, "no task folder here: set OTTO_TASK_DIR to one")
                })?;
                Place::Files(folder, task)
            }
        })
    }

    /// The server alone can do `what`.
    pub(crate) fn server(via: Option<&str>, what: &str) -> Result<PathBuf> {
        match Place::choose(via)? {
            Place::Socket(path) => Ok(path),
            _ if via.is_some() => Err(Error::new(
                ErrorKind::Usage,
                format!("{what} needs the server: via=\"socket\""),
            )),
            // The environment prefers another transport for values; the server is there still.
            _ => Environment::from_process().socket().cloned(),
        }
    }

    fn open(&self) -> Result<Store> {
        Ok(match self {
            Place::Socket(path) => Store::Socket(Client::connect(path)?),
            Place::Documents(run) => Store::Documents(DocumentStore::open(*run)),
            Place::Files(folder, task) => Store::Files(FileStore::open(folder, task.clone())?),
        })
    }

    /// Does `work` on this place without the GIL, over a connection that is open already if there
    /// is one.
    pub(crate) fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Store, Tick<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        let idle = IDLE.get(py);
        let taken = idle.take(self);
        let mut kept = None;
        let outcome = blocking(py, |tick| {
            let mut store = taken.map_or_else(|| self.open(), Ok)?;
            let outcome = work(&mut store, tick);
            let lost = |error: &Error| {
                matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Protocol)
            };
            if !outcome.as_ref().is_err_and(lost) {
                kept = Some(store);
            }
            outcome
        });
        if let Some(store) = kept {
            idle.keep(self, store);
        }
        outcome
    }

    /// As [`Place::with`], for what only the server can do.
    pub(crate) fn with_client<T: Send>(
        py: Python<'_>,
        path: PathBuf,
        work: impl FnOnce(&mut Client, Tick<'_>) -> Result<T> + Send,
    ) -> PyResult<T> {
        Place::Socket(path).with(py, |store, tick| match store {
            Store::Socket(client) => work(client, tick),
            _ => Err(Error::new(ErrorKind::Usage, "this needs the server")),
        })
    }
}

/// The socket, where two variables are enough to know that it is meant.
fn socket_at_once(via: Option<&str>) -> Option<PathBuf> {
    let chosen = match via {
        Some(name) => name == "socket",
        None => env::var_os(variable::VIA).is_none_or(|name| name.is_empty() || name == "socket"),
    };
    let path = env::var_os(variable::SOCKET).filter(|path| chosen && !path.is_empty());
    path.map(PathBuf::from)
}

impl Store {
    pub(crate) fn values(&mut self) -> &mut dyn Values {
        match self {
            Store::Socket(client) => client,
            Store::Documents(documents) => documents,
            Store::Files(files) => files,
        }
    }
}

/// Connections between calls. Locked with the GIL held only.
#[derive(Default)]
struct Idle(Mutex<Vec<(Place, Store, Instant)>>);

static IDLE: PerProcess<Idle> = PerProcess::new();

impl Idle {
    fn take(&self, place: &Place) -> Option<Store> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let at = idle.iter().rposition(|(at, ..)| at == place)?;
            let (_, store, since) = idle.swap_remove(at);
            let alive = match &store {
                Store::Socket(client) => since.elapsed() < FRESH || client.is_alive(),
                _ => true,
            };
            if alive {
                return Some(store);
            }
        }
    }

    fn keep(&self, place: &Place, store: Store) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push((place.clone(), store, Instant::now()));
    }
}

/// Closes the connections to the server at `path` that nobody uses now.
pub(crate) fn close_idle(py: Python<'_>, path: &Path) {
    let mut idle = IDLE.get(py).0.lock().unwrap_or_else(PoisonError::into_inner);
    idle.retain(|(place, ..)| !matches!(place, Place::Socket(at) if at == path));
}

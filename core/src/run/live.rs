//! The runs that live now, as seen from outside them: from another terminal, from a watcher.

use super::{Owner, RunId, SHARED_MEMORY, owner_of, remains};
use crate::error::{Error, ErrorKind, Result};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A run of this user whose owner lives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveRun {
    /// Its number, which is its owner's process ID.
    pub id: RunId,
    /// Its private folder.
    pub dir: PathBuf,
    /// Where its server listens.
    pub socket: PathBuf,
    /// When it began.
    pub started: SystemTime,
    /// The owner's program: `otto-run`, `otto-serve`, or what else serves.
    pub program: String,
}

/// The runs of this user whose owners live and whose servers listen, oldest first.
///
/// ```
/// use otto_core::run::{Descendants, Run, live_runs};
/// use otto_core::socket::{Client, Options, Server};
/// let run = Run::create(Descendants::Left).unwrap();
/// let is_there = || live_runs().unwrap().into_iter().find(|live| live.id == run.id());
/// assert_eq!(is_there(), None, "nobody listens yet");
/// let server = Server::bind(&run.socket_path(), Options::default()).unwrap().spawn();
/// let live = is_there().unwrap();
/// assert_eq!(live.dir, run.dir());
/// Client::connect(&live.socket).unwrap().ping().unwrap();
/// server.stop().unwrap();
/// ```
///
/// # Errors
/// When shared memory, where runs are known by their locks, can't be listed.
pub fn live_runs() -> Result<Vec<LiveRun>> {
    let folder = Path::new(SHARED_MEMORY);
    let entries = fs::read_dir(folder).map_err(|error| Error::io("list", folder, error))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut runs: Vec<LiveRun> =
        names.filter_map(|name| look(remains::run_of_lock(name.to_str()?)?)).collect();
    runs.sort_by_key(|run| (run.started, run.id));
    Ok(runs)
}

/// The run that somebody outside all runs means: the one called `id`, or the only one that lives.
///
/// ```
/// use otto_core::run::{RunId, live_run};
/// let error = live_run(Some(RunId(u64::MAX))).unwrap_err();
/// assert!(error.to_string().contains("no living run 18446744073709551615"));
/// ```
///
/// # Errors
/// [`ErrorKind::NoRun`] when there is none; [`ErrorKind::Usage`] when there are several to choose
/// from, which are named.
pub fn live_run(id: Option<RunId>) -> Result<LiveRun> {
    let mut runs = live_runs()?;
    let named = |run: &LiveRun| format!("{} ({})", run.id, run.program);
    let list = |runs: &[LiveRun]| runs.iter().map(named).collect::<Vec<_>>().join(", ");
    if let Some(id) = id {
        let all = if runs.is_empty() { "none".to_owned() } else { list(&runs) };
        let none = format!("no living run {id} of yours; there is: {all}");
        let found = runs.into_iter().find(|run| run.id == id);
        return found.ok_or_else(|| Error::new(ErrorKind::NoRun, none));
    }
    match runs.len() {
        0 => Err(Error::new(ErrorKind::NoRun, "no run of yours lives now")),
        1 => Ok(runs.remove(0)),
        _ => Err(Error::usage(format!("several runs live: choose one of {}", list(&runs)))),
    }
}

fn look(id: RunId) -> Option<LiveRun> {
    if owner_of(id) != Owner::Alive {
        return None;
    }
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK);
    let lock = options.open(id.lock_path()).ok()?;
    let dir = remains::read_record(&lock).ok()?.dir?;
    // The lock file is written when the run begins, and not again before it ends.
    let started = lock.metadata().and_then(|found| found.modified()).ok()?;
    // Through the link that stands there when the server listens elsewhere.
    let socket = fs::canonicalize(dir.join("otto.sock")).ok()?;
    let program = fs::read_to_string(format!("/proc/{id}/comm")).ok()?.trim_end().to_owned();
    Some(LiveRun { id, dir, socket, started, program })
}

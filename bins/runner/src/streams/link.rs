//! The paths by which tasks find the ends of their pipes.

use otto_core::fifo;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Where the tasks of a run keep things.
pub(crate) struct Places<'a> {
    pub(crate) run_dir: &'a Path,
    /// Where streams are kept that don't fit into their pipes.
    pub(crate) spill: &'a Path,
    pub(crate) names: &'a dyn Fn(usize) -> &'a str,
    pub(crate) folder: &'a dyn Fn(usize) -> PathBuf,
}

/// A path in the run's folder that leads to a descriptor of ours, as long as this lives.
#[derive(Debug)]
pub(super) struct Link(PathBuf);

impl Link {
    /// The path of `task`'s `direction`, leading to `end`.
    pub(super) fn new(
        places: &Places<'_>,
        task: usize,
        direction: &str,
        end: &OwnedFd,
    ) -> Result<Link, String> {
        let path = places.run_dir.join(format!("{}.{direction}.pipe", (places.names)(task)));
        let target = format!("/proc/{}/fd/{}", std::process::id(), end.as_raw_fd());
        symlink(target, &path)
            .map_err(|error| format!("can't create {}: {error}", path.display()))?;
        Ok(Link(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Leads nowhere from now on: the descriptor's number will soon be another one's.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_file(&self.0);
        fifo::remove_notes(&self.0);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.remove();
    }
}

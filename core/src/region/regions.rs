//! Every region there is, of whatever run.

use super::dataset::Dataset;
use super::place;
use crate::error::{Error, ErrorKind, Result};
use crate::key::TaskName;
use crate::run::{Owner, RunId, SHARED_MEMORY, owner_of};
use nix::unistd::geteuid;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// What a region is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RegionKind {
    /// JSON, updated in place.
    Document,
    /// Bytes, immutable once published.
    Dataset,
}

/// One of the [`regions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionEntry {
    /// Whose it is.
    pub run: RunId,
    /// The task of a document, the name of a dataset.
    pub name: TaskName,
    /// What it is.
    pub kind: RegionKind,
    /// Bytes of JSON in a document, of what was published in a dataset.
    pub size: u64,
    /// Whether its bytes lie on disk, because memory had no room.
    pub on_disk: bool,
    /// What is known about the process the run belongs to.
    pub owner: Owner,
}

/// The documents and datasets of every run of this user, sorted by run, name and kind. Those of a
/// dead run go when the next run starts.
///
/// ```
/// use otto_core::{Json, TaskName, region::{Dataset, regions}, run::{Descendants, Owner, Run}};
/// let run = Run::create(Descendants::Left).unwrap();
/// let name = TaskName::parse("features").unwrap();
/// Dataset::publish(run.id(), &name, &mut &b"bytes"[..], None, &Json::null()).unwrap();
/// let regions = regions().unwrap();
/// let ours = regions.iter().find(|region| region.run == run.id()).unwrap();
/// assert_eq!((ours.name.as_str(), ours.size, ours.owner), ("features", 5, Owner::Alive));
/// ```
///
/// # Errors
/// When shared memory can't be listed.
pub fn regions() -> Result<Vec<RegionEntry>> {
    let folder = Path::new(SHARED_MEMORY);
    let entries = fs::read_dir(folder).map_err(|error| Error::io("list", folder, error))?;
    let mut owners = HashMap::new();
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let file_name = entry.file_name();
        let Some((run, kind, name)) = file_name.to_str().and_then(parse) else { continue };
        // Gone since it was listed, or somebody else's: not there to be told of.
        let Ok(status) = entry.metadata() else { continue };
        if status.uid() != geteuid().as_raw() {
            continue;
        }
        let (size, on_disk) = match kind {
            RegionKind::Document => (size_of_document(&entry.path(), &status), false),
            RegionKind::Dataset => match Dataset::stat(run, &name) {
                Ok(info) => (info.size, info.on_disk),
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                // Damaged, but there, and to be removed by someone who sees it.
                Err(_) => (status.len(), status.is_symlink()),
            },
        };
        let owner = *owners.entry(run).or_insert_with(|| owner_of(run));
        found.push(RegionEntry { run, name, kind, size, on_disk, owner });
    }
    found.sort_unstable_by(|a, b| (a.run, &a.name, a.kind).cmp(&(b.run, &b.name, b.kind)));
    Ok(found)
}

/// Run, kind and name in the name of a file.
fn parse(file_name: &str) -> Option<(RunId, RegionKind, TaskName)> {
    let rest = file_name.strip_prefix("otto-")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let (run, rest) = rest.split_at(digits);
    let (kind, name) = match rest.strip_prefix(".ds-") {
        Some(name) => (RegionKind::Dataset, name),
        None => (RegionKind::Document, rest.strip_prefix('-')?),
    };
    Some((RunId::parse(run).ok()?, kind, TaskName::parse(name).ok()?))
}

/// What a document's file says about itself, without the lock or the journal: the document may be
/// written to at this moment.
fn size_of_document(path: &Path, status: &Metadata) -> u64 {
    let mut length = [0; 4];
    let opened = place::open(path, false).ok().flatten();
    match opened.and_then(|(file, _)| file.read_exact_at(&mut length, 0).ok()) {
        // No more than there is, whatever it says.
        Some(()) => u64::from(u32::from_le_bytes(length)).min(status.len()),
        None => status.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_run_and_kind() {
        let parsed = |name: &str| {
            parse(name).map(|(run, kind, name)| (run.0, kind, name.as_str().to_owned()))
        };
        assert_eq!(parsed("otto-7-a-b"), Some((7, RegionKind::Document, "a-b".to_owned())));
        assert_eq!(parsed("otto-7.ds-a-b"), Some((7, RegionKind::Dataset, "a-b".to_owned())));
        assert_eq!(parsed("otto-7-ds"), Some((7, RegionKind::Document, "ds".to_owned())));
        for other in
            ["otto-", "otto--a", "otto-7", "otto-7.ds-", "otto-7-a.b", "otto-7x-a", ".otto-7-a"]
        {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}

//! All groups of a run whose streams have begun, for every thread that asks about them.

use super::edge::Edge;
use super::wiring::Wiring;
use crate::nearest::suggestion;
use otto_core::fifo::{Control, Sampling, SourceId};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// A group's relay, which may have ended.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) control: Control,
    pub(super) wiring: Arc<Wiring>,
}

impl Group {
    /// How its streams stand, or stood at the end. Not those that are none so far: what a task
    /// writes that reads a stream, as long as that is nothing and nobody is there to read it.
    pub(super) fn edges(&self) -> Vec<Edge> {
        let mut edges = self.wiring.edges(self.control.edges());
        let reads = |task| !self.wiring.sources_of(task).is_empty();
        edges.retain(|Edge { ends, state, .. }| {
            ends.to.is_some() || state.bytes + state.queued > 0 || !reads(ends.from)
        });
        edges.sort_by_key(|edge| edge.ends);
        edges
    }
}

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Board {
    names: Arc<[String]>,
    groups: Arc<Mutex<Vec<Group>>>,
}

impl Board {
    pub(super) fn new(names: Vec<String>) -> Board {
        Board { names: names.into(), groups: Arc::default() }
    }

    pub(super) fn add(&self, group: Group) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    fn groups(&self) -> Vec<Group> {
        // Not held while relays are asked.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All streams, as one line of JSON.
    pub(super) fn stat(&self) -> String {
        let groups = self.groups();
        let edges = groups.iter().flat_map(Group::edges).map(|edge| edge.json(&self.names));
        format!("{{\"edges\":[{}]}}", edges.collect::<Vec<_>>().join(","))
    }

    /// What to show of `task`, and whom to ask for it.
    pub(super) fn tapped(&self, task: &str) -> Result<Tapped, String> {
        let Some(place) = self.names.iter().position(|name| name == task) else {
            let hint = suggestion(task, self.names.iter().map(String::as_str));
            return Err(format!("no task {task:?}; {hint}"));
        };
        for group in self.groups() {
            let (written, read) = (group.wiring.source(place), group.wiring.sources_of(place));
            let writes = || group.edges().iter().any(|edge| edge.ends.from == place);
            let sources = match written {
                Some(source) if read.is_empty() || writes() => vec![source],
                _ => read,
            };
            if !sources.is_empty() {
                return Ok(Tapped { group, sources });
            }
        }
        Err(format!("task {task:?} has no stream so far"))
    }
}

/// Streams to look at.
pub(super) struct Tapped {
    group: Group,
    sources: Vec<SourceId>,
}

impl Tapped {
    pub(super) fn show(self, sampling: Sampling, to: OwnedFd) {
        self.group.control.tap(&self.sources, sampling, to);
    }
}

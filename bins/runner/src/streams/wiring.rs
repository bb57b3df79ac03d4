//! Which task is behind which end of a relay.

use super::edge::Edge;
use otto_core::fifo::{EdgeState, SinkId, SourceId};
use std::collections::HashMap;

/// The ends of one group's relay.
#[derive(Debug, Default)]
pub(super) struct Wiring {
    producers: HashMap<SourceId, Producer>,
    /// `None` for a stream kept in a file.
    consumers: HashMap<SinkId, Option<usize>>,
    edges: Vec<(SourceId, SinkId)>,
}

#[derive(Debug, Clone, Copy)]
struct Producer {
    task: usize,
    shard: bool,
}

impl Wiring {
    pub(super) fn add_producer(&mut self, source: SourceId, task: usize, shard: bool) {
        self.producers.insert(source, Producer { task, shard });
    }

    pub(super) fn add_consumer(&mut self, sink: SinkId, task: Option<usize>) {
        self.consumers.insert(sink, task);
    }

    pub(super) fn connect(&mut self, source: SourceId, sink: SinkId) {
        self.edges.push((source, sink));
    }

    /// The task that writes `source`.
    pub(super) fn producer(&self, source: SourceId) -> Option<usize> {
        self.producers.get(&source).map(|producer| producer.task)
    }

    /// Every task that writes.
    pub(super) fn producers(&self) -> impl Iterator<Item = usize> {
        self.producers.values().map(|producer| producer.task)
    }

    /// What `task` writes.
    pub(super) fn source(&self, task: usize) -> Option<SourceId> {
        let mut producers = self.producers.iter();
        producers.find(|(_, producer)| producer.task == task).map(|(source, _)| *source)
    }

    /// What leads to `task`.
    pub(super) fn sources_of(&self, task: usize) -> Vec<SourceId> {
        let leads = |sink: &SinkId| self.consumers.get(sink) == Some(&Some(task));
        self.edges.iter().filter(|(_, sink)| leads(sink)).map(|(source, _)| *source).collect()
    }

    /// The tasks on both ends of an edge.
    pub(super) fn tasks(&self, (source, sink): (SourceId, SinkId)) -> Option<Ends> {
        Some(Ends { from: self.producer(source)?, to: *self.consumers.get(&sink)? })
    }

    /// How the edges stand, by their tasks.
    pub(super) fn edges(&self, states: Vec<EdgeState>) -> Vec<Edge> {
        let edge = |state: EdgeState| {
            let ends = self.tasks((state.source, state.sink))?;
            let shard = self.producers.get(&state.source)?.shard;
            Some(Edge { ends, shard, state })
        };
        states.into_iter().filter_map(edge).collect()
    }
}

/// Which tasks a stream leads from and to; `to` is none for one that is kept in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ends {
    pub(crate) from: usize,
    pub(crate) to: Option<usize>,
}

impl Ends {
    /// `p -> c`, or `p -> output.p.stream`.
    pub(crate) fn named(self, names: &[String]) -> String {
        let from = &names[self.from];
        match self.to {
            Some(to) => format!("{from} -> {}", names[to]),
            None => format!("{from} -> output.{from}.stream"),
        }
    }
}

//! Laying the pipes of a group that is about to start.

use super::link::{Link, Places};
use super::wiring::Wiring;
use super::{Input, Output, said};
use crate::graph::Graph;
use crate::workspace::new_file;
use otto_core::fifo::{self, Delivery, Relay, SinkId, SourceId};
use std::os::fd::OwnedFd;

/// A relay that has not started, and what the tasks get of its pipes.
#[derive(Default)]
pub(super) struct Laid {
    pub(super) relay: Relay,
    pub(super) wiring: Wiring,
    pub(super) outputs: Vec<(usize, Output)>,
    pub(super) inputs: Vec<(usize, Input)>,
}

/// A pipe from each producer to the relay, and one from there to each consumer.
pub(super) fn lay(graph: &Graph, group: &[usize], places: &Places<'_>) -> Result<Laid, String> {
    let mut laid = Laid::default();
    let streaming: Vec<usize> =
        group.iter().copied().filter(|task| graph.is_streaming(*task)).collect();
    for &task in &streaming {
        let pipe = fifo::pipe().map_err(said)?;
        let link = Link::new(places, task, "output", &pipe.write)?;
        let source = laid.relay.source(pipe.read).map_err(said)?;
        let shard = graph.is_sharded(task);
        laid.wiring.add_producer(source, task, shard);
        if shard {
            laid.relay.set_delivery(source, Delivery::Shard);
        }
        let consumers: Vec<usize> =
            streaming.iter().copied().filter(|other| graph.needs[*other].contains(&task)).collect();
        if consumers.is_empty() {
            let sink = laid.keep(places, task)?;
            laid.connect(source, sink);
        }
        let output = Output {
            link,
            keeper: Some(pipe.write),
            source,
            consumers,
            closed: false,
            drained_at: None,
        };
        laid.outputs.push((task, output));
    }
    for &task in &streaming {
        let producers: Vec<usize> =
            graph.needs[task].iter().copied().filter(|need| streaming.contains(need)).collect();
        if producers.is_empty() {
            continue;
        }
        let pipe = fifo::pipe().map_err(said)?;
        let sink = laid.sink(pipe.write, Some(task))?;
        let sources: Vec<SourceId> =
            producers.iter().filter_map(|producer| laid.wiring.source(*producer)).collect();
        sources.into_iter().for_each(|source| laid.connect(source, sink));
        let link = Link::new(places, task, "input", &pipe.read)?;
        laid.inputs.push((task, Input { link, read: pipe.read, sink }));
    }
    Ok(laid)
}

impl Laid {
    fn sink(&mut self, to: OwnedFd, task: Option<usize>) -> Result<SinkId, String> {
        let sink = self.relay.sink(to).map_err(said)?;
        self.wiring.add_consumer(sink, task);
        Ok(sink)
    }

    fn connect(&mut self, source: SourceId, sink: SinkId) {
        self.relay.connect(source, sink);
        self.wiring.connect(source, sink);
    }

    /// Keeps a stream that nobody in the group consumes in a file, for tasks that run later.
    fn keep(&mut self, places: &Places<'_>, producer: usize) -> Result<SinkId, String> {
        let name = format!("output.{}.stream", (places.names)(producer));
        let path = (places.folder)(producer).join(name);
        let file =
            new_file(&path).map_err(|error| format!("can't create {}: {error}", path.display()))?;
        self.sink(file.into(), None)
    }
}

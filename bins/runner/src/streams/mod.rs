//! The pipes between streaming tasks.
//!
//! Each producer has a pipe to a relay in this process, each consumer one from there: one relay,
//! on a thread of its own, for the tasks that start together. A task's end of its pipe is a path
//! in the run's folder that leads to a descriptor of ours: opening that never waits, however late
//! it happens. We hold a producer's writing end until its task has ended, so that any number of
//! openings is one stream, and a consumer's reading end until *its* task has ended: a producer is
//! told that nobody reads only then. And since the relay alone ends a consumer's stream, a
//! producer that fails ends nobody's.

mod board;
mod edge;
mod lay;
mod link;
mod relay;
mod request;
mod socket;
mod wiring;

pub(crate) use edge::Edge;
pub(crate) use link::Places;
pub(crate) use wiring::Ends;

use crate::graph::Graph;
use crate::inbox::Sender;
use board::Board;
use link::Link;
use otto_core::fifo::{self, Quota, SinkId, SourceId, Spill};
use relay::Running;
use socket::StreamSocket;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All streams of a run.
#[derive(Debug)]
pub(crate) struct Streams {
    outputs: HashMap<usize, Output>,
    inputs: HashMap<usize, Input>,
    relays: Vec<Running>,
    /// What all relays together may keep on the disk.
    quota: Arc<Quota>,
    board: Board,
    /// There from the first group on.
    socket: Option<StreamSocket>,
}

/// A stream that is over, and how long it took.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) edge: Edge,
    pub(crate) time: Duration,
}

/// What a task writes.
#[derive(Debug)]
struct Output {
    link: Link,
    keeper: Option<OwnedFd>,
    source: SourceId,
    /// None: the stream is kept in a file.
    consumers: Vec<usize>,
    /// What the relay said.
    closed: bool,
    drained_at: Option<Instant>,
}

/// What a task reads.
#[derive(Debug)]
struct Input {
    link: Link,
    read: OwnedFd,
    sink: SinkId,
}

impl Streams {
    /// Those of the tasks called `names`, of which `spill_bytes` may be kept on the disk.
    pub(crate) fn new(names: Vec<String>, spill_bytes: u64) -> Streams {
        Streams {
            outputs: HashMap::new(),
            inputs: HashMap::new(),
            relays: Vec::new(),
            quota: Quota::new(spill_bytes),
            board: Board::new(names),
            socket: None,
        }
    }

    /// Lays the pipes of a group that is about to start; the folders of its tasks exist.
    pub(crate) fn connect(
        &mut self,
        graph: &Graph,
        group: &[usize],
        places: &Places<'_>,
        sender: &Sender,
    ) -> Result<(), String> {
        if self.socket.is_none() {
            self.socket = Some(StreamSocket::serve(places.run_dir, self.board.clone())?);
        }
        let mut laid = lay::lay(graph, group, places)?;
        laid.relay.spill(Spill::new(places.spill.to_owned(), Arc::clone(&self.quota)));
        let running = Running::start(laid.relay, laid.wiring, sender.clone())?;
        self.board.add(running.group.clone());
        self.relays.push(running);
        self.outputs.extend(laid.outputs);
        self.inputs.extend(laid.inputs);
        Ok(())
    }

    /// The path a task writes to.
    pub(crate) fn output(&self, task: usize) -> Option<&Path> {
        self.outputs.get(&task).map(|output| output.link.path())
    }

    /// The path a task reads from, and the same stream for its standard input.
    pub(crate) fn input(&self, task: usize) -> Option<(&Path, &OwnedFd)> {
        self.inputs.get(&task).map(|input| (input.link.path(), &input.read))
    }

    /// The producer's own processes are gone: what is in its pipe is the rest of the stream.
    pub(crate) fn close_output(&mut self, task: usize) {
        if let Some(output) = self.outputs.get_mut(&task)
            && output.keeper.is_some()
        {
            output.link.remove();
            output.keeper = None;
        }
    }

    /// The consumer's task has ended: its producers are to know.
    pub(crate) fn close_input(&mut self, task: usize) {
        let Some(input) = self.inputs.remove(&task) else { return };
        // A process that left its task may have the pipe open still.
        if let Some(running) = self.relays.iter().find(|running| running.left.contains(&task)) {
            running.group.control.leave(input.sink);
        }
    }

    /// A relay says that nobody writes a task's stream any more.
    pub(crate) fn set_closed(&mut self, task: usize) {
        if let Some(output) = self.outputs.get_mut(&task) {
            output.closed = true;
        }
    }

    /// A relay says that all of a task's stream has been passed on.
    pub(crate) fn set_drained(&mut self, task: usize) {
        if let Some(output) = self.outputs.get_mut(&task) {
            output.closed = true;
            output.drained_at.get_or_insert_with(Instant::now);
        }
    }

    /// Whether nobody, not even [`Streams::close_output`]'s caller, holds the task's stream open.
    pub(crate) fn is_closed(&self, task: usize) -> bool {
        self.outputs.get(&task).is_none_or(|output| output.closed)
    }

    /// Whether the task's stream is closed and, when it is kept in a file, all of it is there.
    pub(crate) fn is_over(&self, task: usize) -> bool {
        self.outputs.get(&task).is_none_or(|output| {
            if output.consumers.is_empty() { output.drained_at.is_some() } else { output.closed }
        })
    }

    /// Whether a task had readers and all of them have ended.
    pub(crate) fn readers_gone(&self, task: usize) -> bool {
        self.outputs.get(&task).is_some_and(|output| {
            !output.consumers.is_empty()
                && output.consumers.iter().all(|consumer| !self.inputs.contains_key(consumer))
        })
    }

    /// Whether somebody in the task will ask how its stream ended.
    pub(crate) fn is_checked(&self, task: usize) -> bool {
        self.inputs.get(&task).is_some_and(|input| fifo::is_checked(input.link.path()))
    }

    /// The producer `task`, called `name`, has failed. Its consumers get what it wrote; those that
    /// ask learn that this is not all of it and get the end of the stream, the others get none.
    /// Returns those that ask.
    pub(crate) fn fail(&mut self, task: usize, name: &str) -> Vec<usize> {
        let Some(output) = self.outputs.get(&task) else { return Vec::new() };
        let running = self.relays.iter().find(|running| running.left.contains(&task));
        let Some(running) = running else { return Vec::new() };
        let mut told = output.consumers.clone();
        told.retain(|consumer| {
            self.inputs.get(consumer).is_some_and(|input| {
                let path = input.link.path();
                // Who can't be told must not take the end for a clean one.
                fifo::is_checked(path) && fifo::note_failure(path, name).is_ok()
            })
        });
        let sinks = told.iter().filter_map(|task| self.inputs.get(task)).map(|input| input.sink);
        // The keeper stays: without it the relay might see an end before it is told of the failure.
        running.group.control.fail(output.source, &sinks.collect::<Vec<_>>());
        told
    }

    /// Whether a group's streams are under way.
    pub(crate) fn are_active(&self) -> bool {
        !self.relays.is_empty()
    }

    /// How the streams under way stand.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        self.relays.iter().flat_map(|running| running.group.edges()).collect()
    }

    /// Of each group under way, the tasks that have not ended.
    pub(crate) fn groups(&self) -> Vec<Vec<usize>> {
        self.relays.iter().map(|running| running.left.iter().copied().collect()).collect()
    }

    /// Notes for which of [`Streams::groups`] somebody waits by other means than streams.
    pub(crate) fn set_waited_for(&mut self, waited_for: &[bool]) {
        for (running, waited_for) in self.relays.iter_mut().zip(waited_for) {
            running.set_waited_for(*waited_for);
        }
    }

    /// Bytes that all streams together may keep on the disk.
    pub(crate) fn spill_bytes(&self) -> u64 {
        self.quota.limit()
    }

    /// Bytes of these that they do keep there.
    pub(crate) fn spilled_bytes(&self) -> u64 {
        self.quota.used()
    }

    /// A task has ended. The streams of its group, if that was the last of it.
    pub(crate) fn ended(&mut self, task: usize) -> Vec<Moved> {
        let Some(place) = self.relays.iter().position(|running| running.left.contains(&task))
        else {
            return Vec::new();
        };
        let running = &mut self.relays[place];
        running.left.remove(&task);
        if !running.left.is_empty() {
            return Vec::new();
        }
        let running = self.relays.remove(place);
        let moved = |edge: Edge| {
            let drained_at = self.outputs.get(&edge.ends.from).and_then(|output| output.drained_at);
            let end = drained_at.unwrap_or_else(Instant::now);
            Moved { edge, time: end.saturating_duration_since(running.started) }
        };
        let moved = running.group.edges().into_iter().map(moved).collect();
        running.stop();
        moved
    }

    /// Ends every stream, at the end of a run.
    pub(crate) fn close(&mut self) {
        self.socket = None;
        self.relays.drain(..).for_each(Running::stop);
        self.outputs.clear();
        self.inputs.clear();
    }
}

fn said(error: otto_core::Error) -> String {
    error.to_string()
}

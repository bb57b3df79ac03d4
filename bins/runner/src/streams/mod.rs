//! The pipes between streaming tasks.
//!
//! From one producer to one consumer there is one pipe and this process stays out of the way;
//! every other shape has a relay in between. Either way a task's end of it is a path in the run's
//! folder that leads to a descriptor of ours: opening that never waits, however late it happens.
//! We hold a producer's writing end until its task has ended, so that any number of openings is
//! one stream, and a consumer's reading end until *its* task has ended: a producer is told that
//! nobody reads only then.

use crate::graph::Graph;
use crate::inbox::{Notice, Sender};
use crate::workspace::new_file;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use otto_core::fifo::{self, Event, Relay, SourceId};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// All streams of a run.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    outputs: HashMap<usize, Output>,
    inputs: HashMap<usize, Input>,
    relays: Vec<RunningRelay>,
}

/// What a task writes.
#[derive(Debug)]
struct Output {
    link: PathBuf,
    keeper: Option<OwnedFd>,
    consumers: Vec<usize>,
    /// Whether the kernel or a relay passes it on.
    direct: bool,
    /// What the relay said.
    closed: bool,
    drained: bool,
}

/// What a task reads.
#[derive(Debug)]
struct Input {
    link: PathBuf,
    read: OwnedFd,
}

#[derive(Debug)]
struct RunningRelay {
    /// Closing it stops the relay.
    stop: OwnedFd,
    thread: JoinHandle<()>,
}

/// Where the tasks of a run keep things.
pub(crate) struct Places<'a> {
    pub(crate) run_dir: &'a Path,
    pub(crate) names: &'a dyn Fn(usize) -> &'a str,
    pub(crate) folder: &'a dyn Fn(usize) -> PathBuf,
}

impl Streams {
    /// Lays the pipes of a group that is about to start; the folders of its tasks exist.
    pub(crate) fn connect(
        &mut self,
        graph: &Graph,
        group: &[usize],
        places: &Places<'_>,
        sender: &Sender,
    ) -> Result<(), String> {
        let mut relay = Relay::new();
        let mut sources: Vec<(SourceId, usize)> = Vec::new();
        let tasks = || group.iter().copied().filter(|task| graph.is_streaming(*task));
        let upstreams = |task: usize| {
            let needs = graph.needs[task].iter().copied();
            needs.filter(|need| graph.streams(*need, task)).collect::<Vec<_>>()
        };
        for producer in tasks() {
            let consumers: Vec<usize> =
                tasks().filter(|task| graph.needs[*task].contains(&producer)).collect();
            let direct = consumers.len() == 1 && upstreams(consumers[0]).len() == 1;
            let pipe = fifo::pipe().map_err(said)?;
            let link = link(places, producer, "output", &pipe.write)?;
            if direct {
                self.add_input(places, consumers[0], pipe.read)?;
            } else {
                let source = relay.source(pipe.read).map_err(said)?;
                if consumers.is_empty() {
                    keep(&mut relay, source, places, producer)?;
                }
                sources.push((source, producer));
            }
            let keeper = Some(pipe.write);
            let output = Output { link, keeper, consumers, direct, closed: false, drained: false };
            self.outputs.insert(producer, output);
        }
        for consumer in tasks().filter(|task| !upstreams(*task).is_empty()) {
            if self.inputs.contains_key(&consumer) {
                continue;
            }
            let pipe = fifo::pipe().map_err(said)?;
            let sink = relay.sink(pipe.write).map_err(said)?;
            let from = upstreams(consumer);
            for (source, _) in sources.iter().filter(|(_, task)| from.contains(task)) {
                relay.connect(*source, sink);
            }
            self.add_input(places, consumer, pipe.read)?;
        }
        if !sources.is_empty() {
            self.relays.push(start(relay, sources, sender.clone())?);
        }
        Ok(())
    }

    fn add_input(
        &mut self,
        places: &Places<'_>,
        consumer: usize,
        read: OwnedFd,
    ) -> Result<(), String> {
        let link = link(places, consumer, "input", &read)?;
        self.inputs.insert(consumer, Input { link, read });
        Ok(())
    }

    /// The path a task writes to.
    pub(crate) fn output(&self, task: usize) -> Option<&Path> {
        self.outputs.get(&task).map(|output| output.link.as_path())
    }

    /// The path a task reads from, and the same stream for its standard input.
    pub(crate) fn input(&self, task: usize) -> Option<(&Path, &OwnedFd)> {
        self.inputs.get(&task).map(|input| (input.link.as_path(), &input.read))
    }

    /// The producer's own processes are gone: what is in its pipe is the rest of the stream.
    pub(crate) fn close_output(&mut self, task: usize) {
        if let Some(output) = self.outputs.get_mut(&task)
            && output.keeper.take().is_some()
        {
            let _ = std::fs::remove_file(&output.link);
        }
    }

    /// The consumer's task has ended: its producers are to know.
    pub(crate) fn close_input(&mut self, task: usize) {
        if let Some(input) = self.inputs.remove(&task) {
            let _ = std::fs::remove_file(&input.link);
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
            (output.closed, output.drained) = (true, true);
        }
    }

    /// Whether nobody, not even [`Streams::close_output`]'s caller, holds the task's stream open.
    pub(crate) fn is_closed(&self, task: usize) -> bool {
        let Some(output) = self.outputs.get(&task) else { return true };
        if !output.direct {
            return output.closed;
        }
        match output.consumers.iter().find_map(|consumer| self.inputs.get(consumer)) {
            Some(input) => nobody_writes(&input.read),
            None => true,
        }
    }

    /// Whether the task's stream is closed and, when it is kept in a file, all of it is there.
    pub(crate) fn is_over(&self, task: usize) -> bool {
        let kept = |output: &Output| output.consumers.is_empty();
        match self.outputs.get(&task) {
            Some(output) if kept(output) => output.drained,
            _ => self.is_closed(task),
        }
    }

    /// What to poll for the end of a task's stream when somebody still holds it open.
    pub(crate) fn end_fd(&self, task: usize) -> Option<PollFd<'_>> {
        let output = self.outputs.get(&task).filter(|output| output.direct)?;
        let input = output.consumers.iter().find_map(|consumer| self.inputs.get(consumer))?;
        Some(PollFd::new(input.read.as_fd(), PollFlags::empty()))
    }

    /// Whether a task had readers and all of them have ended.
    pub(crate) fn readers_gone(&self, task: usize) -> bool {
        self.outputs.get(&task).is_some_and(|output| {
            !output.consumers.is_empty()
                && output.consumers.iter().all(|consumer| !self.inputs.contains_key(consumer))
        })
    }

    /// Ends every stream, at the end of a run.
    pub(crate) fn close(&mut self) {
        for relay in self.relays.drain(..) {
            drop(relay.stop);
            let _ = relay.thread.join();
        }
        let links = self.outputs.values().map(|output| &output.link);
        for link in links.chain(self.inputs.values().map(|input| &input.link)) {
            let _ = std::fs::remove_file(link);
        }
        self.outputs.clear();
        self.inputs.clear();
    }
}

fn said(error: otto_core::Error) -> String {
    error.to_string()
}

/// Keeps a stream that nobody in the group consumes in a file, for tasks that run later.
fn keep(
    relay: &mut Relay,
    source: SourceId,
    places: &Places<'_>,
    producer: usize,
) -> Result<(), String> {
    let name = format!("output.{}.stream", (places.names)(producer));
    let path = (places.folder)(producer).join(name);
    let file =
        new_file(&path).map_err(|error| format!("can't create {}: {error}", path.display()))?;
    let sink = relay.sink(file.into()).map_err(said)?;
    relay.connect(source, sink);
    Ok(())
}

/// The path in the run's folder that leads to `end`.
fn link(
    places: &Places<'_>,
    task: usize,
    direction: &str,
    end: &OwnedFd,
) -> Result<PathBuf, String> {
    let path = places.run_dir.join(format!("{}.{direction}.pipe", (places.names)(task)));
    let target = format!("/proc/{}/fd/{}", std::process::id(), end.as_raw_fd());
    symlink(target, &path).map_err(|error| format!("can't create {}: {error}", path.display()))?;
    Ok(path)
}

fn start(
    relay: Relay,
    sources: Vec<(SourceId, usize)>,
    sender: Sender,
) -> Result<RunningRelay, String> {
    let stop = fifo::pipe().map_err(said)?;
    let watch = stop.read;
    let work = move || {
        let task_of = |id| sources.iter().find(|(source, _)| *source == id).map(|(_, task)| *task);
        let result = relay.run(&watch, |event| match event {
            Event::Closed(source) => {
                if let Some(task) = task_of(source) {
                    sender.notice(Notice::Closed { task });
                }
            }
            Event::Drained(source) => {
                if let Some(task) = task_of(source) {
                    sender.notice(Notice::Drained { task });
                }
            }
            Event::Failed(sources, error) => {
                for task in sources.into_iter().filter_map(task_of) {
                    sender.notice(Notice::StreamFailed { task, why: error.to_string() });
                }
            }
            _ => {}
        });
        if let Err(error) = result {
            for (_, task) in &sources {
                sender.notice(Notice::StreamFailed { task: *task, why: error.to_string() });
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("relay".to_owned())
        .spawn(work)
        .map_err(|error| format!("can't start a thread: {error}"))?;
    Ok(RunningRelay { stop: stop.write, thread })
}

/// Whether a pipe has no writer left, whatever is still in it.
fn nobody_writes(read: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(read.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).is_ok()
        && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
}

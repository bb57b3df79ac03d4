//! A relay at work, and what it has to say.

use super::board::Group;
use super::said;
use super::wiring::{Ends, Wiring};
use crate::inbox::{Notice, Sender};
use otto_core::fifo::{self, Event, Relay, SinkId, SourceId};
use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

/// The relay of one group.
#[derive(Debug)]
pub(super) struct Running {
    /// Closing it stops the relay.
    stop: OwnedFd,
    thread: JoinHandle<()>,
    pub(super) group: Group,
    pub(super) started: Instant,
    /// The tasks of the group that have not ended.
    pub(super) left: HashSet<usize>,
    /// What the relay was told of that.
    waited_for: bool,
}

impl Running {
    /// Starts it on a thread of its own.
    pub(super) fn start(
        mut relay: Relay,
        wiring: Wiring,
        sender: Sender,
    ) -> Result<Running, String> {
        let stop = fifo::pipe().map_err(said)?;
        let watch = stop.read;
        let left = wiring.producers().collect();
        let wiring = Arc::new(wiring);
        let group = Group { control: relay.control().map_err(said)?, wiring: Arc::clone(&wiring) };
        let work = move || {
            if let Err(error) = relay.run(&watch, |event| tell(&sender, &wiring, event)) {
                for task in wiring.producers() {
                    sender.notice(Notice::StreamFailed { task, why: error.to_string() });
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(work)
            .map_err(|error| format!("can't start a thread: {error}"))?;
        let started = Instant::now();
        Ok(Running { stop: stop.write, thread, group, started, left, waited_for: false })
    }

    /// Whether somebody waits for one of its tasks by other means than streams.
    pub(super) fn set_waited_for(&mut self, waited_for: bool) {
        if self.waited_for != waited_for {
            self.waited_for = waited_for;
            self.group.control.set_waited_for(waited_for);
        }
    }

    /// Ends it, whatever is still on its way.
    pub(super) fn stop(self) {
        drop(self.stop);
        let _ = self.thread.join();
    }
}

fn tell(sender: &Sender, wiring: &Wiring, event: Event) {
    let ends = |edges: Vec<(SourceId, SinkId)>| -> Vec<Ends> {
        edges.into_iter().filter_map(|edge| wiring.tasks(edge)).collect()
    };
    match event {
        Event::Closed(source) => {
            if let Some(task) = wiring.producer(source) {
                sender.notice(Notice::Closed { task });
            }
        }
        Event::Drained(source) => {
            if let Some(task) = wiring.producer(source) {
                sender.notice(Notice::Drained { task });
            }
        }
        Event::Failed(sources, error) => {
            for task in sources.into_iter().filter_map(|source| wiring.producer(source)) {
                sender.notice(Notice::StreamFailed { task, why: error.to_string() });
            }
        }
        Event::Spilling(source, sink) => {
            if let Some(edge) = wiring.tasks((source, sink)) {
                sender.notice(Notice::Spilling { edge });
            }
        }
        Event::Stalled(stall) => {
            let (full, starved) = (ends(stall.full), ends(stall.starved));
            sender.notice(Notice::Stalled { full, starved });
        }
        _ => {}
    }
}

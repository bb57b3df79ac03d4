//! The run itself: starts what may start, listens to all that happens, and ends everything.

mod awaited;
mod cancel;
mod cancel_task;
mod circles;
mod finish;
mod start;
mod streaming;
mod sweep;
mod wait;

use crate::config::Config;
use crate::display::Display;
use crate::environment::Common;
use crate::graph::Graph;
use crate::inbox::{Inbox, Notice};
use crate::process::Live;
use crate::schedule::Schedule;
use crate::script::Programs;
use crate::signals::Signals;
use crate::streams::{Ends, Streams};
use crate::work::Work;
use crate::workspace::Workspace;
use otto_core::run::{DescriptorLimit, Run};
use otto_core::socket::Handle;
use std::collections::HashSet;
use std::time::Instant;

/// Read from a task at a time, in bytes.
const READ_BYTES: usize = 64 << 10;

/// What a run is made of.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) graph: &'a Graph,
    pub(crate) chosen: &'a [bool],
    pub(crate) jobs: usize,
    pub(crate) run: &'a Run,
    /// What tasks are allowed, whatever this process has come to need.
    pub(crate) descriptors: DescriptorLimit,
    pub(crate) server: Handle,
    pub(crate) workspace: &'a Workspace,
    pub(crate) common: Common,
    pub(crate) signals: Signals,
    pub(crate) inbox: Inbox,
    pub(crate) display: Display,
}

/// Why the run fails, and with which status.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) status: u8,
    pub(crate) message: String,
}

pub(crate) struct Engine<'a> {
    parts: Parts<'a>,
    schedule: Schedule<'a>,
    programs: Programs,
    streams: Streams,
    /// When the streams under way are looked at next.
    watch_at: Instant,
    /// When to look whether a task waits for one that has not started.
    look_at: Instant,
    /// Tasks that may wait for each other.
    suspicion: circles::Suspicion,
    circles_told: HashSet<String>,
    /// What the tasks that stream do.
    work: Work,
    /// The edges that have gone over the disk.
    spilling: HashSet<Ends>,
    names: Vec<String>,
    live: Vec<Live>,
    /// Nothing more starts.
    cancelled: bool,
    verdict: Option<Verdict>,
    /// The task whose failure cancelled the run.
    culprit: Option<usize>,
    done: usize,
    ended: HashSet<usize>,
    /// Tasks that otto-cancel ended or kept from starting.
    asked_to_end: Vec<usize>,
    /// These, and those that ended with them since they read what these streamed.
    fallen: HashSet<usize>,
    buffer: Vec<u8>,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(parts: Parts<'a>) -> Engine<'a> {
        let names: Vec<String> =
            parts.config.tasks.iter().map(|task| task.name.to_string()).collect();
        Engine {
            schedule: Schedule::new(parts.graph, parts.chosen),
            streams: Streams::new(names.clone(), parts.config.spill_bytes),
            parts,
            programs: Programs::default(),
            watch_at: Instant::now(),
            look_at: Instant::now(),
            suspicion: circles::Suspicion::default(),
            circles_told: HashSet::new(),
            work: Work::default(),
            spilling: HashSet::new(),
            names,
            live: Vec::new(),
            cancelled: false,
            verdict: None,
            culprit: None,
            done: 0,
            ended: HashSet::new(),
            asked_to_end: Vec::new(),
            fallen: HashSet::new(),
            buffer: vec![0; READ_BYTES],
        }
    }

    /// Runs to the end and returns the status to exit with.
    pub(crate) fn run(mut self) -> u8 {
        let started = Instant::now();
        self.announce();
        loop {
            self.start_ready();
            self.parts.display.flush();
            if self.live.is_empty() {
                break;
            }
            self.wait();
            self.finish_ended();
        }
        self.sweep();
        self.streams.close();
        self.conclude(started)
    }

    /// Tells the server who can set values at all.
    fn announce(&mut self) {
        for (place, task) in self.parts.config.tasks.iter().enumerate() {
            if self.parts.chosen[place] && self.parts.server.expect_task(&task.name).is_err() {
                self.fail(1, "the server has ended".to_owned());
                return;
            }
        }
    }

    /// Says how it went, in one line.
    fn conclude(mut self, started: Instant) -> u8 {
        let folder = self.parts.workspace.root().display().to_string();
        let (status, message) = match self.verdict.take() {
            Some(verdict) => (verdict.status, verdict.message),
            None => {
                let tasks = if self.done == 1 { "task" } else { "tasks" };
                let time = started.elapsed().as_secs_f64();
                let done =
                    format!("{} {tasks} done in {time:.2} s; outputs in {folder}", self.done);
                match self.cancelled_by_name() {
                    Some(cancelled) => (cancel_task::STATUS, format!("{cancelled}; {done}")),
                    None => (0, done),
                }
            }
        };
        self.take_last_progress();
        self.parts.display.last_progress();
        self.parts.display.say(&message);
        self.parts.display.close();
        status
    }

    fn name(&self, task: usize) -> &'a str {
        self.parts.config.tasks[task].name.as_str()
    }

    /// The first failure decides the status and ends the run.
    fn fail(&mut self, status: u8, message: String) {
        if self.verdict.is_none() {
            self.verdict = Some(Verdict { status, message });
        } else {
            self.parts.display.say(&message);
        }
        self.cancel(false);
    }

    fn take_inbox(&mut self) {
        let (notices, progress) = self.parts.inbox.take();
        for notice in notices {
            match notice {
                Notice::Cancel { task } => self.take_cancel(task.as_deref()),
                Notice::Waiting => self.take_waiting(),
                Notice::Closed { task } => self.streams.set_closed(task),
                Notice::Drained { task } => self.streams.set_drained(task),
                Notice::StreamFailed { task, why } => {
                    self.streams.set_drained(task);
                    self.culprit.get_or_insert(task);
                    self.fail(1, format!("the stream of {}: {why}", self.name(task)));
                }
                Notice::Spilling { edge } => self.take_spilling(edge),
                Notice::Stalled { full, starved } => self.take_stalled(&full, &starved),
            }
        }
        for record in progress {
            self.parts.display.progress(record);
        }
    }

    /// Shows what has been reported so far, however lately: an end is about to be told.
    fn take_last_progress(&mut self) {
        // An error would be the server's end, which the next request reports.
        let _ = self.parts.server.take_progress();
        for record in self.parts.inbox.take_progress() {
            self.parts.display.progress(record);
        }
    }
}

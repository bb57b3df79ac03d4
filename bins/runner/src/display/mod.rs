//! What the user sees while a run goes on.

mod bars;
mod console;
mod figures;
mod flows;
mod plain;

pub(crate) use figures::size;

use crate::output::Channel;
use crate::streams::{Edge, Moved};
use bars::Bars;
use console::Console;
use flows::{Flows, summary};
use otto_core::progress::Record;
use plain::Plain;
use std::io::{self, IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How a task ended, as far as the display tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    /// It failed after all readers of its stream had gone, which is no failure.
    ReadersGone,
    /// Ended by the run's cancellation.
    Cancelled,
    /// The producer whose stream it read failed.
    ProducerFailed(String),
    /// The producer whose stream it read was cancelled.
    ProducerCancelled(String),
    /// A task failed whose stream reached it through others.
    UpstreamFailed(String),
    /// Why it failed, to follow the task's name: `failed with status 3`.
    Failed(String),
}

impl Ending {
    fn sentence(&self, name: &str, time: Duration) -> String {
        let time = time.as_secs_f64();
        match self {
            Ending::Done => format!("{name}: done in {time:.2} s"),
            Ending::ReadersGone => {
                format!("{name}: ended after {time:.2} s, its stream's readers had gone")
            }
            Ending::Cancelled => format!("{name}: cancelled after {time:.2} s"),
            Ending::ProducerFailed(producer) => {
                let why = format!("since {producer}, whose stream it read, failed");
                format!("{name}: ended after {time:.2} s, {why}")
            }
            Ending::ProducerCancelled(producer) => {
                let why = format!("since {producer}, whose stream it read, was cancelled");
                format!("{name}: ended after {time:.2} s, {why}")
            }
            Ending::UpstreamFailed(task) => {
                let why = format!("since {task}, upstream of it, failed");
                format!("{name}: ended after {time:.2} s, {why}")
            }
            Ending::Failed(why) => format!("{name}: {why} after {time:.2} s"),
        }
    }
}

/// The run's face. Tasks' standard output goes to ours, all the rest to standard error.
#[derive(Debug)]
pub(crate) struct Display {
    console: Console,
    plain: Plain,
    /// On a terminal: a bar for each task that runs.
    bars: Option<Bars>,
    flows: Flows,
    names: Vec<String>,
}

impl Display {
    /// A display of `names`; `ending` becomes readable when the user wants the run to end, so that
    /// a reader who has stopped reading us can't keep the run from ending.
    pub(crate) fn new(names: Vec<String>, ending: OwnedFd, plain: bool) -> Display {
        let console = Console::new(ending);
        let bars = (!plain && io::stderr().is_terminal()).then(|| Bars::new(names.clone()));
        let plain = Plain::new(names.clone(), &console);
        Display { console, plain, bars, flows: Flows::new(), names }
    }

    /// A task begins.
    pub(crate) fn started(&mut self, task: usize) {
        if let Some(bars) = &mut self.bars {
            bars.started(task);
        }
    }

    /// A line that a task printed.
    pub(crate) fn line(&mut self, task: usize, channel: Channel, line: &[u8]) {
        self.plain.line(&mut self.console, task, channel, line);
    }

    /// A task has ended.
    pub(crate) fn ended(&mut self, task: usize, ending: &Ending, time: Duration) {
        if let Some(bars) = &mut self.bars {
            bars.ended(task);
        }
        self.plain.ended(&mut self.console, task, ending, time);
    }

    /// A task reports how far it is.
    pub(crate) fn progress(&mut self, record: Record) {
        let now = Instant::now();
        match &mut self.bars {
            Some(bars) => bars.progress(&record, now),
            None => self.plain.progress(&mut self.console, record, now),
        }
    }

    /// The last states of bars that belong to no task of the run.
    pub(crate) fn last_progress(&mut self) {
        self.plain.last_progress(&mut self.console, |_| true);
    }

    /// Whether it is time to show how the streams stand.
    pub(crate) fn wants_edges(&self, now: Instant) -> bool {
        self.bars.is_some() && self.flows.is_due(now)
    }

    /// How the streams under way stand.
    pub(crate) fn edges(&mut self, edges: &[Edge], now: Instant) {
        let flows = self.flows.observe(edges, &self.names, now);
        if let Some(bars) = &mut self.bars {
            bars.flow(&flows);
        }
    }

    /// The streams of a group are over.
    pub(crate) fn moved(&mut self, moved: &[Moved]) {
        for line in summary(moved, &self.names) {
            self.console.say(&line);
        }
    }

    /// A word of otto-run's own.
    pub(crate) fn say(&mut self, message: &str) {
        self.console.say(message);
    }

    /// The user wants the run to end: nobody who does not read is waited for.
    pub(crate) fn hurry(&mut self) {
        self.console.hurry();
    }

    /// When [`Display::tick`] has something to do.
    pub(crate) fn wakes_at(&self) -> Option<Instant> {
        self.bars.as_ref().map(Bars::wakes_at)
    }

    /// Moves what moves by itself.
    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some(bars) = &mut self.bars {
            bars.tick(now);
        }
    }

    /// Shows what has gathered.
    pub(crate) fn flush(&mut self) {
        let console = &mut self.console;
        match &self.bars {
            Some(bars) if console.is_pending() => bars.aside(|| console.flush()),
            _ => console.flush(),
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn close(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.close();
        }
        self.console.flush();
    }
}

/// One line on standard error; nobody listening is no error.
pub(crate) fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "otto-run: {message}");
}

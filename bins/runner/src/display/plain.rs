//! One line after another, each with its task in front.

use super::Ending;
use super::console::Console;
use crate::output::Channel;
use otto_core::progress::{Estimate, Record};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Readable on dark and on light ground.
const COLORS: [&str; 6] = ["\x1b[36m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[33m", "\x1b[31m"];
const RESET: &str = "\x1b[0m";
/// Between two lines of one bar; its last record is shown in any case.
const PROGRESS_PAUSE: Duration = Duration::from_secs(2);

/// Prefixes made once, and what was said of each bar.
#[derive(Debug)]
pub(super) struct Plain {
    names: Vec<String>,
    /// `[task] `, for standard output and for standard error.
    prefixes: Vec<(String, String)>,
    bars: HashMap<String, Bar>,
}

#[derive(Debug)]
struct Bar {
    task: String,
    estimate: Estimate,
    shown: Instant,
    /// The newest record, when it has not been shown.
    pending: Option<Record>,
}

impl Plain {
    pub(super) fn new(names: Vec<String>, console: &Console) -> Plain {
        let (out, err) = console.colors();
        let prefix = |place: usize, name: &str, color: bool| {
            if color {
                format!("{}[{name}]{RESET} ", COLORS[place % COLORS.len()])
            } else {
                format!("[{name}] ")
            }
        };
        let prefixes = names.iter().enumerate();
        let prefixes =
            prefixes.map(|(place, name)| (prefix(place, name, out), prefix(place, name, err)));
        Plain { prefixes: prefixes.collect(), names, bars: HashMap::new() }
    }

    pub(super) fn line(&self, console: &mut Console, task: usize, channel: Channel, line: &[u8]) {
        let (out, err) = &self.prefixes[task];
        match channel {
            Channel::Stdout => console.out(&[out.as_bytes(), line]),
            Channel::Stderr => console.err(&[err.as_bytes(), line]),
        }
    }

    pub(super) fn ended(
        &mut self,
        console: &mut Console,
        task: usize,
        ending: &Ending,
        time: Duration,
    ) {
        let name = self.names[task].clone();
        self.last_progress(console, |task| task == name);
        console.say(&ending.sentence(&name, time));
    }

    /// Shows the last states, where they have not been shown, of the bars whose task is `wanted`,
    /// and forgets these.
    pub(super) fn last_progress(&mut self, console: &mut Console, wanted: impl Fn(&str) -> bool) {
        let mut pending = Vec::new();
        self.bars.retain(|name, bar| {
            let ours = wanted(&bar.task);
            let last = bar.pending.take_if(|_| ours);
            pending.extend(last.map(|last| (name.clone(), last.line(Some(&bar.estimate)))));
            !ours
        });
        pending.sort_unstable();
        pending.iter().for_each(|(_, line)| console.say(line));
    }

    pub(super) fn progress(&mut self, console: &mut Console, record: Record, now: Instant) {
        let bar = self.bars.entry(record.name());
        let mut first = false;
        let bar = bar.or_insert_with(|| {
            first = true;
            let task = record.task.clone();
            Bar { task, estimate: Estimate::new(), shown: now, pending: None }
        });
        bar.estimate.observe(&record, now);
        if first || record.is_complete() || now.duration_since(bar.shown) >= PROGRESS_PAUSE {
            bar.shown = now;
            bar.pending = None;
            console.say(&record.line(Some(&bar.estimate)));
        } else {
            bar.pending = Some(record);
        }
    }
}

//! A bar for each task that runs, below the lines.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use otto_core::progress::{Estimate, Record};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(100);
/// More would scroll the lines off the screen.
const SHOWN_MAX: usize = 16;

/// The bars on the screen.
#[derive(Debug)]
pub(super) struct Bars {
    screen: MultiProgress,
    names: Vec<String>,
    bars: HashMap<String, Bar>,
    next_frame: Instant,
}

#[derive(Debug)]
struct Bar {
    task: String,
    bar: ProgressBar,
    estimate: Estimate,
    /// What the task reported last.
    reported: String,
    /// How the streams it reads stand.
    flow: String,
}

impl Bar {
    fn show(&self) {
        let gap = if self.reported.is_empty() || self.flow.is_empty() { "" } else { "  " };
        self.bar.set_message(format!("{}{gap}{}", self.reported, self.flow));
    }
}

impl Bars {
    pub(super) fn new(names: Vec<String>) -> Bars {
        Bars {
            screen: MultiProgress::new(),
            names,
            bars: HashMap::new(),
            next_frame: Instant::now(),
        }
    }

    pub(super) fn started(&mut self, task: usize) {
        let name = self.names[task].clone();
        self.bar(&name, &name);
    }

    pub(super) fn ended(&mut self, task: usize) {
        let name = &self.names[task];
        self.bars.retain(|_, bar| {
            if bar.task == *name {
                bar.bar.finish_and_clear();
            }
            bar.task != *name
        });
    }

    pub(super) fn progress(&mut self, record: &Record, now: Instant) {
        let name = record.name();
        let Some(bar) = self.bar(&name, &record.task) else { return };
        bar.estimate.observe(record, now);
        if let Some(fraction) = record.fraction() {
            if bar.bar.length() != Some(1000) {
                bar.bar.set_style(style("{spinner} {prefix} [{bar:24}] {wide_msg}"));
                bar.bar.set_length(1000);
            }
            bar.bar.set_position((fraction * 1000.0) as u64);
        }
        bar.reported = record.figures(Some(&bar.estimate));
        bar.show();
    }

    /// What to show of streams beside the bar of each task.
    pub(super) fn flow(&mut self, flows: &[(usize, String)]) {
        for (task, flow) in flows {
            if let Some(bar) = self.bars.get_mut(&self.names[*task]) {
                bar.flow.clone_from(flow);
                bar.show();
            }
        }
    }

    pub(super) fn wakes_at(&self) -> Instant {
        self.next_frame
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if self.next_frame <= now {
            self.next_frame = now + FRAME;
            self.bars.values().for_each(|bar| bar.bar.tick());
        }
    }

    /// Runs `write` while the bars are off the screen.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }

    pub(super) fn close(self) {
        self.bars.values().for_each(|bar| bar.bar.finish_and_clear());
        let _ = self.screen.clear();
    }

    fn bar(&mut self, name: &str, task: &str) -> Option<&mut Bar> {
        if !self.bars.contains_key(name) {
            if self.bars.len() >= SHOWN_MAX {
                return None;
            }
            let bar = self.screen.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {prefix} {elapsed} {wide_msg}"));
            bar.set_prefix(name.to_owned());
            let bar = Bar {
                task: task.to_owned(),
                bar,
                estimate: Estimate::new(),
                reported: String::new(),
                flow: String::new(),
            };
            self.bars.insert(name.to_owned(), bar);
        }
        self.bars.get_mut(name)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

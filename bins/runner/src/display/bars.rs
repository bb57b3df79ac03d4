//! A bar for each task that runs, below the lines.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use otto_core::progress::{Estimate, Record};
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(100);
/// More would scroll the lines off the screen.
const SHOWN_MAX: usize = 16;
/// Steps of a bar.
const PARTS: u64 = 1000;
/// How a bar looks as long as nobody knows how much there is.
const UNKNOWN: &str = "{spinner} {prefix} {elapsed} {wide_msg}";

/// The bars on the screen.
#[derive(Debug)]
pub(super) struct Bars {
    screen: MultiProgress,
    names: Vec<String>,
    /// In the order they are shown.
    bars: Vec<Bar>,
    next_frame: Instant,
}

#[derive(Debug)]
struct Bar {
    task: String,
    /// Which bar of the task; `a/b` is nested in `a`.
    id: String,
    bar: ProgressBar,
    complete: bool,
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
        Bars { screen: MultiProgress::new(), names, bars: Vec::new(), next_frame: Instant::now() }
    }

    pub(super) fn started(&mut self, task: usize) {
        let name = self.names[task].clone();
        self.bar(&name, "");
    }

    pub(super) fn ended(&mut self, task: usize) {
        let name = &self.names[task];
        self.bars.retain(|bar| {
            if bar.task == *name {
                bar.bar.finish_and_clear();
            }
            bar.task != *name
        });
    }

    pub(super) fn progress(&mut self, record: &Record, now: Instant) {
        let Some(bar) = self.bar(&record.task, &record.id) else { return };
        bar.estimate.observe(record, now);
        bar.complete = record.is_complete();
        match record.fraction() {
            Some(fraction) => {
                if bar.bar.length() != Some(PARTS) {
                    bar.bar.set_style(style("{spinner} {prefix} [{bar:24}] {wide_msg}"));
                    bar.bar.set_length(PARTS);
                }
                bar.bar.set_position((fraction * PARTS as f64) as u64);
            }
            // How much there is may be known for a while and not after.
            None if bar.bar.length().is_some() => {
                bar.bar.set_style(style(UNKNOWN));
                bar.bar.unset_length();
            }
            None => {}
        }
        bar.reported = record.figures(Some(&bar.estimate));
        bar.show();
    }

    /// What to show of streams beside the bar of each task.
    pub(super) fn flow(&mut self, flows: &[(usize, String)]) {
        for (task, flow) in flows {
            let name = &self.names[*task];
            let mut bars = self.bars.iter_mut();
            if let Some(bar) = bars.find(|bar| bar.task == *name && bar.id.is_empty()) {
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
            self.bars.iter().for_each(|bar| bar.bar.tick());
        }
    }

    /// Runs `write` while the bars are off the screen.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }

    pub(super) fn close(self) {
        self.bars.iter().for_each(|bar| bar.bar.finish_and_clear());
        let _ = self.screen.clear();
    }

    /// The bar `id` of `task`, made where it is missing: nested ones below the one they are in. `None`
    /// where the screen has no room for it.
    fn bar(&mut self, task: &str, id: &str) -> Option<&mut Bar> {
        if let Some(at) = self.bars.iter().position(|bar| bar.task == task && bar.id == id) {
            return self.bars.get_mut(at);
        }
        if self.bars.len() >= SHOWN_MAX {
            // A part that is done gives way to one that is not.
            let done = self.bars.iter().position(|bar| bar.complete && !bar.id.is_empty())?;
            self.bars.remove(done).bar.finish_and_clear();
        }
        let is_before = |bar: &Bar| {
            bar.task == task && (bar.id.is_empty() || bar.id.split('/').lt(id.split('/')))
        };
        let at = self.bars.iter().rposition(is_before);
        let new = ProgressBar::new_spinner();
        let (bar, place) = match at {
            Some(at) => (self.screen.insert_after(&self.bars[at].bar, new), at + 1),
            None => (self.screen.add(new), self.bars.len()),
        };
        bar.set_style(style(UNKNOWN));
        bar.set_prefix(self.name(task, id, place));
        let (task, id) = (task.to_owned(), id.to_owned());
        let (reported, flow) = (String::new(), String::new());
        let estimate = Estimate::new();
        let bar = Bar { task, id, bar, complete: false, estimate, reported, flow };
        self.bars.insert(place, bar);
        self.bars.get_mut(place)
    }

    /// What a bar is called that stands at `place`: moved in once for each one it is nested in, and
    /// without the name of that.
    fn name(&self, task: &str, id: &str, place: usize) -> String {
        let (mut depth, mut rest) = (0, id);
        for outer in self.bars[..place].iter().filter(|bar| bar.task == task) {
            if outer.id.is_empty() {
                depth += 1;
            } else if let Some(inner) =
                id.strip_prefix(&outer.id).and_then(|id| id.strip_prefix('/'))
            {
                (depth, rest) = (depth + 1, inner);
            }
        }
        match depth {
            0 => Record { task: task.to_owned(), id: id.to_owned(), ..Record::default() }.name(),
            depth => format!("{:indent$}{rest}", "", indent = depth * 2),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bars: &Bars) -> Vec<String> {
        bars.bars.iter().map(|bar| bar.bar.prefix()).collect()
    }

    #[test]
    fn nested_bars_stand_below_those_they_are_in() {
        let mut bars = Bars::new(vec!["t".to_owned(), "s".to_owned()]);
        bars.started(0);
        bars.started(1);
        let record = |id: &str, current, total| {
            let (task, id) = ("t".to_owned(), id.to_owned());
            Record { task, id, current, total, message: String::new() }
        };
        let now = Instant::now();
        for id in ["b", "a/x", "a", "a/y"] {
            bars.progress(&record(id, 1.0, None), now);
        }
        assert_eq!(shown(&bars), ["t", "  a", "  a/x", "    y", "  b", "s"]);
        // Known for a while, then not.
        bars.progress(&record("b", 1.0, Some(4.0)), now);
        assert_eq!((bars.bars[4].bar.length(), bars.bars[4].bar.position()), (Some(PARTS), 250));
        assert_eq!(bars.bars[4].reported, "1/4 (25%)");
        bars.progress(&record("b", 2.0, None), now);
        assert_eq!(bars.bars[4].bar.length(), None);
        // What is done makes room, and what is not keeps its place.
        for n in 0..100 {
            bars.progress(&record(&format!("part{n:03}"), 1.0, Some(1.0)), now);
        }
        let names = shown(&bars);
        assert_eq!(names.len(), SHOWN_MAX);
        assert_eq!(names[..6], ["t", "  a", "  a/x", "    y", "  b", "  part090"]);
        bars.ended(0);
        assert_eq!(shown(&bars), ["s"]);
    }
}

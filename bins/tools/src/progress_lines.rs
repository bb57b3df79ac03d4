//! Progress as lines on standard error.

use crate::say;
use otto_core::progress::{Estimate, Record};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Shortest time between two lines of a bar.
const LINE_PAUSE: Duration = Duration::from_secs(1);
/// Most bars with a pace of their own; beyond, lines come as they come.
const BARS_MAX: usize = 1000;

/// A line now and then for every bar, and its last one always: at the latest when this is dropped.
///
/// ```
/// use otto_core::progress::Record;
/// let mut lines = otto_tools::ProgressLines::default();
/// lines.show(Record { current: 3.0, total: Some(10.0), ..Record::default() });
/// ```
#[derive(Debug, Default)]
pub struct ProgressLines {
    bars: HashMap<String, Bar>,
}

#[derive(Debug, Default)]
struct Bar {
    estimate: Estimate,
    shown: Option<Instant>,
    /// The newest record, when it has not been shown.
    pending: Option<Record>,
}

impl ProgressLines {
    /// Takes note of a record, and says its line where that is due.
    pub fn show(&mut self, record: Record) {
        let now = Instant::now();
        let name = record.name();
        if self.bars.len() >= BARS_MAX && !self.bars.contains_key(&name) {
            self.show_last();
        }
        let bar = self.bars.entry(name).or_default();
        bar.estimate.observe(&record, now);
        let due = bar.shown.is_none_or(|shown| now.duration_since(shown) >= LINE_PAUSE);
        if due || record.is_complete() {
            bar.shown = Some(now);
            bar.pending = None;
            say(&record.line(Some(&bar.estimate)));
        } else {
            bar.pending = Some(record);
        }
    }

    /// Says the last line of every bar where it has not been said, and forgets the bars.
    fn show_last(&mut self) {
        let mut bars: Vec<(String, Bar)> = self.bars.drain().collect();
        bars.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (_, bar) in bars {
            if let Some(last) = bar.pending {
                say(&last.line(Some(&bar.estimate)));
            }
        }
    }
}

impl Drop for ProgressLines {
    fn drop(&mut self) {
        self.show_last();
    }
}

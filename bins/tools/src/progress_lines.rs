//! Progress as lines on standard error.

use crate::say;
use otto_core::progress::{Estimate, Record};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Shortest time between two lines of a bar.
const LINE_PAUSE: Duration = Duration::from_secs(1);
/// Most bars with a pace of their own; beyond, lines come as they come.
const BARS_MAX: usize = 1000;

/// A line now and then for every bar, and its last one always.
///
/// ```
/// use otto_core::progress::Record;
/// let mut lines = otto_tools::ProgressLines::default();
/// lines.show(&Record { current: 3.0, total: Some(10.0), ..Record::default() });
/// ```
#[derive(Debug, Default)]
pub struct ProgressLines {
    bars: HashMap<String, (Estimate, Option<Instant>)>,
}

impl ProgressLines {
    /// Takes note of a record, and says its line where that is due.
    pub fn show(&mut self, record: &Record) {
        let now = Instant::now();
        if self.bars.len() >= BARS_MAX {
            self.bars.clear();
        }
        let (estimate, shown) = self.bars.entry(record.name()).or_default();
        estimate.observe(record, now);
        let due = shown.is_none_or(|shown| now.duration_since(shown) >= LINE_PAUSE);
        if due || record.is_complete() {
            *shown = Some(now);
            say(&record.line(Some(estimate)));
        }
    }
}

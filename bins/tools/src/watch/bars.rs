//! The bars of a run in their order: those of a task below each other, nested ones moved in.

use otto_core::progress::{Estimate, Record};
use std::time::{Duration, Instant};

/// Between two lines of one bar, where there is no terminal.
const LINE_PAUSE: Duration = Duration::from_secs(1);
const BAR_COLUMNS: usize = 24;

/// What is known of every bar.
#[derive(Debug, Default)]
pub(super) struct Bars {
    /// In the order they are shown.
    bars: Vec<Bar>,
}

#[derive(Debug)]
struct Bar {
    record: Record,
    estimate: Estimate,
    /// What was said of it last, and when.
    told: Option<(Record, Instant)>,
}

impl Bars {
    /// Takes note of where every bar stands.
    pub(super) fn observe(&mut self, records: Vec<Record>, now: Instant) {
        for record in records {
            match self.bars.binary_search_by(|bar| place(&bar.record).cmp(&place(&record))) {
                Ok(at) => {
                    let bar = &mut self.bars[at];
                    bar.estimate.observe(&record, now);
                    bar.record = record;
                }
                Err(at) => {
                    let mut estimate = Estimate::new();
                    estimate.observe(&record, now);
                    self.bars.insert(at, Bar { record, estimate, told: None });
                }
            }
        }
    }

    /// A line for each bar that has moved: now and then, and where `all` of them are wanted now.
    pub(super) fn lines(&mut self, all: bool, now: Instant) -> String {
        let mut out = String::new();
        for bar in &mut self.bars {
            let due = match &bar.told {
                None => true,
                Some((told, _)) if *told == bar.record => false,
                Some((_, at)) => {
                    all || bar.record.is_complete() || now.duration_since(*at) >= LINE_PAUSE
                }
            };
            if due {
                out += &bar.record.line(Some(&bar.estimate));
                out.push('\n');
                bar.told = Some((bar.record.clone(), now));
            }
        }
        out
    }

    /// A line for each bar as it is painted, at most `rows`: what is complete gives way first.
    pub(super) fn painted(&self, rows: usize) -> Vec<String> {
        let mut shown: Vec<usize> = (0..self.bars.len()).collect();
        if shown.len() > rows {
            shown.sort_by_key(|at| self.bars[*at].record.is_complete());
            shown.truncate(rows.saturating_sub(1));
            shown.sort_unstable();
        }
        let hidden = self.bars.len() - shown.len();
        let names: Vec<String> = shown.iter().map(|at| self.name(*at)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let mut lines: Vec<String> = shown
            .iter()
            .zip(names)
            .map(|(at, name)| {
                let bar = &self.bars[*at];
                let shape = bar.record.fraction().map_or(String::new(), |part| shape(part) + " ");
                format!("{name:width$} {shape}{}", bar.record.figures(Some(&bar.estimate)))
            })
            .collect();
        if hidden > 0 {
            lines.push(format!("and {hidden} more"));
        }
        lines
    }

    /// What a bar is called below those it is nested in: `b` moved in twice for `task/a/b`, where
    /// there are `task` and `task/a`.
    fn name(&self, at: usize) -> String {
        let Record { task, id, .. } = &self.bars[at].record;
        let (mut depth, mut rest) = (0, id.as_str());
        let outer = self.bars[..at].iter().filter(|bar| bar.record.task == *task);
        for outer in outer.map(|bar| bar.record.id.as_str()) {
            if outer.is_empty() {
                depth += 1;
            } else if let Some(inner) = id.strip_prefix(outer).and_then(|id| id.strip_prefix('/')) {
                (depth, rest) = (depth + 1, inner);
            }
        }
        match depth {
            0 => self.bars[at].record.name(),
            depth => format!("{:indent$}{rest}", "", indent = depth * 2),
        }
    }
}

/// What bars are ordered by: a nested one stands below the one it is in.
fn place(record: &Record) -> (&str, Vec<&str>) {
    let id = record.id.as_str();
    (&record.task, if id.is_empty() { Vec::new() } else { id.split('/').collect() })
}

/// `[######------------------]`
pub(crate) fn shape(fraction: f64) -> String {
    let full = (fraction * BAR_COLUMNS as f64) as usize;
    format!("[{:-<BAR_COLUMNS$}]", "#".repeat(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(task: &str, id: &str, current: f64) -> Record {
        let (task, id) = (task.to_owned(), id.to_owned());
        Record { task, id, current, total: Some(4.0), message: String::new() }
    }

    #[test]
    fn bars_are_nested_by_their_names() {
        let mut bars = Bars::default();
        let now = Instant::now();
        bars.observe(
            vec![record("t", "a/b", 1.0), record("t", "", 2.0), record("s", "x", 4.0)],
            now,
        );
        bars.observe(vec![record("t", "a", 0.0), record("t", "a-c", 0.0)], now);
        assert_eq!(
            bars.painted(9),
            [
                "s/x   [########################] 4/4 (100%)",
                "t     [############------------] 2/4 (50%)",
                "  a   [------------------------] 0/4 (0%)",
                "    b [######------------------] 1/4 (25%)",
                "  a-c [------------------------] 0/4 (0%)",
            ]
        );
        let few = bars.painted(3);
        assert_eq!((few.len(), few[2].as_str()), (3, "and 3 more"));
        assert!(few[0].starts_with("t "), "what is complete gives way: {few:?}");
        assert_eq!(bars.painted(1), ["and 5 more"]);
    }

    #[test]
    fn lines_are_said_of_what_has_moved() {
        let mut bars = Bars::default();
        let start = Instant::now();
        bars.observe(vec![record("t", "", 1.0)], start);
        assert_eq!(bars.lines(false, start), "t: 1/4 (25%)\n");
        assert_eq!(bars.lines(true, start), "");
        bars.observe(vec![record("t", "", 2.0)], start);
        assert_eq!(bars.lines(false, start), "");
        assert_eq!(bars.lines(true, start), "t: 2/4 (50%)\n");
        bars.observe(vec![record("t", "", 4.0)], start);
        assert_eq!(bars.lines(false, start), "t: 4/4 (100%)\n");
    }
}

//! What is shown of streams: how fast they go while they do, and what they moved afterwards.

use super::figures::{count, size};
use crate::streams::{Edge, Ends, Moved};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Between two looks at the streams.
const PAUSE: Duration = Duration::from_millis(200);
/// How much a look counts in a rate beside all that was seen before.
const WEIGHT: f64 = 0.4;
/// Producers named beside one bar.
const NAMED_MAX: usize = 3;
/// Lines about streams that are over; of more, the rest is summed up.
const LINES_MAX: usize = 16;
/// What is less says nothing of how fast a stream goes.
const RATED_BYTES_MIN: u64 = 1 << 20;

/// What was seen of the streams under way.
#[derive(Debug)]
pub(super) struct Flows {
    seen: HashMap<Ends, Seen>,
    next_look: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    bytes: u64,
    records: Option<u64>,
    bytes_per_second: f64,
    records_per_second: Option<f64>,
}

impl Flows {
    pub(super) fn new() -> Flows {
        Flows { seen: HashMap::new(), next_look: Instant::now() }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next_look <= now
    }

    /// What to show beside which task, which is a stream's consumer or, where it is kept in a file,
    /// its producer.
    pub(super) fn observe(
        &mut self,
        edges: &[Edge],
        names: &[String],
        now: Instant,
    ) -> Vec<(usize, String)> {
        self.next_look = now + PAUSE;
        let mut by_task: BTreeMap<usize, Vec<(&Edge, Seen)>> = BTreeMap::new();
        for edge in edges {
            let seen = self.look(edge, now);
            by_task.entry(edge.ends.to.unwrap_or(edge.ends.from)).or_default().push((edge, seen));
        }
        by_task.into_iter().map(|(task, flows)| (task, text(&flows, names))).collect()
    }

    fn look(&mut self, edge: &Edge, now: Instant) -> Seen {
        let (bytes, records) = (edge.state.bytes, edge.state.records);
        let first =
            Seen { at: now, bytes, records, bytes_per_second: 0.0, records_per_second: None };
        let seen = self.seen.entry(edge.ends).or_insert(first);
        let time = now.saturating_duration_since(seen.at).as_secs_f64();
        if time > 0.0 {
            let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / time;
            let blend = |new: f64, old: f64| WEIGHT * new + (1.0 - WEIGHT) * old;
            seen.bytes_per_second = blend(rate(bytes, seen.bytes), seen.bytes_per_second);
            seen.records_per_second = records.zip(seen.records).map(|(now, then)| {
                blend(rate(now, then), seen.records_per_second.unwrap_or_default())
            });
            (seen.at, seen.bytes, seen.records) = (now, bytes, records);
        }
        *seen
    }
}

/// `<- p 1.2 GiB/s, 12.3k records/s, 4 MiB waiting, 1 GiB of it on disk`.
fn text(flows: &[(&Edge, Seen)], names: &[String]) -> String {
    let rate = |seen: &Seen| format!("{}/s", size(seen.bytes_per_second.round() as u64));
    let mut parts = Vec::new();
    let kept = flows.iter().all(|(edge, _)| edge.ends.to.is_none());
    if kept || flows.len() <= NAMED_MAX {
        // A producer that is also a consumer may be shown with its kept stream.
        parts.extend(flows.iter().map(|(edge, seen)| match edge.ends.to {
            Some(_) => format!("<- {} {}", names[edge.ends.from], rate(seen)),
            None => format!("-> file {}", rate(seen)),
        }));
    } else {
        let all: f64 = flows.iter().map(|(_, seen)| seen.bytes_per_second).sum();
        parts.push(format!("<- {} streams {}/s", flows.len(), size(all.round() as u64)));
    }
    let records: Option<f64> = flows.iter().map(|(_, seen)| seen.records_per_second).sum();
    if let Some(records) = records.filter(|records| *records >= 1.0) {
        parts.push(format!("{} records/s", count(records)));
    }
    let sum = |of: fn(&Edge) -> u64| flows.iter().map(|(edge, _)| of(edge)).sum::<u64>();
    let (queued, spilled) = (sum(|edge| edge.state.queued), sum(|edge| edge.state.spilled));
    if queued > 0 {
        parts.push(format!("{} waiting", size(queued)));
    }
    if spilled > 0 {
        parts.push(format!("{} on disk", size(spilled)));
    }
    parts.join(", ")
}

/// A line for each stream that moved something, the largest where there are many.
pub(super) fn summary(moved: &[Moved], names: &[String]) -> Vec<String> {
    let mut moved: Vec<&Moved> = moved.iter().filter(|moved| moved.edge.state.bytes > 0).collect();
    if moved.len() > LINES_MAX {
        moved.sort_by_key(|moved| std::cmp::Reverse(moved.edge.state.bytes));
    }
    let rest = moved.split_off(moved.len().min(LINES_MAX));
    let mut lines: Vec<String> = moved.into_iter().map(|moved| line(moved, names)).collect();
    if !rest.is_empty() {
        let bytes = rest.iter().map(|moved| moved.edge.state.bytes).sum();
        lines.push(format!("and {} streams more: {}", rest.len(), size(bytes)));
    }
    lines
}

fn line(moved: &Moved, names: &[String]) -> String {
    let state = &moved.edge.state;
    let records = match state.records {
        Some(1) => " (1 record)".to_owned(),
        Some(records) => format!(" ({records} records)"),
        None => String::new(),
    };
    let time = moved.time.as_secs_f64();
    let mut line = moved.edge.ends.named(names);
    line.push_str(&format!(": {}{records} in {time:.2} s", size(state.bytes)));
    if state.bytes >= RATED_BYTES_MIN {
        let rate = (state.bytes as f64 / time.max(1e-6)).round() as u64;
        line.push_str(&format!(", {}/s", size(rate)));
    }
    line
}

//! Noticing that streams wait for each other.
//!
//! A consumer that takes its time is no stall: its producer waits, as it should. It is one when that
//! producer has another consumer that has nothing left to do, or somebody outside waits for one of
//! the tasks: then the slow consumer may be waiting, by ways unknown here, for just those. The
//! full edge spills, and all go on. A producer that has room for more holds up nobody: if the others
//! wait for it, then not because of who is slow.

use super::edge::Edge;
use super::sink::Sink;
use super::source::Source;
use super::spill::Spill;
use super::{SinkId, SourceId};
use std::time::{Duration, Instant};

/// Nothing has moved for so long: who waits for whom?
const PATIENCE: Duration = Duration::from_millis(200);
/// And for so long: spill whoever is full; where nothing can be spilled, it is reported.
const LONG: Duration = Duration::from_secs(10);

/// Streams that wait for each other, and nothing left to spill to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// The edges whose producers wait for their consumers.
    pub full: Vec<(SourceId, SinkId)>,
    /// The edges whose consumers wait for their producers.
    pub starved: Vec<(SourceId, SinkId)>,
}

/// When something last moved, and what has been done about it.
#[derive(Debug)]
pub(super) struct Watch {
    moved_at: Instant,
    looked_at: Option<Instant>,
    reported_at: Option<Instant>,
    pub(super) waited_for: bool,
}

/// What a look showed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Edges, by place of their sink and in it, that begin to spill.
    pub(super) spill: Vec<(usize, usize)>,
    pub(super) stall: Option<Stall>,
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch { moved_at: Instant::now(), looked_at: None, reported_at: None, waited_for: false }
    }

    pub(super) fn moved(&mut self, now: Instant) {
        self.moved_at = now;
        (self.looked_at, self.reported_at) = (None, None);
    }

    /// When to look next, as long as nothing moves.
    pub(super) fn due(&self) -> Instant {
        self.looked_at.unwrap_or(self.moved_at) + PATIENCE
    }

    /// Looks, if it is time to; only worth while while some sink has no room.
    pub(super) fn look(
        &mut self,
        now: Instant,
        sources: &[Source],
        sinks: &[Sink],
        spill: Option<&Spill>,
    ) -> Seen {
        if now < self.due() {
            return Seen::default();
        }
        self.looked_at = Some(now);
        let is_long = now >= self.moved_at + LONG;
        let edges = || {
            let of_sink = |(place, sink)| of_sink(place, sink);
            sinks.iter().enumerate().filter(|(_, sink)| sink.is_open()).flat_map(of_sink)
        };
        let is_full = |edge: &Edge, sink: &Sink| is_full(edge, sink, sources);
        let is_starved = |edge: &Edge, sink: &Sink| is_starved(edge, sink, sources);
        let starves = |source: usize| {
            edges().any(|(_, _, edge, sink)| edge.source == source && is_starved(edge, sink))
        };
        let full = || edges().filter(|(_, _, edge, sink)| is_full(edge, sink));
        // Consumers between which records are dealt out take turns: one of them is idle, one slow.
        let proven = |edge: &Edge| {
            let source = &sources[edge.source];
            source.is_held_up() && (self.waited_for || !source.is_sharded() && starves(edge.source))
        };
        let mut seen = Seen::default();
        if spill.is_some_and(|spill| !spill.is_used_up()) {
            let can = |edge: &Edge| edge.spill.is_none() && !sources[edge.source].is_sharded();
            seen.spill = full()
                .filter(|(_, _, edge, _)| can(edge) && (is_long || proven(edge)))
                .map(|(sink, place, _, _)| (sink, place))
                .collect();
        }
        let is_time = self.reported_at.is_none_or(|then| now >= then + LONG);
        if seen.spill.is_empty() && is_long && is_time && full().any(|(.., edge, _)| proven(edge)) {
            self.reported_at = Some(now);
            let ids = |(sink, _, edge, _): (usize, usize, &Edge, &Sink)| {
                (SourceId(edge.source), SinkId(sink))
            };
            let starved = edges().filter(|(_, _, edge, sink)| is_starved(edge, sink));
            seen.stall = Some(Stall {
                full: full().map(ids).collect(),
                starved: starved.map(ids).collect(),
            });
        }
        seen
    }
}

fn of_sink(place: usize, sink: &Sink) -> impl Iterator<Item = (usize, usize, &Edge, &Sink)> {
    sink.edges.iter().enumerate().map(move |(edge_place, edge)| (place, edge_place, edge, sink))
}

/// Whether `edge` has something that its sink does not take.
pub(super) fn is_full(edge: &Edge, sink: &Sink, sources: &[Source]) -> bool {
    let source = &sources[edge.source];
    sink.is_open()
        && (edge.has_more(source)
            || sink.is_full && source.is_sharded() && source.can_deal()
            || sink.is_full && edge.position == source.end() && source.waiting() > 0)
}

/// Whether the sink's reader has taken all that `edge` had, and more is to come.
pub(super) fn is_starved(edge: &Edge, sink: &Sink, sources: &[Source]) -> bool {
    let source = &sources[edge.source];
    sink.is_open() && !source.has_ended() && !is_full(edge, sink, sources) && sink.waiting() == 0
}

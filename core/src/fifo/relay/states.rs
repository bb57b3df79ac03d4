//! How the edges of a relay stand.

use super::control::{EdgeState, Motion};
use super::edge::Edge;
use super::sink::Sink;
use super::stall::{is_full, is_starved};
use super::{Relay, SinkId, SourceId};

impl Relay {
    pub(super) fn states(&self) -> Vec<EdgeState> {
        let of_sink = |(place, sink): (usize, &Sink)| {
            sink.edges.iter().map(|edge| self.state(edge, sink, place)).collect::<Vec<_>>()
        };
        self.sinks.iter().enumerate().flat_map(of_sink).collect()
    }

    fn state(&self, edge: &Edge, sink: &Sink, place: usize) -> EdgeState {
        let source = &self.sources[edge.source];
        let in_relay = match edge.deal {
            Some(deal) => deal.until.unwrap_or(source.end()).saturating_sub(edge.position),
            None if source.is_sharded() => 0,
            // A sink that took pages may be ahead: those are still in the producer's pipe.
            None => (source.end() + source.waiting()).saturating_sub(edge.position),
        };
        let at_reader = if sink.edges.len() == 1 { sink.waiting() } else { 0 };
        let is_over = edge.is_over(source);
        let motion = if !sink.is_open() || is_over {
            Motion::Ended
        } else if is_full(edge, sink, &self.sources) {
            Motion::Full
        } else if is_starved(edge, sink, &self.sources) {
            Motion::Starved
        } else {
            Motion::Flowing
        };
        EdgeState {
            source: SourceId(edge.source),
            sink: SinkId(place),
            bytes: edge.bytes,
            records: edge.records(),
            queued: if sink.is_open() { in_relay + at_reader } else { 0 },
            spilled: edge.spill.as_ref().map_or(0, |spill| spill.len()),
            motion,
        }
    }
}

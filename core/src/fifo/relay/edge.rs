//! The way from one source to one sink.

use super::source::Source;
use super::spill::SpillFile;
use std::time::Instant;

/// How far a sink has taken a source, and what it still has to take.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) source: usize,
    /// Up to where the sink has taken the stream.
    pub(super) position: u64,
    pub(super) spill: Option<SpillFile>,
    /// What of a sharded source was handed to this sink.
    pub(super) deal: Option<Deal>,
    /// How much a sharded source hands out here at a time: little where a step takes long.
    pub(super) portion: Portion,
    /// Bytes the sink has taken.
    pub(super) bytes: u64,
    /// Line ends among them, as far as they were seen.
    pub(super) lines: u64,
    /// Whether all of them were seen: pages pass unseen.
    pub(super) is_seen: bool,
    /// Whether the last byte taken ended a line, or nothing was taken.
    pub(super) at_line_start: bool,
}

/// Records of a sharded source, handed to one sink.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deal {
    /// Where they begin, all still in memory; `None` for a record too long for that.
    pub(super) start: Option<u64>,
    /// `None` within a record whose end has not been seen.
    pub(super) until: Option<u64>,
}

/// See [`Edge::portion`].
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// 0: one record.
    pub(super) bytes: u64,
    pub(super) dealt_at: Option<Instant>,
}

impl Edge {
    pub(super) fn new(source: usize, position: u64) -> Edge {
        Edge {
            source,
            position,
            spill: None,
            deal: None,
            portion: Portion::default(),
            bytes: 0,
            lines: 0,
            is_seen: true,
            at_line_start: true,
        }
    }

    /// From where on the sink needs `source` in memory; `None`: nothing of it for now.
    pub(super) fn floor(&self, source: &Source) -> Option<u64> {
        match (&self.spill, self.deal) {
            (Some(spill), _) => Some(spill.end()),
            (None, Some(deal)) => Some(deal.start.unwrap_or(self.position)),
            (None, None) => (!source.is_sharded()).then_some(self.position),
        }
    }

    /// Whether the sink has not taken all that was read of its source for it.
    pub(super) fn has_more(&self, source: &Source) -> bool {
        match self.deal {
            Some(deal) => self.position < deal.until.unwrap_or(source.end()),
            None => !source.is_sharded() && self.position < source.end(),
        }
    }

    /// Whether nothing more can come this way.
    pub(super) fn is_over(&self, source: &Source) -> bool {
        if source.is_sharded() {
            return self.deal.is_none() && source.is_dealt_out();
        }
        source.has_ended() && self.position >= source.end()
    }

    /// The sink has taken `bytes`, seen on their way.
    pub(super) fn took(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
        self.bytes += bytes.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        if let Some(last) = bytes.last() {
            self.at_line_start = *last == b'\n';
        }
    }

    /// The sink has taken `count` bytes as pages.
    pub(super) fn took_pages(&mut self, count: u64) {
        self.position += count;
        self.bytes += count;
        self.is_seen = false;
    }

    /// Records the sink has taken, if all were seen.
    pub(super) fn records(&self) -> Option<u64> {
        self.is_seen.then_some(self.lines + u64::from(!self.at_line_start))
    }
}

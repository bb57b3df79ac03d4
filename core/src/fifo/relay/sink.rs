//! What one consumer reads, put together from its sources.

use super::edge::Edge;
use super::source::Source;
use crate::error::{Error, ErrorKind, Result};
use rustix::event::PollFlags;
use rustix::io::{Errno, ioctl_fionread};
use rustix::pipe::fcntl_setpipe_size;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Read from the disk at a time.
const SPILL_READ_BYTES: u64 = 256 << 10;
/// Looked through at a time for the end of a line too long to be held whole.
const SEARCH_BYTES: u64 = 32 << 10;
/// A pipe of one page can be written exactly when its reader has taken all that was in it.
const PAGE_BYTES: u64 = 4096;
/// A sink that is back for more after this time gets twice as much at once,
const SWIFT: Duration = Duration::from_millis(1);
/// and after this one a single record.
const SLOW: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Sink {
    /// `None` once nothing more can come, or nobody reads.
    to: Option<OwnedFd>,
    pub(super) edges: Vec<Edge>,
    /// The edge whose line is being written: nobody else may write before its end.
    turn: Option<Turn>,
    /// Where the search for the next edge begins, so that none starves.
    next: usize,
    /// A newline is owed for a last line that had none.
    newline_owed: bool,
    /// Whether it had no room when last written.
    pub(super) is_full: bool,
    /// Whether pages can be moved into it.
    pub(super) takes_pages: bool,
    /// It stays open although nothing more comes: its end would look like a clean one.
    is_held: bool,
    /// What it was given last is a part of a line whose producer failed.
    is_torn: bool,
    /// Why it ended early, until somebody takes it.
    end: Option<Result<()>>,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    edge: usize,
    /// Where the turn is over; `None` within a line too long to be held whole.
    until: Option<u64>,
}

impl Sink {
    pub(super) fn new(to: OwnedFd) -> Sink {
        Sink {
            to: Some(to),
            edges: Vec::new(),
            turn: None,
            next: 0,
            newline_owed: false,
            is_full: false,
            takes_pages: true,
            is_held: false,
            is_torn: false,
            end: None,
        }
    }

    pub(super) fn connect(&mut self, source: usize, position: u64) {
        self.edges.push(Edge::new(source, position));
    }

    /// Makes its pipe so small that it has room only when its reader is idle.
    pub(super) fn shrink(&self) {
        if let Some(to) = &self.to {
            // What is no pipe is never idle nor busy.
            let _ = fcntl_setpipe_size(to, PAGE_BYTES as usize);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.to.is_some()
    }

    pub(super) fn is_held(&self) -> bool {
        self.is_open() && self.is_held
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.to.as_ref().map(AsFd::as_fd)
    }

    /// Bytes its reader has not taken out of its pipe.
    pub(super) fn waiting(&self) -> u64 {
        self.to.as_ref().map_or(0, |to| ioctl_fionread(to).unwrap_or(0))
    }

    /// Whether its pages may come straight from its only source.
    pub(super) fn is_paged(&self) -> bool {
        self.takes_pages && self.edges.len() == 1 && self.edges[0].spill.is_none()
    }

    /// The way from `source`, if it takes that and anything at all.
    pub(super) fn edge_from(&self, source: usize) -> Option<&Edge> {
        self.to.as_ref()?;
        self.edges.iter().find(|edge| edge.source == source)
    }

    /// There may be room, or its reader may have gone.
    pub(super) fn woke(&mut self, events: PollFlags, sources: &mut [Source]) {
        if events.contains(PollFlags::ERR) {
            self.leave(Ok(()), sources);
        } else if events.contains(PollFlags::OUT) {
            self.is_full = false;
        }
    }

    /// Closes when nothing more can come.
    pub(super) fn close_at_end(&mut self, place: usize, sources: &[Source]) {
        if !self.is_open() || self.newline_owed {
            return;
        }
        let told = |edge: &Edge| {
            let failure = sources[edge.source].failure.as_ref();
            failure.map(|failure| failure.told.contains(&place))
        };
        let over = |edge: &Edge| edge.is_over(&sources[edge.source]);
        let is_told = self.edges.iter().any(|edge| told(edge) == Some(true) && over(edge));
        if is_told {
            self.to = None;
        } else if self.edges.iter().all(over) {
            self.is_held = self.edges.iter().any(|edge| told(edge) == Some(false));
            if !self.is_held {
                self.to = None;
            }
        }
    }

    /// Why it ended early, once.
    pub(super) fn take_end(&mut self) -> Option<Result<()>> {
        self.end.take()
    }

    /// Writes as much as there is and as the reader has room for; whether anything moved.
    pub(super) fn write(&mut self, sources: &mut [Source], scratch: &mut Vec<u8>) -> bool {
        let mut moved = false;
        while self.is_open() && !self.is_full && !self.is_torn {
            if self.newline_owed {
                moved |= self.write_newline(sources);
                continue;
            }
            let Some(turn) = self.next_turn(sources) else {
                // The turn before may just have ended in the midst of a line.
                if self.newline_owed { continue } else { break }
            };
            self.turn = Some(turn);
            match self.write_some(turn, sources, scratch) {
                Ok(()) => moved = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.is_full = true,
                Err(errno) => self.fail(errno, sources),
            }
        }
        moved
    }

    fn write_newline(&mut self, sources: &mut [Source]) -> bool {
        let Some(to) = &self.to else { return false };
        match rustix::io::write(to, b"\n") {
            Ok(_) => self.newline_owed = false,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => self.is_full = true,
            Err(errno) => self.fail(errno, sources),
        }
        !self.newline_owed
    }

    /// One write of a turn's bytes.
    fn write_some(
        &mut self,
        mut turn: Turn,
        sources: &mut [Source],
        scratch: &mut Vec<u8>,
    ) -> std::result::Result<(), Errno> {
        let Some(to) = &self.to else { return Ok(()) };
        let edge = &mut self.edges[turn.edge];
        let source = &sources[edge.source];
        let end = turn.until.unwrap_or(source.end().min(edge.position + SEARCH_BYTES));
        let mut bytes = match &edge.spill {
            Some(spill) if edge.position < spill.end() => {
                let end = end.min(spill.end()).min(edge.position + SPILL_READ_BYTES);
                scratch.resize((end - edge.position) as usize, 0);
                let read = spill.read_at(scratch, edge.position);
                read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                scratch.as_slice()
            }
            _ => source.window.bytes(edge.position, end),
        };
        if turn.until.is_none()
            && let Some(at) = memchr::memchr(b'\n', bytes)
        {
            bytes = &bytes[..=at];
        }
        let count = rustix::io::write(to, bytes)?;
        edge.took(&bytes[..count]);
        if let Some(spill) = &mut edge.spill {
            spill.forget(edge.position);
        }
        if turn.until.is_none() && edge.at_line_start {
            turn.until = Some(edge.position);
            if let Some(deal) = &mut edge.deal {
                deal.until = turn.until;
                sources[edge.source].end_open_deal(edge.position);
            }
        }
        self.turn = Some(turn);
        if turn.until == Some(edge.position) {
            self.finish_turn(turn.edge, sources);
        }
        Ok(())
    }

    /// Whose bytes come next, and up to where they may be written.
    fn next_turn(&mut self, sources: &mut [Source]) -> Option<Turn> {
        if let Some(mut turn) = self.turn {
            let edge = &mut self.edges[turn.edge];
            let source = &mut sources[edge.source];
            if turn.until.is_none() && source.has_ended() {
                turn.until = Some(source.end());
                if let Some(deal) = &mut edge.deal {
                    deal.until = turn.until;
                    source.end_open_deal(source.end());
                }
                if edge.position >= source.end() {
                    self.finish_turn(turn.edge, sources);
                    return if self.newline_owed { None } else { self.next_turn(sources) };
                }
            }
            return (edge.position < turn.until.unwrap_or(source.end())).then_some(turn);
        }
        let edges = self.edges.len();
        for step in 0..edges {
            let edge = (self.next + step) % edges;
            if let Some(until) = self.offer(edge, sources) {
                return Some(Turn { edge, until });
            }
        }
        None
    }

    /// Up to where `edge` could have a turn: all there is for the only source, whole lines where
    /// others wait. `Some(None)` is a line too long to be held whole.
    fn offer(&mut self, edge: usize, sources: &mut [Source]) -> Option<Option<u64>> {
        let is_only = self.edges.len() == 1;
        let edge = &mut self.edges[edge];
        let source = &mut sources[edge.source];
        if source.is_sharded() {
            return offer_deal(edge, source);
        }
        if source.has_broken_off() && !is_only && edge.position >= source.lines_end() {
            // Half a line would be taken for a whole one once others follow it.
            edge.position = source.end();
            return None;
        }
        if is_only || source.has_ended() && !source.has_broken_off() {
            return (edge.position < source.end()).then_some(Some(source.end()));
        }
        if edge.position < source.lines_end() {
            return Some(Some(source.lines_end()));
        }
        (source.window.is_full() && edge.position < source.end()).then_some(None)
    }

    /// A turn is over. Where several are merged, a last line without a newline gets one.
    fn finish_turn(&mut self, place: usize, sources: &mut [Source]) {
        self.turn = None;
        self.next = place + 1;
        let is_merged = self.edges.len() > 1;
        let edge = &mut self.edges[place];
        let source = &sources[edge.source];
        let is_last = source.has_ended() && edge.position == source.end();
        let is_torn = is_merged && !edge.at_line_start;
        if edge.deal.take().is_some() {
            // Its reader is idle again when there is room.
            self.is_full = true;
            self.newline_owed = is_torn;
        } else {
            self.newline_owed = is_torn && is_last;
        }
        if is_torn && source.has_broken_off() {
            // A part of a line too long to be held has gone out already: nothing may follow it.
            self.is_torn = true;
            self.newline_owed = false;
        }
    }

    fn fail(&mut self, errno: Errno, sources: &mut [Source]) {
        let end = match errno {
            Errno::PIPE => Ok(()),
            Errno::NOSPC | Errno::DQUOT => {
                Err(Error::new(ErrorKind::Full, "can't keep a stream: no space left on the disk"))
            }
            _ => Err(Error::new(ErrorKind::Io, format!("can't pass on a stream: {errno}"))),
        };
        self.leave(end, sources);
    }

    /// Takes nothing more; what it was handed goes back.
    pub(super) fn leave(&mut self, end: Result<()>, sources: &mut [Source]) {
        self.to = None;
        self.end = Some(end);
        for edge in &mut self.edges {
            edge.spill = None;
            if let Some(deal) = edge.deal.take() {
                sources[edge.source].take_back(deal, edge.position);
            }
        }
    }
}

/// What a sharded source hands to an idle sink.
fn offer_deal(edge: &mut Edge, source: &mut Source) -> Option<Option<u64>> {
    if edge.deal.is_none() {
        let now = Instant::now();
        let portion = &mut edge.portion;
        let since = portion.dealt_at.map(|then| now.saturating_duration_since(then));
        portion.bytes = match since {
            Some(since) if since < SWIFT => (portion.bytes * 2).clamp(64, PAGE_BYTES),
            Some(since) if since < SLOW => portion.bytes,
            _ => 0,
        };
        let (start, deal) = source.deal(portion.bytes)?;
        portion.dealt_at = Some(now);
        edge.position = start;
        edge.deal = Some(deal);
    }
    let deal = edge.deal?;
    (edge.position < deal.until.unwrap_or(source.end())).then_some(deal.until)
}

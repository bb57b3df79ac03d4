//! Looking at a stream on its way without holding it up.

use super::sink::Sink;
use super::source::Source;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, tee};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Kept for whoever looks too slowly, in bytes; what comes beyond is not shown.
const PENDING_BYTES_MAX: usize = 1 << 20;
/// Longest record that is shown, in bytes.
const RECORD_BYTES_MAX: usize = 32 << 20;
/// Looked at of what is on its way, in bytes.
const PEEK_BYTES: usize = 1 << 20;

/// Which records a tap shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Every so many-th from now on; 0 counts as 1.
    Every(u64),
    /// The newest so many of those on their way; if there is none, the next so many.
    Last(u64),
}

/// Somebody who looks.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) sources: Vec<usize>,
    to: OwnedFd,
    every: u64,
    seen: u64,
    /// How many more are shown; `None`: no end.
    left: Option<u64>,
    pending: Vec<u8>,
    /// Beginnings of records, by source; `None`: in the midst of one whose beginning was not seen.
    begun: HashMap<usize, Option<Vec<u8>>>,
    is_full: bool,
    is_gone: bool,
}

impl Tap {
    pub(super) fn new(sources: Vec<usize>, sampling: Sampling, to: OwnedFd) -> Tap {
        let (every, left) = match sampling {
            Sampling::Every(every) => (every.max(1), None),
            Sampling::Last(count) => (1, Some(count)),
        };
        let (seen, pending, begun) = (0, Vec::new(), HashMap::new());
        let (is_full, is_gone) = (false, false);
        Tap { sources, to, every, seen, left, pending, begun, is_full, is_gone }
    }

    /// Begins to look: shows what is on its way, if that was asked for.
    pub(super) fn begin(&mut self, sources: &[Source], sinks: &[Sink]) {
        for &place in &self.sources.clone() {
            let source = &sources[place];
            // Nothing read yet: the first byte begins a record. Else that is not known.
            let fresh = (source.end() == 0).then(Vec::new);
            self.begun.insert(place, fresh);
        }
        let Some(count) = self.left else { return };
        let mut records: Vec<Vec<u8>> = Vec::new();
        for &place in &self.sources {
            let bytes = on_its_way(place, sources, sinks);
            let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            if lines.last().is_some_and(|line| !line.ends_with(b"\n")) {
                lines.pop();
            }
            let first = lines.len().saturating_sub(count as usize);
            records.extend(lines[first..].iter().map(|line| line.to_vec()));
        }
        if !records.is_empty() {
            let first = records.len().saturating_sub(count as usize);
            self.pending = records[first..].concat();
            self.left = Some(0);
        }
    }

    /// `bytes` have come from the source `place`.
    pub(super) fn feed(&mut self, place: usize, bytes: &[u8]) {
        if !self.sources.contains(&place) {
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_whole = piece.ends_with(b"\n");
            let begun = self.begun.entry(place).or_default();
            if let Some(record) = begun {
                record.extend_from_slice(piece);
                if record.len() > RECORD_BYTES_MAX {
                    *begun = None;
                }
            }
            if is_whole && let Some(record) = begun.replace(Vec::new()) {
                self.show(&record);
            }
        }
    }

    fn show(&mut self, record: &[u8]) {
        self.seen += 1;
        if !self.seen.is_multiple_of(self.every) || self.left == Some(0) {
            return;
        }
        // A record larger than that is shown to whoever has taken all before it.
        if self.pending.is_empty() || self.pending.len() + record.len() <= PENDING_BYTES_MAX {
            self.pending.extend_from_slice(record);
            self.left = self.left.map(|left| left - 1);
        }
    }

    /// Writes what there is room for.
    pub(super) fn write(&mut self) {
        while !self.pending.is_empty() && !self.is_full && !self.is_gone {
            match rustix::io::write(&self.to, &self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.is_full = true,
                Err(_) => self.is_gone = true,
            }
        }
    }

    /// Whether there is nothing more to show, or nobody to show it to.
    pub(super) fn is_over(&self, sources: &[Source]) -> bool {
        let ended = || self.sources.iter().all(|place| sources[*place].has_ended());
        self.is_gone || self.pending.is_empty() && (self.left == Some(0) || ended())
    }

    pub(super) fn wants(&self) -> (BorrowedFd<'_>, PollFlags) {
        (self.to.as_fd(), if self.is_full { PollFlags::OUT } else { PollFlags::empty() })
    }

    pub(super) fn woke(&mut self, events: PollFlags) {
        self.is_gone |= events.intersects(PollFlags::ERR | PollFlags::HUP);
        self.is_full = false;
    }
}

/// What lies between the producer `place` and one of its consumers, whole records only.
fn on_its_way(place: usize, sources: &[Source], sinks: &[Sink]) -> Vec<u8> {
    let source = &sources[place];
    let sink = sinks.iter().find(|sink| sink.is_paged() && sink.edge_from(place).is_some());
    let mut bytes = Vec::new();
    let mut position = source.window.start();
    if let Some((sink, edge)) = sink.and_then(|sink| Some((sink, sink.edge_from(place)?))) {
        bytes = sink.fd().and_then(peek_behind).unwrap_or_default();
        position = edge.position;
        // The reader may have taken the beginning of the first one.
        let begin = if edge.bytes == bytes.len() as u64 {
            Some(0)
        } else {
            memchr::memchr(b'\n', &bytes).map(|at| at + 1)
        };
        bytes.drain(..begin.unwrap_or(0));
    }
    if position < source.end() {
        bytes.extend_from_slice(source.window.bytes(position, source.end()));
    }
    let ahead = position.saturating_sub(source.end()) as usize;
    let waiting = source.fd().and_then(peek).unwrap_or_default();
    bytes.extend_from_slice(waiting.get(ahead..).unwrap_or_default());
    bytes
}

/// What is in a pipe of which only the writing end is at hand.
fn peek_behind(to: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let path = format!("/proc/self/fd/{}", to.as_raw_fd());
    let from = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
    peek(from.ok()?.as_fd())
}

/// What is in a pipe, left there.
fn peek(from: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    let _ = fcntl_setpipe_size(&write, PEEK_BYTES);
    let count = tee(from, &write, PEEK_BYTES, SpliceFlags::NONBLOCK).ok()?;
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        filled += match rustix::io::read(&read, &mut bytes[filled..]).ok()? {
            0 => return None,
            count => count,
        };
    }
    Some(bytes)
}

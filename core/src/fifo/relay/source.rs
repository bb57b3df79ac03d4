//! What one producer writes, as far as its slowest consumer has not taken it.

use super::edge::Deal;
use super::window::Window;
use rustix::event::PollFlags;
use rustix::io::{Errno, ioctl_fionread};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What becomes of a source's records where it has several sinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Every sink gets every record.
    #[default]
    Broadcast,
    /// Each record goes to one sink, to one that is idle first.
    Shard,
}

#[derive(Debug)]
pub(super) struct Source {
    /// `None` once nobody writes any more, or nobody reads.
    from: Option<OwnedFd>,
    pub(super) window: Window,
    /// Just behind the last newline seen in memory.
    lines_end: u64,
    /// Whether its pipe was empty when last looked at.
    pub(super) is_dry: bool,
    closed: Closed,
    drained: bool,
    /// Its producer failed: what comes is passed on, but it has no end that all are told of.
    pub(super) failure: Option<Failure>,
    shard: Option<Shard>,
}

/// Whether anybody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    No,
    /// Nobody does, which has not been told yet.
    Untold,
    Told,
}

/// Who is told of a failed producer's end, as places of sinks.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) told: Vec<usize>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Up to where records have been handed out.
    dealt: u64,
    /// A record whose end has not been seen is being taken, from `dealt` on.
    is_open: bool,
    /// The rest of a record whose taker went in its midst is nobody's.
    skips: bool,
    /// Handed out to sinks that went before they had taken it.
    returned: Vec<(u64, u64)>,
}

impl Source {
    pub(super) fn new(from: OwnedFd) -> Source {
        Source {
            from: Some(from),
            window: Window::default(),
            lines_end: 0,
            is_dry: false,
            closed: Closed::No,
            drained: false,
            failure: None,
            shard: None,
        }
    }

    pub(super) fn set_delivery(&mut self, delivery: Delivery) {
        self.shard = (delivery == Delivery::Shard).then(Shard::default);
    }

    pub(super) fn is_sharded(&self) -> bool {
        self.shard.is_some()
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.from.as_ref().map(AsFd::as_fd)
    }

    /// The position up to which it has been read.
    pub(super) fn end(&self) -> u64 {
        self.window.end()
    }

    /// Just behind the last whole line that has been read.
    pub(super) fn lines_end(&self) -> u64 {
        self.lines_end
    }

    /// Whether nothing more will be read.
    pub(super) fn has_ended(&self) -> bool {
        self.from.is_none()
    }

    /// Whether that is because its producer failed.
    pub(super) fn has_broken_off(&self) -> bool {
        self.has_ended() && self.failure.is_some()
    }

    /// Whether it has ended and everything was taken.
    pub(super) fn is_drained(&self) -> bool {
        self.drained
    }

    /// Bytes waiting in its pipe.
    pub(super) fn waiting(&self) -> u64 {
        self.from.as_ref().map_or(0, |from| ioctl_fionread(from).unwrap_or(0))
    }

    /// Whether something of it, or its end, can't be read for want of room.
    pub(super) fn is_held_up(&self) -> bool {
        self.from.is_some() && (self.closed != Closed::No || self.waiting() > 0)
    }

    /// Whether there may be something to read, and room for it.
    pub(super) fn is_readable(&self) -> bool {
        self.from.is_some() && !self.is_dry && !self.window.is_full()
    }

    /// What to wait for: bytes if there were none, else just the last writer's leaving.
    pub(super) fn wants(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let from = self.from.as_ref()?.as_fd();
        match (self.is_dry, self.closed) {
            (true, _) => Some((from, PollFlags::IN)),
            (false, Closed::No) => Some((from, PollFlags::empty())),
            (false, _) => None,
        }
    }

    /// Something that was wanted has come.
    pub(super) fn woke(&mut self, events: PollFlags) {
        self.is_dry = false;
        if events.contains(PollFlags::HUP) {
            self.close();
        }
    }

    /// Whether it has become known, since the last call, that nobody writes any more.
    pub(super) fn take_closed(&mut self) -> bool {
        let untold = self.closed == Closed::Untold;
        if untold {
            self.closed = Closed::Told;
        }
        untold
    }

    fn close(&mut self) {
        if self.closed == Closed::No {
            self.closed = Closed::Untold;
        }
    }

    /// Reads no more.
    pub(super) fn stop(&mut self) {
        self.from = None;
        self.close();
    }

    /// Its producer has failed.
    pub(super) fn fail(&mut self, told: Vec<usize>) {
        self.failure = Some(Failure { told });
        // What it left in its pipe is to be read, to its end.
        self.is_dry = false;
    }

    /// Its pipe is empty. After a failure nothing more will come.
    pub(super) fn ran_dry(&mut self) {
        self.is_dry = true;
        if self.failure.is_some() {
            self.stop();
        }
    }

    /// Reads what is there, as far as it fits; returns where that begins.
    pub(super) fn read(&mut self) -> Option<u64> {
        let from = self.from.as_ref()?;
        match self.window.read(from) {
            Ok(Some(begin)) => {
                let new = self.window.bytes(begin, self.window.end());
                if let Some(at) = memchr::memrchr(b'\n', new) {
                    self.lines_end = begin + at as u64 + 1;
                }
                self.skip();
                return Some(begin);
            }
            Ok(None) => self.stop(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => self.ran_dry(),
            Err(_) => self.stop(),
        }
        None
    }

    /// Makes room for more: forgets what lies before `lowest`, the lowest position that a sink still
    /// needs in memory, or all there is.
    pub(super) fn forget(&mut self, lowest: Option<u64>) {
        let mut taken = lowest.unwrap_or(self.end());
        if let Some(shard) = &self.shard {
            let returned = shard.returned.iter().map(|(start, _)| *start).min();
            let dealt = if shard.is_open { self.end() } else { shard.dealt };
            taken = taken.min(dealt).min(returned.unwrap_or(u64::MAX));
        }
        // A sink that took pages may be ahead of what has been read.
        self.window.forget(taken.clamp(self.window.start(), self.end()));
    }

    /// All has been taken, or nobody is left to take it: the producer is told by closing.
    pub(super) fn finish(&mut self) {
        self.stop();
        self.drained = true;
        self.window.forget(self.end());
    }

    /// Whether a sharded source has handed out all there was.
    pub(super) fn is_dealt_out(&self) -> bool {
        let Some(shard) = &self.shard else { return true };
        // Half a record is handed to nobody.
        let end = if self.has_broken_off() { self.lines_end } else { self.end() };
        self.from.is_none() && shard.returned.is_empty() && shard.dealt >= end
    }

    /// Whether a sharded source has records to hand out, or the beginning of one too long to hold.
    pub(super) fn can_deal(&self) -> bool {
        self.next_deal(0).is_some()
    }

    /// Hands out at least one record, and not more than `portion` bytes unless one is longer;
    /// returns where it begins, too.
    pub(super) fn deal(&mut self, portion: u64) -> Option<(u64, Deal)> {
        let (start, until) = self.next_deal(portion)?;
        let shard = self.shard.as_mut()?;
        if let Some(place) = shard.returned.iter().position(|(first, _)| *first == start) {
            shard.returned.remove(place);
        } else {
            shard.is_open = until.is_none();
            shard.dealt = until.unwrap_or(start);
        }
        Some((start, Deal { start: until.map(|_| start), until }))
    }

    fn next_deal(&self, portion: u64) -> Option<(u64, Option<u64>)> {
        let shard = self.shard.as_ref()?;
        if let Some((start, until)) = shard.returned.first() {
            return Some((*start, Some(*until)));
        }
        let (start, end) = (shard.dealt, self.end());
        if shard.is_open || shard.skips || start == end {
            return None;
        }
        let bytes = self.window.bytes(start, end);
        let fits = bytes.len().min(portion as usize);
        let line = || memchr::memchr(b'\n', &bytes[fits..]).map(|at| fits + at);
        match memchr::memrchr(b'\n', &bytes[..fits]).or_else(line) {
            Some(at) => Some((start, Some(start + at as u64 + 1))),
            None if self.has_broken_off() => None,
            None if self.from.is_none() => Some((start, Some(end))),
            // Too long for the window: whoever gets its beginning gets all of it.
            None if self.window.is_full() && start == self.window.start() => Some((start, None)),
            None => None,
        }
    }

    /// Where the record ends that was handed out before its end was known.
    pub(super) fn end_open_deal(&mut self, until: u64) {
        if let Some(shard) = &mut self.shard {
            shard.is_open = false;
            shard.dealt = until;
        }
    }

    /// Takes back what a sink was handed and had taken up to `position` when it went.
    pub(super) fn take_back(&mut self, deal: Deal, position: u64) {
        let Some(shard) = &mut self.shard else { return };
        match (deal.start, deal.until) {
            (Some(start), Some(until)) => shard.returned.push((start, until)),
            // The end of a record whose beginning has gone: no record.
            (None, Some(_)) => {}
            (_, None) => {
                shard.is_open = false;
                shard.skips = position > shard.dealt;
                shard.dealt = position;
                self.skip();
            }
        }
    }

    /// Passes over the rest of a record that nobody can have.
    fn skip(&mut self) {
        let end = self.end();
        let Some(shard) = self.shard.as_mut().filter(|shard| shard.skips) else { return };
        match memchr::memchr(b'\n', self.window.bytes(shard.dealt, end)) {
            Some(at) => {
                shard.dealt += at as u64 + 1;
                shard.skips = false;
            }
            None => shard.dealt = end,
        }
    }
}

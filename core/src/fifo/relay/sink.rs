//! What one consumer reads, put together from its sources.

use super::source::Source;
use crate::error::{Error, ErrorKind, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug)]
pub(super) struct Sink {
    /// `None` once nothing more can come, or nobody reads.
    to: Option<OwnedFd>,
    edges: Vec<Edge>,
    /// The edge whose line is being written: nobody else may write before its end.
    turn: Option<Turn>,
    /// Where the search for the next edge begins, so that none starves.
    next: usize,
    /// A newline is owed for a last line that had none.
    newline_owed: bool,
    /// Why it ended early, until somebody takes it.
    end: Option<Result<()>>,
}

#[derive(Debug)]
struct Edge {
    source: usize,
    position: u64,
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
            end: None,
        }
    }

    pub(super) fn connect(&mut self, source: usize, position: u64) {
        self.edges.push(Edge { source, position });
    }

    /// The sources it is connected to.
    pub(super) fn sources(&self) -> impl Iterator<Item = usize> {
        self.edges.iter().map(|edge| edge.source)
    }

    /// How far it has taken `source`; `None` when it takes nothing from there (any more).
    pub(super) fn position_in(&self, source: usize) -> Option<u64> {
        self.to.as_ref()?;
        self.edges.iter().find(|edge| edge.source == source).map(|edge| edge.position)
    }

    /// What to wait for.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.to.as_ref().map(AsFd::as_fd)
    }

    /// Whether there is something it could write now.
    pub(super) fn is_pending(&self, sources: &[Source]) -> bool {
        self.to.is_some()
            && (self.newline_owed
                || match self.turn {
                    Some(turn) => {
                        let edge = &self.edges[turn.edge];
                        edge.position < sources[edge.source].end()
                    }
                    None => (0..self.edges.len()).any(|edge| self.offer(edge, sources).is_some()),
                })
    }

    /// Notices a reader that has gone while there is nothing to write.
    pub(super) fn check_reader(&mut self) {
        let Some(to) = &self.to else { return };
        let mut fds = [PollFd::new(to.as_fd(), PollFlags::empty())];
        let gone = poll(&mut fds, PollTimeout::ZERO).is_ok()
            && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR));
        if gone {
            self.close(Ok(()));
        }
    }

    /// Closes when nothing more can come; returns why it ended early, once.
    pub(super) fn take_end(&mut self, sources: &[Source]) -> Option<Result<()>> {
        let over = |edge: &Edge| {
            let source = &sources[edge.source];
            source.has_ended() && edge.position == source.end()
        };
        if self.to.is_some() && !self.newline_owed && self.edges.iter().all(over) {
            self.to = None;
        }
        self.end.take()
    }

    /// Writes as much as there is and as the reader has room for.
    pub(super) fn write(&mut self, sources: &[Source]) {
        loop {
            let turn = if self.newline_owed { None } else { self.next_turn(sources) };
            let Some(to) = &self.to else { return };
            if self.newline_owed {
                match nix::unistd::write(to, b"\n") {
                    Ok(_) => self.newline_owed = false,
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => return,
                    Err(errno) => self.fail(errno),
                }
                continue;
            }
            let Some((turn, end)) = turn else { return };
            let edge = &mut self.edges[turn.edge];
            let source = &sources[edge.source];
            match nix::unistd::write(to, source.bytes(edge.position, end)) {
                Ok(bytes) => {
                    edge.position += bytes as u64;
                    self.turn = Some(turn);
                    if turn.until == Some(edge.position) {
                        self.finish_turn(turn.edge, sources);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.turn = Some(turn);
                    return;
                }
                Err(errno) => self.fail(errno),
            }
        }
    }

    /// Whose bytes come next, and up to where they may be written now.
    fn next_turn(&mut self, sources: &[Source]) -> Option<(Turn, u64)> {
        if let Some(mut turn) = self.turn {
            let edge = &self.edges[turn.edge];
            let source = &sources[edge.source];
            if turn.until.is_none() {
                // The rest of a line that was too long to wait for its end.
                turn.until = source.line_end_from(edge.position);
                if turn.until.is_none() && source.has_ended() {
                    turn.until = Some(source.end());
                    if edge.position == source.end() {
                        self.finish_turn(turn.edge, sources);
                        return self.next_turn(sources);
                    }
                }
            }
            let end = turn.until.unwrap_or(source.end());
            return (edge.position < end).then_some((turn, end));
        }
        let edges = self.edges.len();
        (0..edges).map(|step| (self.next + step) % edges).find_map(|edge| {
            let until = self.offer(edge, sources)?;
            let end = until.unwrap_or(sources[self.edges[edge].source].end());
            Some((Turn { edge, until }, end))
        })
    }

    /// Up to where `edge` could have a turn: all there is for the only source, whole lines where
    /// others wait. `Some(None)` is a line too long to be held whole.
    fn offer(&self, edge: usize, sources: &[Source]) -> Option<Option<u64>> {
        let edge = &self.edges[edge];
        let source = &sources[edge.source];
        if self.edges.len() == 1 || source.has_ended() {
            return (edge.position < source.end()).then_some(Some(source.end()));
        }
        if edge.position < source.lines_end() {
            return Some(Some(source.lines_end()));
        }
        (source.is_full() && edge.position == source.position()).then_some(None)
    }

    /// A turn is over. Where several are merged, a last line without a newline gets one.
    fn finish_turn(&mut self, edge: usize, sources: &[Source]) {
        self.turn = None;
        self.next = edge + 1;
        let edge = &self.edges[edge];
        let source = &sources[edge.source];
        let at_end = source.has_ended() && edge.position == source.end();
        self.newline_owed = self.edges.len() > 1 && at_end && edge.position != source.lines_end();
    }

    fn fail(&mut self, errno: Errno) {
        self.close(match errno {
            Errno::EPIPE => Ok(()),
            Errno::ENOSPC | Errno::EDQUOT => {
                Err(Error::new(ErrorKind::Full, "can't keep a stream: no space left on the disk"))
            }
            _ => {
                Err(Error::new(ErrorKind::Io, format!("can't pass on a stream: {}", errno.desc())))
            }
        });
    }

    fn close(&mut self, end: Result<()>) {
        self.to = None;
        self.end = Some(end);
    }
}

//! The reading side of a stream, without Python: bytes as they come, cut into records.

use crate::stream::Location;
use otto_core::{Error, ErrorKind, Result, TICK, Tick, fifo, limits};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Asked of the pipe at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// The records of a stream in order. Opened when the first is asked for.
pub(crate) struct Records {
    from: Location,
    cut: Cut,
    state: State,
    /// Set by whoever wants the stream closed while it is being read.
    closing: Arc<AtomicBool>,
    buffer: Vec<u8>,
    /// Where the next record begins.
    start: usize,
    /// Up to where no line end was found.
    searched: usize,
    number: u64,
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A line.
    Lines,
    /// Whatever is there.
    Pieces,
}

enum State {
    Unopened,
    /// Until a writer has come, a read that gives nothing is no end.
    Open {
        file: File,
        begun: bool,
    },
    Ended,
    /// Its producer, as far as it is known, failed: this is no end.
    BrokenOff(String),
}

impl Records {
    pub(crate) fn new(from: Location, cut: Cut, closing: Arc<AtomicBool>) -> Records {
        if from.has_notes {
            // At once, since the producer may fail before the first read. Who can't say that it will
            // ask is treated as one that does not: no end, and then TERM.
            let _ = fifo::check_in(&from.path);
        }
        let (start, searched, number) = (0, 0, 0);
        let (state, buffer) = (State::Unopened, Vec::new());
        Records { from, cut, state, closing, buffer, start, searched, number }
    }

    /// Stops reading; what was read and not asked for is dropped.
    pub(crate) fn close(&mut self) {
        self.state = State::Ended;
        self.buffer = Vec::new();
        (self.start, self.searched) = (0, 0);
    }

    /// Whether [`Records::next`] has an answer.
    pub(crate) fn has_next(&mut self) -> bool {
        self.has_whole() || !matches!(self.state, State::Unopened | State::Open { .. })
    }

    /// Whether a whole record is there, the last line without its end aside; afterwards `searched`
    /// is where it ends.
    fn has_whole(&mut self) -> bool {
        if self.cut == Cut::Pieces {
            self.searched = self.buffer.len();
            return self.start < self.searched;
        }
        match memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            Some(at) => {
                self.searched += at;
                true
            }
            None => {
                self.searched = self.buffer.len();
                false
            }
        }
    }

    /// The next record and its number, `None` at the end. Only after [`Records::has_next`].
    ///
    /// # Errors
    /// [`ErrorKind::ProducerEnded`] instead of an end when the producer failed. The line it did not
    /// complete is no record.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        let (from, end) = (self.start, self.searched);
        if end == self.buffer.len()
            && self.cut == Cut::Lines
            && let State::BrokenOff(producer) = &self.state
        {
            return Err(broken_off(producer));
        }
        if from == self.buffer.len() {
            return match &self.state {
                State::BrokenOff(producer) => Err(broken_off(producer)),
                _ => Ok(None),
            };
        }
        let line_end = usize::from(self.cut == Cut::Lines);
        self.start = (end + line_end).min(self.buffer.len());
        self.searched = self.start;
        self.number += 1;
        Ok(Some((self.number, &self.buffer[from..end])))
    }

    /// Waits until [`Records::next`] has an answer.
    pub(crate) fn fill(&mut self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<()> {
        while !self.has_next() {
            self.open()?;
            if !self.receive()? {
                self.wait(deadline, tick)?;
            }
        }
        Ok(())
    }

    /// What to watch for when there is no record: readable when [`Records::receive`] has something
    /// to do. `None` at the end.
    pub(crate) fn descriptor(&mut self) -> Result<Option<BorrowedFd<'_>>> {
        use std::os::fd::AsFd;
        self.open()?;
        Ok(match &self.state {
            State::Open { file, .. } => Some(file.as_fd()),
            _ => None,
        })
    }

    /// Has somebody found the descriptor readable: from now on nothing to read is the end.
    pub(crate) fn found_readable(&mut self) {
        if let State::Open { begun, .. } = &mut self.state {
            *begun = true;
        }
    }

    fn open(&mut self) -> Result<()> {
        if matches!(self.state, State::Unopened) {
            let file = fifo::begin_read(&self.from.path)?;
            self.state = State::Open { file, begun: false };
        }
        Ok(())
    }

    /// Reads once without waiting; whether there was something, or the end.
    pub(crate) fn receive(&mut self) -> Result<bool> {
        let State::Open { file, begun: true } = &self.state else {
            return Ok(!matches!(self.state, State::Unopened | State::Open { .. }));
        };
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        if self.buffer.len() > limits::FRAME_BYTES_MAX {
            let message = format!("is longer than {} bytes", limits::FRAME_BYTES_MAX);
            return Err(bad(self.number + 1, &message));
        }
        // Grows by what is read into it: memory beyond that is never touched.
        self.buffer.reserve(CHUNK_BYTES);
        loop {
            match rustix::io::read(file, spare_capacity(&mut self.buffer)) {
                Ok(0) => {
                    self.end();
                    return Ok(true);
                }
                Ok(_) => return Ok(true),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::io("read", &self.from.path, errno.into())),
            }
        }
    }

    /// The last writer has gone: was that the end?
    fn end(&mut self) {
        let failed = match self.from.has_notes {
            true => fifo::failed_producer(&self.from.path),
            false => None,
        };
        self.state = failed.map_or(State::Ended, State::BrokenOff);
    }

    /// Waits for bytes or the end.
    fn wait(&mut self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<()> {
        let State::Open { file, begun } = &mut self.state else { return Ok(()) };
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = left.map_or(TICK, |left| left.min(TICK));
            let slice = Timespec { tv_sec: 0, tv_nsec: i64::from(slice.subsec_nanos()) };
            match poll(&mut [PollFd::new(&*file, PollFlags::IN)], Some(&slice)) {
                Ok(0) | Err(Errno::INTR) => tick()?,
                Ok(_) => {
                    *begun = true;
                    return Ok(());
                }
                Err(errno) => return Err(Error::io("wait for", &self.from.path, errno.into())),
            }
            if self.closing.load(Ordering::Relaxed) {
                self.close();
                return Ok(());
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Err(self.late());
            }
        }
    }

    /// That nothing came in time.
    pub(crate) fn late(&self) -> Error {
        let message = format!("timeout: nothing came through {}", self.from.path.display());
        Error::new(ErrorKind::TimedOut, message)
    }
}

fn broken_off(producer: &str) -> Error {
    let message = match producer {
        "" => "a producer of this stream failed: it broke off".to_owned(),
        name => format!("the producer {name} failed: its stream broke off"),
    };
    Error::new(ErrorKind::ProducerEnded, message)
}

/// What is wrong with a record.
pub(crate) fn bad(number: u64, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("line {number} of the stream: {what}"))
}

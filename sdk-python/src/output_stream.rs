//! The writing side of a stream, without Python: records collected and sent in large pieces.

use crate::fork;
use crate::later::Deferred;
use otto_core::{Error, ErrorKind, Result, TICK, Tick};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Collected before a piece is sent at once.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// An open stream. Any thread may add and drain; pieces never overtake each other.
pub(crate) struct OutputStream {
    path: PathBuf,
    /// The generation that opened it: a forked child must not send the parent's records again.
    owner: u32,
    state: Mutex<State>,
    drained: Condvar,
}

struct State {
    /// `None` once closed.
    file: Option<Arc<File>>,
    pending: Vec<u8>,
    /// A thread is sending a piece it took out of `pending`.
    sending: bool,
    /// Somebody will call `send_soon`.
    scheduled: bool,
    /// A thread is closing it: what others still added would be lost.
    closing: bool,
    /// A wait for the reader was given up: nobody waits for it again unasked.
    given_up: bool,
    /// What the pipe refused with, for ever: told to every caller until the stream is closed.
    failed: Option<Errno>,
}

/// What has to be done after [`OutputStream::add`].
pub(crate) struct Added {
    /// Enough has come together: drain.
    pub(crate) full: bool,
    /// Schedule the stream.
    pub(crate) schedule: bool,
}

impl OutputStream {
    /// Takes an open FIFO.
    pub(crate) fn new(path: &Path, file: File) -> Result<OutputStream> {
        // This open file is ours alone, so its flags are too.
        fcntl_getfl(&file)
            .and_then(|flags| fcntl_setfl(&file, flags | OFlags::NONBLOCK))
            .map_err(|errno| Error::io("open", path, errno.into()))?;
        let state = State {
            file: Some(Arc::new(file)),
            pending: Vec::new(),
            sending: false,
            scheduled: false,
            closing: false,
            given_up: false,
            failed: None,
        };
        Ok(OutputStream {
            path: path.to_owned(),
            owner: fork::generation(),
            state: Mutex::new(state),
            drained: Condvar::new(),
        })
    }

    /// Where it leads.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process opened it.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner == fork::generation()
    }

    /// Adds `bytes` and what ends them.
    pub(crate) fn add(&self, bytes: &[u8], end: &[u8]) -> Result<Added> {
        let mut state = self.usable()?;
        if state.closing {
            return Err(self.closed());
        }
        state.pending.extend_from_slice(bytes);
        state.pending.extend_from_slice(end);
        let full = state.pending.len() >= PIECE_BYTES;
        let schedule = !full && !state.scheduled && !state.pending.is_empty();
        state.scheduled |= schedule;
        Ok(Added { full, schedule })
    }

    /// Sends everything added so far and waits until the pipe has taken it. What `tick` stops is
    /// kept for the next call.
    pub(crate) fn drain(&self, tick: Tick<'_>) -> Result<()> {
        self.drain_with(&[], tick)
    }

    /// As [`OutputStream::drain`], and then sends `more` from where it lies. What `tick` stops of that
    /// is not kept: it may be of any size, and copying it would hold up Ctrl-C.
    pub(crate) fn drain_with(&self, more: &[u8], tick: Tick<'_>) -> Result<()> {
        let mut state = self.usable()?;
        while state.sending {
            // Unlocked while ticking, which may need the GIL: others add with it held.
            drop(self.drained.wait_timeout(state, TICK));
            tick()?;
            state = self.usable()?;
        }
        let Some(file) = state.file.clone() else { return Ok(()) };
        if state.pending.is_empty() && more.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut state.pending);
        state.sending = true;
        drop(state);
        let (sent, mut outcome) = self.send(&file, &piece, tick);
        if outcome.is_ok() && !more.is_empty() {
            outcome = self.send(&file, more, tick).1;
        }
        self.sent(piece, sent, outcome)
    }

    /// Puts back what was not sent, in front of what was added meanwhile.
    fn sent(
        &self,
        mut piece: Vec<u8>,
        sent: usize,
        outcome: std::result::Result<(), Stopped>,
    ) -> Result<()> {
        let mut state = self.lock();
        state.sending = false;
        state.given_up = matches!(&outcome, Err(Stopped::Tick(_)));
        if outcome.is_ok() && state.pending.is_empty() {
            // Its memory serves the next piece.
            piece.clear();
            state.pending = piece;
        } else {
            piece.drain(..sent);
            piece.append(&mut state.pending);
            state.pending = piece;
        }
        let outcome = match outcome {
            Ok(()) => Ok(()),
            Err(Stopped::Tick(error)) => Err(error),
            Err(Stopped::Refused(errno)) => Err(self.refused(&mut state, errno)),
        };
        drop(state);
        self.drained.notify_all();
        outcome
    }

    /// Sends what fits now; whether nothing is left.
    pub(crate) fn push(&self) -> Result<bool> {
        let mut state = self.usable()?;
        match self.send_now(&mut state) {
            Some(errno) => Err(self.refused(&mut state, errno)),
            None => Ok(state.pending.is_empty() && !state.sending),
        }
    }

    /// Whether a whole piece waits for the reader.
    pub(crate) fn is_full(&self) -> Result<bool> {
        Ok(self.usable()?.pending.len() >= PIECE_BYTES)
    }

    /// What to watch for when the pipe is full; `None` once closed.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.lock().file.as_ref().map(|file| file.as_raw_fd())
    }

    /// Notes whether the last wait for the reader was given up: [`OutputStream::end`] will not wait.
    pub(crate) fn give_up(&self, given_up: bool) {
        self.lock().given_up = given_up;
    }

    /// Whether the last wait for the reader was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.lock().given_up
    }

    /// Drains and closes; a second time it does nothing.
    pub(crate) fn close(&self, tick: Tick<'_>) -> Result<()> {
        {
            let mut state = self.lock();
            if state.file.is_none() {
                return Ok(());
            }
            state.closing = true;
        }
        let drained = self.drain(tick);
        let mut state = self.lock();
        state.closing = false;
        if state.file.is_none() {
            // Another thread has.
            return Ok(());
        }
        if !matches!(&drained, Err(error) if error.kind() == ErrorKind::Interrupted) {
            state.file = None;
        }
        drained
    }

    /// Closes because nobody will write again: as [`OutputStream::close`], but when the last wait was
    /// given up only what fits is sent.
    pub(crate) fn end(&self, tick: Tick<'_>) -> Result<()> {
        if self.is_given_up() {
            self.send_soon();
            self.lock().file = None;
        }
        self.close(tick)
    }

    /// Writes `bytes`; how many the pipe took.
    fn send(
        &self,
        file: &File,
        bytes: &[u8],
        tick: Tick<'_>,
    ) -> (usize, std::result::Result<(), Stopped>) {
        let mut sent = 0;
        loop {
            match write(file, &bytes[sent..]) {
                Ok(taken) => sent += taken,
                Err(errno) => return (sent, Err(Stopped::Refused(errno))),
            }
            if sent == bytes.len() {
                return (sent, Ok(()));
            }
            let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
            match poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&wait)) {
                Ok(0) | Err(Errno::INTR) => {
                    if let Err(error) = tick() {
                        return (sent, Err(Stopped::Tick(error)));
                    }
                }
                Ok(_) => {}
                Err(errno) => return (sent, Err(Stopped::Refused(errno))),
            }
        }
    }

    /// Writes what fits now of what nobody else is sending.
    fn send_now(&self, state: &mut State) -> Option<Errno> {
        if state.sending {
            return None;
        }
        match write(state.file.as_ref()?, &state.pending) {
            Ok(bytes) => drop(state.pending.drain(..bytes)),
            Err(errno) => return Some(errno),
        }
        None
    }

    /// Notes that the pipe takes no more: what is left can go nowhere.
    fn refused(&self, state: &mut State, errno: Errno) -> Error {
        state.failed = Some(errno);
        state.pending = Vec::new();
        Error::io("write to", &self.path, errno.into())
    }

    fn usable(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if let Some(errno) = state.failed.filter(|_| state.file.is_some()) {
            return Err(Error::io("write to", &self.path, errno.into()));
        }
        if state.file.is_none() {
            return Err(self.closed());
        }
        Ok(state)
    }

    fn closed(&self) -> Error {
        Error::new(ErrorKind::Usage, format!("the stream {} is closed", self.path.display()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why sending stopped early.
enum Stopped {
    Tick(Error),
    Refused(Errno),
}

impl Deferred for OutputStream {
    fn send_soon(&self) -> bool {
        let mut state = self.lock();
        if state.sending {
            return true;
        }
        if let Some(errno) = self.send_now(&mut state) {
            self.refused(&mut state, errno);
        }
        state.scheduled = state.file.is_some() && !state.pending.is_empty();
        state.scheduled
    }

    fn finish(&self, tick: Tick<'_>) -> Result<()> {
        self.end(tick)
    }
}

/// Writes what fits now.
fn write(file: &File, bytes: &[u8]) -> std::result::Result<usize, Errno> {
    let mut sent = 0;
    while sent < bytes.len() {
        match rustix::io::write(file, &bytes[sent..]) {
            Ok(written) => sent += written,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(sent)
}

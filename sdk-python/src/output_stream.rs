//! The writing side of a stream, without Python: records collected and sent in large pieces.

use crate::later::Deferred;
use otto_core::{Error, ErrorKind, Result, TICK, Tick};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Collected before a piece is sent at once.
const PIECE_BYTES: usize = 64 << 10;

/// An open stream. Any thread may add and drain; pieces never overtake each other.
pub(crate) struct OutputStream {
    path: PathBuf,
    /// The process that opened it: a forked child must not send the parent's records again.
    owner: u32,
    state: Mutex<State>,
    drained: Condvar,
}

struct State {
    /// `None` once closed.
    file: Option<File>,
    pending: Vec<u8>,
    /// A thread is sending a piece it took out of `pending`.
    sending: bool,
    /// Somebody will call `send_soon`.
    scheduled: bool,
    /// Ctrl-C ended a wait for the reader: nobody waits for it again unasked.
    interrupted: bool,
    /// What a `send_soon` ran into: told to the next caller.
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
            file: Some(file),
            pending: Vec::new(),
            sending: false,
            scheduled: false,
            interrupted: false,
            failed: None,
        };
        Ok(OutputStream {
            path: path.to_owned(),
            owner: process::id(),
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
        self.owner == process::id()
    }

    /// Adds one line, without its end.
    pub(crate) fn add(&self, line: &[u8]) -> Result<Added> {
        let mut state = self.usable()?;
        state.pending.extend_from_slice(line);
        state.pending.push(b'\n');
        let full = state.pending.len() >= PIECE_BYTES;
        let schedule = !full && !state.scheduled;
        state.scheduled |= schedule;
        Ok(Added { full, schedule })
    }

    /// Sends everything added so far and waits until the pipe has taken it. What `tick` stops is
    /// kept for the next call.
    pub(crate) fn drain(&self, tick: Tick<'_>) -> Result<()> {
        let mut state = self.usable()?;
        loop {
            if state.sending {
                // Unlocked while ticking, which may need the GIL: others add with it held.
                drop(self.drained.wait_timeout(state, TICK));
                tick()?;
                state = self.usable()?;
                continue;
            }
            let Some(file) = state.file.as_ref().filter(|_| !state.pending.is_empty()) else {
                return Ok(());
            };
            let file =
                file.try_clone().map_err(|error| Error::io("write to", &self.path, error))?;
            let mut piece = std::mem::take(&mut state.pending);
            state.sending = true;
            drop(state);
            let sent = self.send(&file, &mut piece, tick);
            state = self.lock();
            state.sending = false;
            piece.append(&mut state.pending);
            state.pending = piece;
            state.interrupted =
                matches!(&sent, Err(error) if error.kind() == ErrorKind::Interrupted);
            self.drained.notify_all();
            sent?;
        }
    }

    /// Drains and closes; a second time it does nothing.
    pub(crate) fn close(&self, tick: Tick<'_>) -> Result<()> {
        if self.lock().file.is_none() {
            return Ok(());
        }
        let drained = self.drain(tick);
        if !matches!(&drained, Err(error) if error.kind() == ErrorKind::Interrupted) {
            self.lock().file = None;
        }
        drained
    }

    /// Closes because nobody will write again: as [`OutputStream::close`], but when Ctrl-C ended
    /// the last wait only what fits is sent.
    pub(crate) fn end(&self, tick: Tick<'_>) -> Result<()> {
        if self.lock().interrupted {
            self.send_soon();
            self.lock().file = None;
        }
        self.close(tick)
    }

    /// Writes `piece`, removing from it what the pipe took.
    fn send(&self, file: &File, piece: &mut Vec<u8>, tick: Tick<'_>) -> Result<()> {
        let mut sent = 0;
        let outcome = loop {
            match write(file, &piece[sent..]) {
                Ok(bytes) => sent += bytes,
                Err(errno) => break Err(Error::io("write to", &self.path, errno.into())),
            }
            if sent == piece.len() {
                break Ok(());
            }
            let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(TICK.subsec_nanos()) };
            match poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&wait)) {
                Ok(0) | Err(Errno::INTR) => {
                    if let Err(error) = tick() {
                        break Err(error);
                    }
                }
                Ok(_) => {}
                Err(errno) => break Err(Error::io("wait for", &self.path, errno.into())),
            }
        };
        piece.drain(..sent);
        outcome
    }

    fn usable(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if let Some(errno) = state.failed {
            return Err(Error::io("write to", &self.path, errno.into()));
        }
        if state.file.is_none() {
            let message = format!("the stream {} is closed", self.path.display());
            return Err(Error::new(ErrorKind::Usage, message));
        }
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deferred for OutputStream {
    fn send_soon(&self) -> bool {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.sending {
            return true;
        }
        if let Some(file) = &state.file {
            match write(file, &state.pending) {
                Ok(bytes) => drop(state.pending.drain(..bytes)),
                Err(errno) => {
                    state.failed = Some(errno);
                    state.pending.clear();
                }
            }
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

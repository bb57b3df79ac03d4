//! `otto.input_pipe()`.

use crate::convert::from_json;
use crate::crossing::{blocking, deadline};
use crate::errors::{lift, to_python};
use crate::stream::{Mode, location};
use otto_core::run::variable;
use otto_core::{Error, ErrorKind, Json, Result, TICK, Tick, fifo, limits};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyString};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Asked of the pipe at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// The reading side of a stream: iterates over its records, one a line.
#[pyclass(module = "otto", frozen)]
pub(crate) struct InputPipe {
    /// Held by the thread that reads.
    lines: Mutex<Lines>,
    mode: Mode,
    timeout: Option<f64>,
}

/// Iterates over the stream this task reads: `OTTO_INPUT_PIPE`, or the run's stream `name`.
///
/// `mode` says what a line is: "json" any JSON value, "text" a str, "bytes" a bytes object, the
/// latter two without their line end. Ends when the last writer has closed. Waits for each record
/// up to `timeout` seconds and then raises `TimedOut`.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.input_pipe("rows", timeout=0.01).read()
/// Traceback (most recent call last):
/// otto.errors.TimedOut: timeout: ...
#[pyfunction]
#[pyo3(signature = (name=None, *, mode="json", timeout=None))]
pub(crate) fn input_pipe(
    py: Python<'_>,
    name: Option<&str>,
    mode: &str,
    timeout: Option<f64>,
) -> PyResult<InputPipe> {
    let mode = lift(py, Mode::parse(mode))?;
    let path = lift(py, location(name, variable::INPUT_PIPE))?;
    Ok(InputPipe { lines: Mutex::new(Lines::new(path)), mode, timeout })
}

#[pymethods]
impl InputPipe {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let deadline = deadline(py, self.timeout)?;
        let mut lines = self.lock(py);
        if !lines.has_line() {
            let lines = &mut *lines;
            blocking(py, |tick| lines.fill(deadline, tick))?;
        }
        let Some((number, line)) = lines.next() else { return Ok(None) };
        match self.mode {
            Mode::Bytes => Ok(Some(PyBytes::new(py, line).into_any())),
            Mode::Text => match std::str::from_utf8(line) {
                Ok(text) => Ok(Some(PyString::new(py, text).into_any())),
                Err(_) => Err(to_python(py, &bad(number, "is not UTF-8"))),
            },
            Mode::Json => {
                let json = Json::parse_bytes(line).map_err(|error| bad(number, &error.to_string()));
                from_json(py, &lift(py, json)?).map(Some)
            }
        }
    }

    /// The next record; None at the end of the stream.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.__next__(py)
    }

    /// Closes the stream: its writer will find that nobody reads.
    fn close(&self, py: Python<'_>) {
        self.lock(py).close();
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }
}

impl InputPipe {
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Lines> {
        self.lines.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }
}

fn bad(number: u64, what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("line {number} of the stream: {what}"))
}

/// Bytes of a stream, cut into lines.
struct Lines {
    path: PathBuf,
    /// `None` before the first read and after the end.
    file: Option<File>,
    ended: bool,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to where no line end was found.
    searched: usize,
    number: u64,
}

impl Lines {
    fn new(path: PathBuf) -> Lines {
        let (start, searched, number) = (0, 0, 0);
        Lines { path, file: None, ended: false, buffer: Vec::new(), start, searched, number }
    }

    fn close(&mut self) {
        self.file = None;
        self.ended = true;
        self.buffer = Vec::new();
        (self.start, self.searched) = (0, 0);
    }

    /// Whether a whole line is there; afterwards `searched` is its end.
    fn has_line(&mut self) -> bool {
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

    /// Reads until a whole line is there or the stream has ended.
    fn fill(&mut self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<()> {
        while !self.ended && !self.has_line() {
            if self.file.is_none() {
                self.file = Some(fifo::open_read(&self.path, deadline, tick)?);
            }
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
            let length = self.buffer.len();
            if length > limits::FRAME_BYTES_MAX {
                let message = format!("is longer than {} bytes", limits::FRAME_BYTES_MAX);
                return Err(bad(self.number + 1, &message));
            }
            self.wait(deadline, tick)?;
            let Some(file) = &self.file else { continue };
            self.buffer.resize(length + CHUNK_BYTES, 0);
            let read = rustix::io::read(file, &mut self.buffer[length..]);
            self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => {
                    self.file = None;
                    self.ended = true;
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::io("read", &self.path, errno.into())),
            }
        }
        Ok(())
    }

    /// Waits for bytes or the end.
    fn wait(&self, deadline: Option<Instant>, tick: Tick<'_>) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let slice = left.map_or(TICK, |left| left.min(TICK));
            let slice = Timespec { tv_sec: 0, tv_nsec: i64::from(slice.subsec_nanos()) };
            match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&slice)) {
                Ok(0) | Err(Errno::INTR) => tick()?,
                Ok(_) => return Ok(()),
                Err(errno) => return Err(Error::io("wait for", &self.path, errno.into())),
            }
            if left.is_some_and(|left| left.is_zero()) {
                let message = format!("timeout: nothing came through {}", self.path.display());
                return Err(Error::new(ErrorKind::TimedOut, message));
            }
        }
    }

    /// The next line and its number, after [`Lines::has_line`] or at the end.
    fn next(&mut self) -> Option<(u64, &[u8])> {
        if self.start == self.buffer.len() {
            return None;
        }
        let (from, end) = (self.start, self.searched);
        self.start = (end + 1).min(self.buffer.len());
        self.searched = self.start;
        self.number += 1;
        Some((self.number, &self.buffer[from..end]))
    }
}

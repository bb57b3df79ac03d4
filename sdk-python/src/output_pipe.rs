//! The writing side of a stream, as Python sees it. What asyncio has to do with it is in
//! `otto/_streams.py`.

use crate::arguments::{Seconds, Text};
use crate::buffer::Borrowed;
use crate::convert::append_json;
use crate::crossing::{blocking, deadline};
use crate::errors::{lift, usage};
use crate::exit::finish_at_exit;
use crate::later;
use crate::output_stream::{Added, OutputStream, PIECE_BYTES};
use crate::stream::{Mode, location};
use otto_core::fifo;
use otto_core::run::variable;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Room for the text of records kept between two of them, in bytes.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

/// Writes a stream record by record: what `otto.OutputPipe` is based on.
#[pyclass(module = "otto._otto", frozen, subclass)]
pub(crate) struct RecordWriter {
    stream: Arc<OutputStream>,
    mode: Mode,
    /// Where records become text.
    scratch: Mutex<String>,
}

#[pymethods]
impl RecordWriter {
    #[new]
    #[pyo3(signature = (name=None, *, mode="json", timeout=None))]
    fn new(
        py: Python<'_>,
        name: Option<Text<'_>>,
        mode: &str,
        timeout: Option<Seconds>,
    ) -> PyResult<RecordWriter> {
        let mode = lift(py, Mode::parse(mode))?;
        let path = lift(py, location(name.as_deref(), variable::OUTPUT_PIPE))?.path;
        let deadline = deadline(py, timeout)?;
        let stream = blocking(py, |tick| {
            let file = fifo::open_write(&path, deadline, tick)?;
            OutputStream::new(&path, file)
        })?;
        let stream = Arc::new(stream);
        finish_at_exit(py, &stream);
        Ok(RecordWriter { stream, mode, scratch: Mutex::default() })
    }

    /// Adds one record.
    ///
    /// Blocks while the reader is more than a pipe behind. Raises `StreamClosed`, a
    /// `BrokenPipeError`, once nobody reads any more. In mode "raw" 64 KiB and more are sent from
    /// where they lie: nobody may change them meanwhile, and Ctrl-C leaves a part of them written.
    fn write(&self, py: Python<'_>, record: &Bound<'_, PyAny>) -> PyResult<()> {
        self.check_owner(py)?;
        let full = match self.mode {
            Mode::Raw => {
                return with_bytes(record, |bytes| {
                    if bytes.len() >= PIECE_BYTES {
                        // As one piece, from where it lies.
                        return blocking(py, |tick| self.stream.drain_with(bytes, tick));
                    }
                    match self.added(py, self.stream.add(bytes, b""))? {
                        true => self.flush(py),
                        false => Ok(()),
                    }
                });
            }
            _ => self.add(py, record)?,
        };
        if full { self.flush(py) } else { Ok(()) }
    }

    /// Adds the records of an iterable, as `write()` would one after the other.
    fn writelines(&self, py: Python<'_>, records: &Bound<'_, PyAny>) -> PyResult<()> {
        for record in records.try_iter()? {
            self.write(py, &record?)?;
        }
        Ok(())
    }

    /// Sends every record added so far and waits until the pipe has taken them.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.check_owner(py)?;
        blocking(py, |tick| self.stream.drain(tick))
    }

    /// Flushes and closes; a second time does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if !self.stream.is_ours() {
            return Ok(());
        }
        blocking(py, |tick| self.stream.close(tick))
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.end(py)
    }

    /// Adds one record without waiting for anybody; False, and nothing is added, while as much as a
    /// piece waits for the reader.
    fn _offer(&self, py: Python<'_>, record: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.check_owner(py)?;
        if lift(py, self.stream.is_full())? {
            return Ok(false);
        }
        if self.add(py, record)? {
            self._push(py)?;
        }
        Ok(true)
    }

    /// Sends what fits now; whether nothing is left.
    fn _push(&self, py: Python<'_>) -> PyResult<bool> {
        self.check_owner(py)?;
        blocking(py, |_| self.stream.push())
    }

    /// The descriptor to watch when the pipe is full, -1 once closed.
    fn _descriptor(&self) -> RawFd {
        self.stream.descriptor().unwrap_or(-1)
    }

    /// Notes whether the last wait for the reader was given up: nobody waits for it again unasked.
    fn _give_up(&self, given_up: bool) {
        self.stream.give_up(given_up);
    }

    #[getter]
    fn _given_up(&self) -> bool {
        self.stream.is_given_up()
    }
}

impl RecordWriter {
    /// Adds one record; whether a piece has come together.
    #[inline]
    fn add(&self, py: Python<'_>, record: &Bound<'_, PyAny>) -> PyResult<bool> {
        let added = match self.mode {
            Mode::Json => {
                // Taken out and put back, so that no lock is held while Python encodes.
                let mut text = std::mem::take(&mut *self.scratch());
                text.clear();
                append_json(record, &mut text)?;
                let added = self.stream.add(text.as_bytes(), b"\n");
                if text.capacity() <= SCRATCH_BYTES_MAX {
                    *self.scratch() = text;
                }
                added
            }
            Mode::Text => {
                self.stream.add(line(py, record.cast::<PyString>()?.to_str()?.as_bytes())?, b"\n")
            }
            Mode::Bytes => {
                return with_bytes(record, |bytes| {
                    self.added(py, self.stream.add(line(py, bytes)?, b"\n"))
                });
            }
            Mode::Raw => {
                return with_bytes(record, |bytes| self.added(py, self.stream.add(bytes, b"")));
            }
        };
        self.added(py, added)
    }

    fn added(&self, py: Python<'_>, added: otto_core::Result<Added>) -> PyResult<bool> {
        let added = lift(py, added)?;
        if added.schedule {
            later::streams(py).schedule(&self.stream);
        }
        Ok(added.full)
    }

    fn scratch(&self) -> std::sync::MutexGuard<'_, String> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, py: Python<'_>) -> PyResult<()> {
        if !self.stream.is_ours() {
            return Ok(());
        }
        blocking(py, |tick| self.stream.end(tick))
    }

    #[inline]
    fn check_owner(&self, py: Python<'_>) -> PyResult<()> {
        if self.stream.is_ours() {
            return Ok(());
        }
        let path = self.stream.path().display();
        Err(usage(py, format!("{path} was opened before a fork: open it again in the child")))
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        Python::try_attach(|py| match self.end(py) {
            // Whoever wants to hear of errors closes it; but nobody closes Ctrl-C. Nothing can be
            // raised here, so it is shown, as of Python's own files.
            Err(error) if !error.is_instance_of::<PyException>(py) => {
                error.write_unraisable(py, None);
            }
            _ => {}
        });
    }
}

/// Calls `with` on the bytes of `record`, which has a buffer.
fn with_bytes<T>(
    record: &Bound<'_, PyAny>,
    with: impl FnOnce(&[u8]) -> PyResult<T>,
) -> PyResult<T> {
    if let Ok(bytes) = record.cast::<PyBytes>() {
        return with(bytes.as_bytes());
    }
    let borrowed = Borrowed::of(record).map_err(|error| match record.cast::<PyString>() {
        Ok(_) => PyTypeError::new_err("a record is bytes here, not str: encode it"),
        Err(_) => error,
    })?;
    match borrowed.bytes() {
        Some(bytes) => with(bytes),
        None => {
            with(record.py().get_type::<PyBytes>().call1((record,))?.cast::<PyBytes>()?.as_bytes())
        }
    }
}

/// `text` as one record.
fn line<'a>(py: Python<'_>, text: &'a [u8]) -> PyResult<&'a [u8]> {
    if memchr::memchr(b'\n', text).is_some() {
        return Err(usage(py, "a record is one line: it can't hold a line break"));
    }
    Ok(text)
}

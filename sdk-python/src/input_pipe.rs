//! The reading side of a stream, as Python sees it. What asyncio has to do with it is in
//! `otto/_streams.py`.

use crate::arguments::{Seconds, Text};
use crate::crossing::{blocking, deadline};
use crate::decode::decode;
use crate::errors::{lift, to_python, usage};
use crate::fork;
use crate::keys::Keys;
use crate::records::{Cut, Records, bad};
use crate::stream::{Mode, location};
use crate::turns::{Turn, Turns};
use crate::waiter::Waiter;
use otto_core::run::variable;
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyEllipsis, PyString, PyTuple};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Reads a stream record by record: what `otto.InputPipe` is based on.
#[pyclass(module = "otto._otto", frozen, subclass)]
pub(crate) struct RecordReader {
    reading: Turns<Reading>,
    /// Tells the thread whose turn it is that the stream is closed.
    closing: Arc<AtomicBool>,
    /// A task of an event loop that waits for a record.
    waiter: Waiter,
    /// The [generation](fork::generation) that began to read; 0 before.
    owner: AtomicU32,
    mode: Mode,
    timeout: Option<Seconds>,
}

struct Reading {
    records: Records,
    keys: Keys,
}

#[pymethods]
impl RecordReader {
    #[new]
    #[pyo3(signature = (name=None, *, mode="json", timeout=None))]
    fn new(
        py: Python<'_>,
        name: Option<Text<'_>>,
        mode: &str,
        timeout: Option<Seconds>,
    ) -> PyResult<RecordReader> {
        // Whatever is wrong with it is said here and not by the first read.
        deadline(py, timeout)?;
        let mode = lift(py, Mode::parse(mode))?;
        let from = lift(py, location(name.as_deref(), variable::INPUT_PIPE))?;
        let cut = if mode == Mode::Raw { Cut::Pieces } else { Cut::Lines };
        let closing = Arc::new(AtomicBool::new(false));
        let records = Records::new(from, cut, Arc::clone(&closing));
        Ok(RecordReader {
            reading: Turns::new(Reading { records, keys: Keys::default() }),
            closing,
            waiter: Waiter::default(),
            owner: AtomicU32::new(0),
            mode,
            timeout,
        })
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.check_owner(py)?;
        let mut reading = match self.reading.try_take() {
            Some(reading) => reading,
            None => self.reading.take(py, deadline(py, self.timeout)?)?,
        };
        if !reading.records.has_next() {
            let deadline = deadline(py, self.timeout)?;
            let reading = &mut *reading;
            let filled = blocking(py, |tick| reading.records.fill(deadline, tick));
            if self.closing.load(Ordering::Relaxed) {
                reading.records.close();
            }
            filled?;
        }
        self.next(py, &mut reading)
    }

    /// The next record; None at the end of the stream.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.__next__(py)
    }

    /// Closes the stream: its writer will find that nobody reads. Who waits for a record is told
    /// that it has ended.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.closing.store(true, Ordering::Relaxed);
        // Whoever has the turn closes it; in a forked child nobody may, and nobody reads either.
        if let Some(mut reading) = self.reading.try_take() {
            reading.records.close();
        }
        self.waiter.wake(py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    /// The next record if it was read already, else `...`.
    fn _at_hand<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut reading = self.turn_at_once(py)?;
        self.next_or_ellipsis(py, &mut reading)
    }

    /// The next record after one look into the pipe, which is readable; `...` if it is not whole yet.
    fn _arrived<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut reading = self.turn_at_once(py)?;
        reading.records.found_readable();
        let inner = &mut *reading;
        blocking(py, |_| inner.records.receive())?;
        self.next_or_ellipsis(py, &mut reading)
    }

    /// The descriptor to watch when nothing is at hand, -1 at the end.
    fn _descriptor(&self, py: Python<'_>) -> PyResult<RawFd> {
        let mut reading = self.turn_at_once(py)?;
        let descriptor = lift(py, reading.records.descriptor())?;
        Ok(descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd()))
    }

    /// Begins the wait of a task, of which there is one at a time.
    fn _await(&self, wait: &Bound<'_, PyAny>) -> PyResult<()> {
        let taken = "another task waits for a record of this stream: have one task read and hand records on";
        self.waiter.begin(wait, taken)
    }

    /// Ends the wait of a task.
    fn _awaited(&self, wait: &Bound<'_, PyAny>) {
        self.waiter.end(wait);
    }

    #[getter]
    fn _timeout(&self) -> Option<Seconds> {
        self.timeout
    }

    /// The exception that says that nothing came in time.
    fn _late(&self, py: Python<'_>) -> PyResult<PyErr> {
        Ok(to_python(py, &self.turn_at_once(py)?.records.late()))
    }
}

impl RecordReader {
    /// A turn for code that must not block.
    fn turn_at_once(&self, py: Python<'_>) -> PyResult<Turn<'_, Reading>> {
        self.check_owner(py)?;
        self.reading.try_take().ok_or_else(|| {
            usage(py, "another thread is reading this stream: an event loop can't wait for it")
        })
    }

    fn next_or_ellipsis<'py>(
        &self,
        py: Python<'py>,
        reading: &mut Reading,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.closing.load(Ordering::Relaxed) {
            reading.records.close();
        }
        if !reading.records.has_next() {
            return Ok(PyEllipsis::get(py).to_owned().into_any());
        }
        self.next(py, reading)?.ok_or_else(|| PyStopAsyncIteration::new_err(()))
    }

    /// The next record as Python's, `None` at the end.
    #[inline]
    fn next<'py>(
        &self,
        py: Python<'py>,
        reading: &mut Reading,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((number, record)) = lift(py, reading.records.next())? else { return Ok(None) };
        match self.mode {
            Mode::Bytes | Mode::Raw => Ok(Some(PyBytes::new(py, record).into_any())),
            Mode::Text => match PyString::from_bytes(py, record) {
                Ok(text) => Ok(Some(text.into_any())),
                Err(_) => Err(to_python(py, &bad(number, "is not UTF-8"))),
            },
            Mode::Json => match decode(py, record, &mut reading.keys) {
                Ok(value) => Ok(Some(value)),
                Err(error) => Err(to_python(py, &bad(number, &error.to_string()))),
            },
        }
    }

    /// A forked child has a copy of what its parent had read, and both would read on in turns.
    #[inline]
    fn check_owner(&self, py: Python<'_>) -> PyResult<()> {
        let now = fork::generation();
        match self.owner.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Err(owner) if owner != now => Err(usage(
                py,
                "this stream was being read before a fork: open it again in the child",
            )),
            _ => Ok(()),
        }
    }
}

//! `otto.output_pipe()`.

use crate::convert::to_json;
use crate::crossing::{blocking, deadline};
use crate::errors::{lift, usage};
use crate::exit::finish_at_exit;
use crate::later;
use crate::output_stream::OutputStream;
use crate::stream::{Mode, location};
use otto_core::fifo;
use otto_core::run::variable;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::sync::Arc;

/// The writing side of a stream: one record a line.
///
/// A record is seen by the reader within 100 ms; `flush()` sends it at once. Used in a `with`
/// block it is closed at its end, also when the block fails.
#[pyclass(module = "otto", frozen)]
pub(crate) struct OutputPipe {
    stream: Arc<OutputStream>,
    mode: Mode,
}

/// Opens the stream this task writes: `OTTO_OUTPUT_PIPE`, or the run's stream `name`.
///
/// `mode` says what `write()` takes: "json" any JSON value, "text" a str and "bytes" a bytes
/// object, each one line. Waits for a reader up to `timeout` seconds.
///
/// >>> import otto, threading
/// >>> with otto.serve():
/// ...     reader = threading.Thread(target=lambda: print(list(otto.input_pipe("rows"))))
/// ...     reader.start()
/// ...     with otto.output_pipe("rows") as out:
/// ...         out.write({"i": 1})
/// ...         out.write({"i": 2})
/// ...     reader.join()
/// [{'i': 1}, {'i': 2}]
#[pyfunction]
#[pyo3(signature = (name=None, *, mode="json", timeout=None))]
pub(crate) fn output_pipe(
    py: Python<'_>,
    name: Option<&str>,
    mode: &str,
    timeout: Option<f64>,
) -> PyResult<OutputPipe> {
    let mode = lift(py, Mode::parse(mode))?;
    let path = lift(py, location(name, variable::OUTPUT_PIPE))?;
    let deadline = deadline(py, timeout)?;
    let stream = blocking(py, |tick| {
        let file = fifo::open_write(&path, deadline, tick)?;
        OutputStream::new(&path, file)
    })?;
    let stream = Arc::new(stream);
    finish_at_exit(py, &stream);
    Ok(OutputPipe { stream, mode })
}

#[pymethods]
impl OutputPipe {
    /// Adds one record.
    ///
    /// Blocks while the reader is more than a pipe behind. Raises `StreamClosed`, a
    /// `BrokenPipeError`, once nobody reads any more.
    fn write(&self, py: Python<'_>, record: &Bound<'_, PyAny>) -> PyResult<()> {
        self.check_owner(py)?;
        let added = match self.mode {
            Mode::Json => self.stream.add(to_json(record)?.as_str().as_bytes()),
            Mode::Text => {
                self.stream.add(line(py, record.cast::<PyString>()?.to_str()?.as_bytes())?)
            }
            Mode::Bytes => self.stream.add(line(py, record.cast::<PyBytes>()?.as_bytes())?),
        };
        let added = lift(py, added)?;
        if added.schedule {
            later::streams(py).schedule(&self.stream);
        }
        if added.full { self.flush(py) } else { Ok(()) }
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
    fn __exit__(
        &self,
        py: Python<'_>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<()> {
        self.end(py)
    }
}

impl OutputPipe {
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        if !self.stream.is_ours() {
            return Ok(());
        }
        blocking(py, |tick| self.stream.end(tick))
    }

    fn check_owner(&self, py: Python<'_>) -> PyResult<()> {
        if self.stream.is_ours() {
            return Ok(());
        }
        let path = self.stream.path().display();
        Err(usage(py, format!("{path} was opened before a fork: open it again in the child")))
    }
}

impl Drop for OutputPipe {
    fn drop(&mut self) {
        // Whoever wants to hear of errors closes it.
        let _ = Python::try_attach(|py| self.end(py));
    }
}

/// `text` as one record.
fn line<'a>(py: Python<'_>, text: &'a [u8]) -> PyResult<&'a [u8]> {
    if text.contains(&b'\n') {
        return Err(usage(py, "a record is one line: it can't hold a line break"));
    }
    Ok(text)
}

//! `otto.progress()`.

use crate::exit::finish_at_exit;
use crate::fork::{self, PerProcess};
use crate::later;
use crate::progress_report::Report;
use otto_core::progress::{Record, one_line};
use otto_core::run::Environment;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyTuple};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A progress bar: counts what an iterable yields, or what `update()` is told.
///
/// Attributes: `current` and `total`.
#[pyclass(module = "otto", frozen)]
pub(crate) struct Progress {
    iterator: Option<Py<PyIterator>>,
    /// An item is out that has not been counted.
    working: AtomicBool,
    report: Arc<Report>,
    /// Free again once it is closed.
    name: Mutex<Option<Name>>,
}

/// The names of this process's open bars: loops within loops, and in several threads, each have one.
static NAMES: PerProcess<Mutex<HashSet<String>>> = PerProcess::new();

/// What an open bar is called.
struct Name {
    text: String,
    generation: u32,
}

impl Name {
    /// `wanted` if no open bar is called that, else with a number behind it.
    fn take(py: Python<'_>, wanted: &str) -> Name {
        let mut names = NAMES.get(py).lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = wanted.to_owned();
        let mut number = 1;
        while names.contains(&text) {
            number += 1;
            text = format!("{wanted} {number}").trim_start().to_owned();
        }
        names.insert(text.clone());
        Name { text, generation: fork::generation() }
    }

    fn give_back(self, py: Python<'_>) {
        // A forked child has bars of its own.
        if self.generation == fork::generation() {
            NAMES.get(py).lock().unwrap_or_else(PoisonError::into_inner).remove(&self.text);
        }
    }
}

/// Reports how far a loop has come: to the run's display, else on standard error.
///
/// With an iterable it yields its items and counts each when the next one is asked for; without
/// one call `update()`. `total` is `len(iterable)` unless given. `description` names the bar where
/// a task has several; of open ones that would be called the same, the later get a number behind.
/// Counting costs nanoseconds: reports are sent at most every 50 ms, by a thread. The last state is
/// reported at the end, also of a loop that fails and when Python exits, and nothing is raised where
/// there is no server.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     total = 0
/// ...     for row in otto.progress([1, 2, 3], description="rows"):
/// ...         total += row
/// ...     with otto.progress(total=100) as p:
/// ...         p.update(40)
/// ...         p.update(2, message="half way")
/// ...         print(total, p.current, p.total)
/// 6 42.0 100.0
#[pyfunction]
#[pyo3(signature = (iterable=None, *, total=None, description=None, message=None))]
pub(crate) fn progress(
    py: Python<'_>,
    iterable: Option<&Bound<'_, PyAny>>,
    total: Option<f64>,
    description: Option<&str>,
    message: Option<&str>,
) -> PyResult<Progress> {
    let iterator = iterable.map(|iterable| iterable.try_iter()).transpose()?;
    let length = || iterable.and_then(|iterable| iterable.len().ok()).map(|length| length as f64);
    let environment = Environment::from_process();
    // Cut here already: the server would refuse a report that is too long.
    let name = Name::take(py, &one_line(description.unwrap_or_default()));
    let record = Record {
        task: environment.task_name.unwrap_or_default(),
        id: name.text.clone(),
        current: 0.0,
        total: total.filter(|total| (0.0..=f64::MAX).contains(total)).or_else(length),
        message: one_line(message.unwrap_or_default()),
    };
    let report = Arc::new(Report::new(record, environment.socket));
    finish_at_exit(py, &report);
    let progress = Progress {
        iterator: iterator.map(Bound::unbind),
        working: AtomicBool::new(false),
        report,
        name: Mutex::new(Some(name)),
    };
    // The bar shows although the first item may take its time.
    progress.count_to(py, 0.0);
    Ok(progress)
}

#[pymethods]
impl Progress {
    fn __iter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        if slf.get().iterator.is_none() {
            return Err(PyTypeError::new_err(
                "nothing to iterate over: give progress() an iterable",
            ));
        }
        Ok(slf)
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(iterator) = &self.iterator else { return Ok(None) };
        if self.working.load(Ordering::Relaxed) {
            self.count_to(py, self.report.count() + 1.0);
        }
        match iterator.bind(py).clone().next() {
            Some(Ok(item)) => {
                self.working.store(true, Ordering::Relaxed);
                Ok(Some(item))
            }
            ended => {
                self.working.store(false, Ordering::Relaxed);
                self.close(py)?;
                ended.transpose()
            }
        }
    }

    /// Adds `n`, and says what is being done if `message` is given.
    #[pyo3(signature = (n=1.0, *, message=None))]
    fn update(&self, py: Python<'_>, n: f64, message: Option<&str>) {
        if let Some(message) = message.map(one_line) {
            self.report.change(|record| record.message = message);
        }
        self.count_to(py, self.report.count() + n);
    }

    /// How much is done.
    #[getter]
    fn current(&self) -> f64 {
        self.report.count()
    }

    #[setter]
    fn set_current(&self, py: Python<'_>, current: f64) {
        self.count_to(py, current);
    }

    /// How much there is, None when unknown.
    #[getter]
    fn total(&self) -> Option<f64> {
        self.report.total()
    }

    #[setter]
    fn set_total(&self, py: Python<'_>, total: Option<f64>) {
        self.report
            .change(|record| record.total = total.filter(|total| (0.0..=f64::MAX).contains(total)));
        self.count_to(py, self.report.count());
    }

    /// Reports the last state; a second time does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.give_name_back(py);
        self.report.close(py)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }
}

impl Progress {
    fn give_name_back(&self, py: Python<'_>) {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(name) = name {
            name.give_back(py);
        }
    }

    #[inline]
    fn count_to(&self, py: Python<'_>, count: f64) {
        // Never below nothing, never endless; what is no number changes nothing.
        let count = if count.is_nan() { self.report.count() } else { count.clamp(0.0, f64::MAX) };
        if self.report.counted(count) {
            later::progress(py).schedule(&self.report);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        Python::try_attach(|py| {
            self.give_name_back(py);
            self.report.abandon(py);
        });
    }
}

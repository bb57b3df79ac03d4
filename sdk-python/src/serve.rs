//! `otto.serve()`: a run and its server inside this process.

use crate::cancellation::server_changed;
use crate::crossing::blocking;
use crate::errors::lift;
use crate::exit::finish_at_exit;
use crate::later::Deferred;
use crate::place::close_idle;
use otto_core::run::{Descendants, Environment, Run, clean_dead_runs, variable};
use otto_core::socket::{Options, Running, Server as SocketServer};
use otto_core::{Error, ErrorKind, Result, TaskName, Tick};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The process that serves, 0 for none: a run bears its owner's process ID, so there is one each.
static SERVES: AtomicU32 = AtomicU32::new(0);

/// A run with its server, for the length of a `with` block.
#[pyclass(module = "otto", frozen)]
pub(crate) struct Server {
    task: Option<TaskName>,
    serving: Arc<Serving>,
    /// Locked with the GIL held only.
    begun: Mutex<Begun>,
}

/// What is known once the block has begun.
#[derive(Default)]
struct Begun {
    run_id: Option<u64>,
    run_dir: Option<String>,
    socket: Option<String>,
    /// The variables as they were before.
    saved: Option<Py<PyDict>>,
}

/// What runs while the block does.
#[derive(Default)]
struct Serving(Mutex<Option<(Running, Run)>>);

/// A server for tests and notebooks: the environment of a run for the length of a `with` block.
///
/// In the block `os.environ` says where the run is, for this process and the ones it starts; with
/// `task` this process is that task. At the block's end the environment is as it was, and nothing
/// of the run is left.
///
/// >>> import os, otto
/// >>> with otto.serve() as server:
/// ...     otto.set("a", 1)
/// ...     os.environ["OTTO_SOCKET"] == server.socket
/// True
/// >>> os.path.exists(server.socket)
/// False
#[pyfunction]
#[pyo3(signature = (task=None))]
pub(crate) fn serve(py: Python<'_>, task: Option<&str>) -> PyResult<Server> {
    let task = lift(py, task.map(TaskName::parse).transpose())?;
    Ok(Server { task, serving: Arc::default(), begun: Mutex::default() })
}

#[pymethods]
impl Server {
    fn __enter__<'py>(slf: Bound<'py, Self>, py: Python<'py>) -> PyResult<Bound<'py, Self>> {
        let server = slf.get();
        let serving = &server.serving;
        // Read with the GIL held: other threads change it with the GIL held.
        let environment = Environment::from_process();
        let begun = blocking(py, |_| serving.start(&environment))?;
        finish_at_exit(py, serving);
        let task = server.task.as_ref().map(TaskName::as_str);
        let run_id = begun.run_id.map(|run| run.to_string());
        let saved = set_variables(
            py,
            &[
                (variable::RUN_ID, run_id.as_deref()),
                (variable::RUN_DIR, begun.run_dir.as_deref()),
                (variable::SOCKET, begun.socket.as_deref()),
                (variable::TASK_NAME, task),
                (variable::TASK, task),
                (variable::VIA, None),
                (variable::TASK_DIR, None),
            ],
        );
        *server.begun() = Begun { saved: Some(saved?.unbind()), ..begun };
        server_changed();
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        let (saved, socket) = {
            let mut begun = self.begun();
            (begun.saved.take(), begun.socket.clone())
        };
        if let Some(socket) = socket {
            close_idle(py, Path::new(&socket));
        }
        server_changed();
        blocking(py, |_| self.serving.stop())?;
        match saved {
            Some(saved) => restore_variables(saved.bind(py)),
            None => Ok(()),
        }
    }

    /// The run's number; None before the block.
    #[getter]
    fn run_id(&self) -> Option<u64> {
        self.begun().run_id
    }

    /// The run's private folder; None before the block.
    #[getter]
    fn run_dir(&self) -> Option<String> {
        self.begun().run_dir.clone()
    }

    /// The socket's path; None before the block.
    #[getter]
    fn socket(&self) -> Option<String> {
        self.begun().socket.clone()
    }
}

impl Server {
    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serving {
    fn start(&self, environment: &Environment) -> Result<Begun> {
        let pid = process::id();
        if SERVES.swap(pid, Ordering::SeqCst) == pid {
            return Err(Error::new(
                ErrorKind::Usage,
                "this process serves already: there is one otto.serve() at a time",
            ));
        }
        let started = start(environment);
        if started.is_err() {
            SERVES.store(0, Ordering::SeqCst);
        }
        let (running, run) = started?;
        let begun = Begun {
            run_id: Some(run.id().0),
            run_dir: Some(run.dir().display().to_string()),
            socket: Some(running.path().display().to_string()),
            saved: None,
        };
        *self.lock() = Some((running, run));
        Ok(begun)
    }

    fn stop(&self) -> Result<()> {
        let Some((running, run)) = self.lock().take() else { return Ok(()) };
        let stopped = running.stop();
        drop(run);
        SERVES.store(0, Ordering::SeqCst);
        stopped
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Running, Run)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(environment: &Environment) -> Result<(Running, Run)> {
    clean_dead_runs()?;
    let run = Run::create_in(environment, Descendants::Left)?;
    let running = SocketServer::bind(&run.socket_path(), Options::default())?.spawn();
    run.link_socket();
    Ok((running, run))
}

impl Deferred for Serving {
    fn send_soon(&self) -> bool {
        false
    }

    fn finish(&self, _tick: Tick<'_>) -> Result<()> {
        self.stop()
    }
}

/// Sets and removes variables of `os.environ`, and returns what they were.
fn set_variables<'py>(
    py: Python<'py>,
    variables: &[(&str, Option<&str>)],
) -> PyResult<Bound<'py, PyDict>> {
    let environ = py.import("os")?.getattr("environ")?;
    let saved = PyDict::new(py);
    for (name, value) in variables {
        saved.set_item(name, environ.call_method1("get", (name,))?)?;
        set_variable(&environ, name, value.map(|value| PyString::new(py, value).into_any()))?;
    }
    Ok(saved)
}

fn restore_variables(saved: &Bound<'_, PyDict>) -> PyResult<()> {
    let environ = saved.py().import("os")?.getattr("environ")?;
    for (name, value) in saved {
        let value = (!value.is_none()).then_some(value);
        set_variable(&environ, name.extract()?, value)?;
    }
    Ok(())
}

fn set_variable(
    environ: &Bound<'_, PyAny>,
    name: &str,
    value: Option<Bound<'_, PyAny>>,
) -> PyResult<()> {
    match value {
        Some(value) => environ.set_item(name, value),
        None => environ.call_method1("pop", (name, environ.py().None())).map(drop),
    }
}

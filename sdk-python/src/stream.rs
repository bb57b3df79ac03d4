//! What both sides of a stream share: where it is and what its lines are.

use otto_core::run::{Environment, variable};
use otto_core::{Error, ErrorKind, Result, fifo};
use std::path::PathBuf;

/// What a line of a stream is to Python.
#[derive(Clone, Copy)]
pub(crate) enum Mode {
    /// One JSON value.
    Json,
    /// A `str`.
    Text,
    /// A `bytes` object.
    Bytes,
}

impl Mode {
    pub(crate) fn parse(name: &str) -> Result<Mode> {
        match name {
            "json" => Ok(Mode::Json),
            "text" => Ok(Mode::Text),
            "bytes" => Ok(Mode::Bytes),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!("mode is {name:?}: give \"json\", \"text\" or \"bytes\""),
            )),
        }
    }
}

/// The FIFO `name` of the run, created where it is missing; without a name the one `variable`
/// leads to.
pub(crate) fn location(name: Option<&str>, variable: &str) -> Result<PathBuf> {
    let environment = Environment::from_process();
    if let Some(name) = name {
        return fifo::create(environment.run_dir()?, name);
    }
    let found = match variable {
        variable::INPUT_PIPE => environment.input_pipe,
        _ => environment.output_pipe,
    };
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::NoRun,
            format!(
                "{variable} is not set: this task has no such stream; \
                 give it streaming: true in otto.yml, or name a stream"
            ),
        )
    })
}

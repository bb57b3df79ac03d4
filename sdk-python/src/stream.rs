//! What both sides of a stream share: where it is and what its records are.

use otto_core::run::{Environment, variable};
use otto_core::{Error, ErrorKind, Result, fifo};
use std::path::{Path, PathBuf};

/// What a record of a stream is to Python.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A line that is one JSON value.
    Json,
    /// A line that is a `str`.
    Text,
    /// A line that is a `bytes` object.
    Bytes,
    /// No lines: bytes as they come.
    Raw,
}

impl Mode {
    pub(crate) fn parse(name: &str) -> Result<Mode> {
        match name {
            "json" => Ok(Mode::Json),
            "text" => Ok(Mode::Text),
            "bytes" => Ok(Mode::Bytes),
            "raw" => Ok(Mode::Raw),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!("mode is {name:?}: give \"json\", \"text\", \"bytes\" or \"raw\""),
            )),
        }
    }
}

/// Where a stream is.
pub(crate) struct Location {
    pub(crate) path: PathBuf,
    /// Whether otto-run notes beside the path how its producers ended.
    pub(crate) has_notes: bool,
}

/// The FIFO `name` of the run, or outside all runs that of this user, created where it is missing;
/// without a name the one `variable` leads to.
pub(crate) fn location(name: Option<&str>, variable: &str) -> Result<Location> {
    let environment = Environment::from_process();
    if let Some(name) = name {
        // What is no name is refused before a folder is made.
        fifo::path(Path::new(""), name)?;
        let path = fifo::create(&environment.streams_dir()?, name)?;
        return Ok(Location { path, has_notes: false });
    }
    let run_dir = environment.run_dir.as_ref();
    let found = match variable {
        variable::INPUT_PIPE => environment.input_pipe,
        _ => environment.output_pipe,
    };
    let Some(path) = found else {
        return Err(Error::new(
            ErrorKind::NoRun,
            format!(
                "{variable} is not set: this task has no such stream; \
                 give it streaming: true in otto.yml, or name a stream"
            ),
        ));
    };
    // Anybody may set the variable, to /dev/stdin for instance: no notes are left there.
    let has_notes = run_dir.is_some_and(|run_dir| path.starts_with(run_dir));
    Ok(Location { path, has_notes })
}

//! The run that is meant, for programs that are of use from another terminal as well.

use crate::cli::{Arguments, Given};
use otto_core::run::{Environment, RunId, live_run};
use otto_core::{Error, ErrorKind, Result};
use std::path::PathBuf;

/// The socket of the run that `--run` names, else of this process's run, else of the only one of
/// this user's that lives.
///
/// # Errors
/// [`ErrorKind::Usage`] where several live, [`ErrorKind::NoRun`] where none does, or not that one.
pub fn socket_of_run(arguments: &Arguments) -> Result<PathBuf> {
    let named = arguments.given("run").map(|text| {
        let message = format!("--run takes a run's number, not {text:?}");
        RunId::parse(text).map_err(|_| Error::new(ErrorKind::Usage, message))
    });
    let here = Environment::from_process().socket;
    match (named.transpose()?, here) {
        (None, Some(socket)) => Ok(socket),
        (named, _) => Ok(live_run(named)?.socket),
    }
}

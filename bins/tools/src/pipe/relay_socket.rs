//! The socket at which otto-run tells of the streams between its tasks: a line is asked, and what
//! comes until it closes is the answer.

use otto_core::{Error, ErrorKind, Result};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Asks, and returns what the answer is read from.
pub(super) fn ask(socket: &Path, question: &str) -> Result<UnixStream> {
    let failed = |error: std::io::Error| {
        let message = format!("otto-run does not answer at {}: {error}", socket.display());
        Error::new(ErrorKind::Unreachable, message)
    };
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.write_all(format!("{question}\n").as_bytes()).map_err(failed)?;
    Ok(stream)
}

//! The one error type of the crate.

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong, coarsely: enough to choose an exit status or an exception class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What the caller gave is not well formed (a key, a pattern, JSON, a combination).
    Usage,
    /// No such key, region or stream.
    NotFound,
    /// The deadline passed first.
    TimedOut,
    /// A condition (`--if-absent`, `--if-rev`) did not hold; nothing was changed.
    Condition,
    /// The task that should have produced the value has ended without it.
    ProducerEnded,
    /// There is no run to speak to: no server, no task folder.
    NoRun,
    /// A value, document or frame is above its limit.
    TooLarge,
    /// Stored bytes are not what any writer of ours leaves behind.
    Corrupt,
    /// The disk or the memory file system is full.
    Full,
    /// The server can't be reached, or went away.
    Unreachable,
    /// The other side broke the protocol.
    Protocol,
    /// The system refused.
    Io,
    /// The caller's own tick stopped the wait.
    Interrupted,
}

/// An error: a kind, and one line that says what failed, with which value, and what to do.
///
/// ```
/// use otto_core::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::NotFound, "no such key: build.version");
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.exit_status(), 3);
/// assert_eq!(error.to_string(), "no such key: build.version");
/// ```
#[derive(Debug)]
pub struct Error(Box<Repr>);

#[derive(Debug)]
struct Repr {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind`; line breaks in `message` become spaces, so that it stays one line.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.contains(['\n', '\r']) {
            message = message.replace(['\n', '\r'], " ");
        }
        Error(Box::new(Repr { kind, message, source: None }))
    }

    /// The system refused `what` on `path`. A full disk or quota becomes [`ErrorKind::Full`].
    #[must_use]
    pub fn io(what: &str, path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        let mut error = Error::new(kind, format!("can't {what} {}: {source}", path.display()));
        error.0.source = Some(source);
        error
    }

    /// What went wrong, coarsely.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The exit status every program uses for this error.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self.0.kind {
            ErrorKind::Usage => 2,
            ErrorKind::NotFound => 3,
            ErrorKind::TimedOut => 4,
            ErrorKind::Condition => 5,
            ErrorKind::ProducerEnded => 6,
            _ => 1,
        }
    }

    /// The system's error behind this one, when there is one.
    #[must_use]
    pub fn io_source(&self) -> Option<&io::Error> {
        self.0.source.as_ref()
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Usage, message)
    }

    pub(crate) fn not_found(key: &str) -> Self {
        Error::new(ErrorKind::NotFound, format!("not found: {key}"))
    }

    pub(crate) fn timed_out(key: &str) -> Self {
        Error::new(ErrorKind::TimedOut, format!("timeout: {key}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.message)
    }
}

// No `source`: the message has the system's words in it, and who prints a chain would repeat them.
impl std::error::Error for Error {}

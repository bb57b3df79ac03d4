//! Who is told how far a bar has come: the server, else standard error.

use otto_core::progress::{Estimate, Record};
use otto_core::socket::Client;
use otto_core::{ErrorKind, Result};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the server may take for its answer before the report goes to standard error.
const REPLY_LIMIT: Duration = Duration::from_secs(2);
/// The same while it has not answered the last time: as long as it is stopped that costs every report.
const RETRY_LIMIT: Duration = Duration::from_millis(500);
/// How long reports leave a server alone that has failed. The last one does not.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Tells of one bar, and knows what it told last.
pub(crate) struct Reporter {
    estimate: Estimate,
    /// The server's path, as the environment said when the bar was made: on a thread of ours it can't be
    /// read, since Python may be changing it.
    socket: Option<PathBuf>,
    /// `None` until the first report, and when the connection is lost.
    client: Option<Client>,
    /// When the server failed, until it answers again.
    failed: Option<Instant>,
    /// `None` until something is to be shown there.
    screen: Option<Screen>,
    reported: Option<Record>,
    /// Whether the server knows what was reported.
    is_told: bool,
    /// The last state has been reported.
    pub(crate) finished: bool,
}

/// Standard error.
enum Screen {
    /// One line, drawn over itself.
    Terminal,
    /// Lines, ever more rarely: at first one a second.
    Lines { started: Instant, due: Instant },
}

impl Reporter {
    pub(crate) fn new(socket: Option<PathBuf>) -> Reporter {
        Reporter {
            estimate: Estimate::new(),
            socket,
            client: None,
            failed: None,
            screen: None,
            reported: None,
            is_told: false,
            finished: false,
        }
    }

    pub(crate) fn has_reported(&self, record: &Record) -> bool {
        self.reported.as_ref() == Some(record)
    }

    /// Reports `record`, on standard error where no server takes it.
    ///
    /// An error means that it has not been reported, and somebody has to: a signal handler has raised, or
    /// the caller does not wait beyond `until`.
    pub(crate) fn report(
        &mut self,
        record: Record,
        last: bool,
        until: Option<Instant>,
    ) -> Result<()> {
        let now = Instant::now();
        self.estimate.observe(&record, now);
        let is_told = self.tell(&record, last, until)?;
        // A line that has been drawn on a terminal is still to be ended.
        let ends_line = last && matches!(self.screen, Some(Screen::Terminal));
        if (!is_told || ends_line) && !self.show(&record, last, now) {
            return Ok(());
        }
        (self.reported, self.is_told) = (Some(record), is_told);
        self.finished = last;
        Ok(())
    }

    /// Tells the server, unless it is to be left alone; whether it knows.
    fn tell(&mut self, record: &Record, last: bool, until: Option<Instant>) -> Result<bool> {
        if self.is_told && self.has_reported(record) {
            return Ok(true);
        }
        let Some(path) = self.socket.take() else { return Ok(false) };
        let told = if !last && self.failed.is_some_and(|at| at.elapsed() < RETRY_PAUSE) {
            Ok(false)
        } else {
            self.tell_at(&path, record, until)
        };
        self.socket = Some(path);
        told
    }

    fn tell_at(&mut self, path: &Path, record: &Record, until: Option<Instant>) -> Result<bool> {
        let limit = if self.failed.is_some() { RETRY_LIMIT } else { REPLY_LIMIT };
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let is_short = left.is_some_and(|left| left < limit);
        let outcome = self.send(path, record, left.unwrap_or(limit).min(limit));
        match outcome.map_err(|error| (error.kind(), error)) {
            Ok(()) => {
                self.failed = None;
                Ok(true)
            }
            Err((ErrorKind::Interrupted, error)) => Err(error),
            Err((ErrorKind::TimedOut, error)) if is_short => Err(error),
            Err((ErrorKind::Unreachable | ErrorKind::TimedOut | ErrorKind::Protocol, _)) => {
                (self.client, self.failed) = (None, Some(Instant::now()));
                Ok(false)
            }
            // It is there, and has refused this report alone.
            Err(_) => Ok(false),
        }
    }

    fn send(&mut self, path: &Path, record: &Record, limit: Duration) -> Result<()> {
        if let Some(client) = &mut self.client {
            client.set_reply_limit(Some(limit));
            match client.progress(record) {
                // The connection is lost. That need not be true of the server.
                Err(error) if error.kind() == ErrorKind::Unreachable => {}
                sent => return sent,
            }
        }
        let client = self.client.insert(Client::connect(path)?);
        client.set_reply_limit(Some(limit));
        client.progress(record)
    }

    /// Shows `record` on standard error; whether it can be seen there now.
    fn show(&mut self, record: &Record, last: bool, now: Instant) -> bool {
        let is_known = self.has_reported(record);
        let line = record.line(Some(&self.estimate));
        let text = match self.screen.get_or_insert_with(|| Screen::find(now)) {
            // The server may know of it alone.
            Screen::Lines { .. } if is_known && !self.is_told => return true,
            Screen::Lines { due, .. } if !last && now < *due => return false,
            Screen::Lines { started, due } => {
                *due = now + Duration::from_secs(1).max((now - *started) / 10);
                format!("{line}\n")
            }
            // To the line's start, the text, and away with what is left of a longer one.
            Screen::Terminal => format!("\r{line}\x1b[K{}", if last { "\n" } else { "" }),
        };
        let _ = std::io::stderr().write_all(text.as_bytes());
        true
    }
}

impl Screen {
    fn find(now: Instant) -> Screen {
        if std::io::stderr().is_terminal() {
            return Screen::Terminal;
        }
        Screen::Lines { started: now, due: now + Duration::from_secs(1) }
    }
}

//! What a task prints: into its log as it comes, and line by line to the display.

use crate::workspace::new_file;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A line longer than this is shown in pieces; the log has it whole.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Read of one task before others get their turn.
const TURN_BYTES_MAX: usize = 256 << 10;

/// Which of a task's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

/// One output of one task.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) channel: Channel,
    /// `None` once nobody writes any more.
    from: Option<OwnedFd>,
    log: Option<File>,
    partial: Vec<u8>,
    /// Why the log ends early, until somebody takes it.
    log_error: Option<io::Error>,
}

impl Capture {
    /// Captures `from` into `stdout.log` or `stderr.log` of `folder`.
    pub(crate) fn new(channel: Channel, from: OwnedFd, folder: &Path) -> io::Result<Capture> {
        let name = match channel {
            Channel::Stdout => "stdout.log",
            Channel::Stderr => "stderr.log",
        };
        fcntl(&from, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let log = new_file(&folder.join(name))?;
        Ok(Capture {
            channel,
            from: Some(from),
            log: Some(log),
            partial: Vec::new(),
            log_error: None,
        })
    }

    /// What to poll, until the end.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.from.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there, and hands on every whole line without its newline. At the end of the
    /// output a last line without one counts as whole.
    pub(crate) fn read(&mut self, buffer: &mut [u8], mut line: impl FnMut(&[u8])) {
        let mut taken = 0;
        while let Some(from) = &self.from {
            match nix::unistd::read(from, buffer) {
                Ok(0) => self.close(&mut line),
                Ok(bytes) => {
                    self.keep(&buffer[..bytes]);
                    self.split(&buffer[..bytes], &mut line);
                    taken += bytes;
                    if taken >= TURN_BYTES_MAX {
                        return;
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => self.close(&mut line),
            }
        }
    }

    /// Stops capturing: whoever still writes is none of the task's any more.
    pub(crate) fn close(&mut self, mut line: impl FnMut(&[u8])) {
        self.from = None;
        self.log = None;
        if !self.partial.is_empty() {
            line(&self.partial);
            self.partial = Vec::new();
        }
    }

    /// The error that ended the log early, once.
    pub(crate) fn take_log_error(&mut self) -> Option<io::Error> {
        self.log_error.take()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(log) = &mut self.log
            && let Err(error) = log.write_all(bytes)
        {
            self.log = None;
            self.log_error = Some(error);
        }
    }

    fn split(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            if self.partial.is_empty() {
                line(&bytes[..end]);
            } else {
                self.partial.extend_from_slice(&bytes[..end]);
                line(&self.partial);
                self.partial.clear();
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        while self.partial.len() > LINE_BYTES_MAX {
            let rest = self.partial.split_off(LINE_BYTES_MAX);
            line(&self.partial);
            self.partial = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_bounded_and_logged_as_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = otto_core::fifo::pipe().unwrap();
        let mut capture = Capture::new(Channel::Stdout, pipe.read, folder.path()).unwrap();
        let mut lines = Vec::new();
        let mut buffer = vec![0; 7];
        let long = "x".repeat(LINE_BYTES_MAX + 5);
        let mut all = String::new();
        for text in ["one\ntw", "o\n\n", &long, "\nlast"] {
            nix::unistd::write(&pipe.write, text.as_bytes()).unwrap();
            all.push_str(text);
            capture.read(&mut buffer, |line| lines.push(line.to_vec()));
        }
        assert!(capture.fd().is_some());
        drop(pipe.write);
        capture.read(&mut buffer, |line| lines.push(line.to_vec()));
        assert!(capture.fd().is_none());
        let expected =
            ["one", "two", "", &long[..LINE_BYTES_MAX], &long[..5], "last"].map(|s| s.as_bytes());
        assert_eq!(lines, expected);
        assert_eq!(std::fs::read_to_string(folder.path().join("stdout.log")).unwrap(), all);
    }
}

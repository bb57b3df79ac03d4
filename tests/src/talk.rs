//! A raw connection to a server: bytes out, bytes in, nothing of the toolkit's own codecs.

use crate::DEADLINE;
use crate::linear::wire::{Reply, read_reply, resp};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// One connection.
#[derive(Debug)]
pub struct Talk {
    stream: UnixStream,
    replies: BufReader<UnixStream>,
}

impl Talk {
    /// Connects to the server at `socket`.
    ///
    /// # Panics
    /// When nobody listens there; so for everything here that the server fails to do in time.
    #[must_use]
    pub fn new(socket: &str) -> Talk {
        Talk::over(UnixStream::connect(socket).expect("the server is there"))
    }

    /// Talks over a connection that is there.
    ///
    /// # Panics
    /// When the system refuses.
    #[must_use]
    pub fn over(stream: UnixStream) -> Talk {
        stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
        stream.set_write_timeout(Some(DEADLINE)).expect("a time limit");
        let replies = BufReader::new(stream.try_clone().expect("a second handle"));
        Talk { stream, replies }
    }

    /// Sends bytes; a server that has closed the connection is no failure.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Closes the sending side.
    pub fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next line, without its end; empty at the end of the connection.
    ///
    /// # Panics
    /// When none comes.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("a line");
        line.trim_end_matches('\n').to_owned()
    }

    /// The next line, as far as it comes before the connection ends in any way.
    pub fn rest_of_line(&mut self) -> String {
        let mut line = String::new();
        match self.replies.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => line.trim_end().to_owned(),
            _ => String::new(),
        }
    }

    /// Asks in the text dialect.
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.line()
    }

    /// The next frame: its status and payload.
    ///
    /// # Panics
    /// When none comes.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 5];
        self.replies.read_exact(&mut head).expect("a frame");
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let mut payload = vec![0; length as usize - 1];
        self.replies.read_exact(&mut payload).expect("a whole frame");
        (head[4], payload)
    }

    /// Asks in the binary dialect.
    pub fn ask_frame(&mut self, command: u8, payload: &[u8]) -> (u8, Vec<u8>) {
        self.send(frame(command, payload));
        self.frame()
    }

    /// Asks as Redis clients do.
    ///
    /// # Panics
    /// When no reply comes.
    pub fn ask_resp(&mut self, words: &[&str]) -> Reply {
        self.send(resp(words));
        self.reply()
    }

    /// The next reply as Redis clients read it.
    ///
    /// # Panics
    /// When none comes.
    pub fn reply(&mut self) -> Reply {
        read_reply(&mut self.replies).expect("a reply")
    }

    /// Everything up to the end of the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // A connection that is reset has ended, too.
        if let Err(error) = self.replies.read_to_end(&mut all) {
            let late = matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            );
            assert!(!late, "still open after {DEADLINE:?}, with {} bytes", all.len());
        }
        all
    }
}

/// A request of the binary dialect.
///
/// # Panics
/// When it is too long for one.
#[must_use]
pub fn frame(command: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).expect("small");
    [&length.to_be_bytes()[..], &[command], payload].concat()
}

/// Memory of a process, in bytes: `VmHWM` is the most it had so far, `VmRSS` what it has now.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn memory(process: Pid, figure: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(figure)).expect("Linux tells");
    let kib: u64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    kib << 10
}

/// Lets the peak of a process's memory begin anew at what it has now.
///
/// # Panics
/// When the system refuses.
pub fn forget_peak(process: Pid) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("our own child");
}

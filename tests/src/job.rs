//! Child processes with deadlines.

use crate::DEADLINE;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A command about to be started, in a process group of its own.
pub struct Job {
    command: Command,
    input: Vec<u8>,
    keep_input_open: bool,
    limit: Duration,
}

impl Job {
    /// Looks `program` up on the PATH it is going to have.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Job {
        let mut command = Command::new(program);
        command.process_group(0);
        Job { command, input: Vec::new(), keep_input_open: false, limit: DEADLINE }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Job {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Job {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Job {
        self.command.env(name, value);
        self
    }

    /// Unsets a variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Job {
        self.command.env_remove(name);
        self
    }

    /// Starts in `folder`.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Job {
        self.command.current_dir(folder);
        self
    }

    /// What standard input gives before it ends; nothing otherwise.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Job {
        self.input = bytes.into();
        self
    }

    /// Leaves standard input open, for [`Running::send`].
    #[must_use]
    pub fn interactive(mut self) -> Job {
        self.keep_input_open = true;
        self
    }

    /// Replaces the deadline, [`DEADLINE`].
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Job {
        self.limit = limit;
        self
    }

    /// Starts it.
    #[must_use]
    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let what = format!("{:?}", self.command);
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut stdin = child.stdin.take();
        if !self.keep_input_open {
            let (pipe, input) = (stdin.take(), std::mem::take(&mut self.input));
            // A child that never reads must not block the test; one that stops reading may.
            thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&input)));
        }
        let (send_line, lines) = mpsc::channel();
        let stdout = child.stdout.take();
        let out = thread::spawn(move || {
            let mut all = Vec::new();
            let mut reader = BufReader::new(stdout.into_iter().next().expect("piped"));
            loop {
                let from = all.len();
                match reader.read_until(b'\n', &mut all) {
                    Ok(0) | Err(_) => return all,
                    Ok(_) => {
                        let line = String::from_utf8_lossy(&all[from..]);
                        let _ = send_line.send(line.trim_end_matches('\n').to_owned());
                    }
                }
            }
        });
        let stderr = child.stderr.take();
        let err = thread::spawn(move || {
            let mut all = Vec::new();
            stderr.into_iter().for_each(|mut pipe| drop(pipe.read_to_end(&mut all)));
            all
        });
        Running { child: Kept(child), stdin, lines, out, err, what, started, limit: self.limit }
    }

    /// Starts it and waits for its end.
    #[must_use]
    pub fn run(self) -> Finished {
        self.start().finish()
    }
}

/// A child that ends with the test, also with one that fails.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // Whoever was waited for has ended, and its number may be another's.
        if let Ok(None) = self.0.try_wait() {
            let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}

/// A child that runs.
pub struct Running {
    child: Kept,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    out: JoinHandle<Vec<u8>>,
    err: JoinHandle<Vec<u8>>,
    what: String,
    started: Instant,
    limit: Duration,
}

impl Running {
    /// Its process ID.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.0.id().cast_signed())
    }

    /// The next line of its standard output, when it comes.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(self.limit) {
            Ok(line) => line,
            Err(error) => {
                let _ = killpg(self.pid(), Signal::SIGKILL);
                panic!("{}: no further line: {error}", self.what)
            }
        }
    }

    /// The next line, `None` when it ends its output without one.
    pub fn line_or_end(&mut self) -> Option<String> {
        match self.lines.recv_timeout(self.limit) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => Some(self.line()),
        }
    }

    /// Reads lines up to the first that `wanted` accepts, and returns that one.
    pub fn line_where(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.line();
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Writes to its standard input; the job must be [`Job::interactive`].
    pub fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("an interactive job");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("the child reads");
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Signals the process alone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the child is there");
    }

    /// Signals its whole process group, as a terminal does at Ctrl-C.
    pub fn signal_group(&self, signal: Signal) {
        killpg(self.pid(), signal).expect("the group is there");
    }

    /// Waits for its end, which is due by the job's deadline.
    #[must_use]
    pub fn finish(self) -> Finished {
        let due = self.started + self.limit;
        self.finish_by(due)
    }

    /// Waits for the end of what runs until it is told to end: its deadline begins now.
    #[must_use]
    pub fn finish_from_now(self) -> Finished {
        let due = Instant::now() + self.limit;
        self.finish_by(due)
    }

    fn finish_by(mut self, due: Instant) -> Finished {
        self.stdin = None;
        let mut late = false;
        let status = loop {
            match self.child.0.try_wait().expect("our own child") {
                Some(status) => break status,
                None if Instant::now() > due && !late => {
                    late = true;
                    let _ = killpg(self.pid(), Signal::SIGKILL);
                }
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        let took = self.started.elapsed();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let stdout = text(self.out.join().expect("reads to the end"));
        let stderr = text(self.err.join().expect("reads to the end"));
        let what = self.what;
        assert!(!late, "{what}: not ended after {took:?}\n-- out\n{stdout}\n-- err\n{stderr}");
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Finished { status, stdout, stderr, took, what }
    }
}

/// A child that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; 128 and the signal's number when a signal ended it.
    pub status: i32,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
    what: String,
}

impl Finished {
    /// Insists on exit status 0.
    #[must_use]
    pub fn ok(self) -> Finished {
        self.with_status(0)
    }

    /// Insists on an exit status.
    #[must_use]
    pub fn with_status(self, status: i32) -> Finished {
        assert!(
            self.status == status,
            "{}: status {} instead of {status}\n-- out\n{}\n-- err\n{}",
            self.what,
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Insists on a failure that says one line on standard error, and gives that line.
    #[must_use]
    pub fn refused(self, status: i32) -> String {
        let finished = self.with_status(status);
        let lines: Vec<&str> = finished.stderr.lines().collect();
        assert!(lines.len() == 1, "{}: one line expected: {lines:#?}", finished.what);
        lines[0].to_owned()
    }
}

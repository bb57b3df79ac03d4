//! Servers in processes of their own: this test program once more, told by its environment.

use crate::wire::until;
use otto_core::socket::{Options, Server};
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const SOCKET: &str = "SOCKET_TEST_HOST";

/// The body of a host process; skipped when the tests are run.
#[test]
#[ignore = "runs only in the processes that Host starts"]
fn host() {
    let Some(path) = std::env::var_os(SOCKET) else { return };
    match Server::bind(Path::new(&path), Options::default()) {
        Ok(server) => {
            println!("\nserves");
            server.run().unwrap();
        }
        Err(error) => println!("\nrefused: {error}"),
    }
}

/// A process that serves.
pub(crate) struct Host {
    child: Child,
    /// `serves`, or why not.
    pub(crate) said: String,
    /// Kept open: what it still prints must not fail.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Host {
    /// Starts one at `path`, under a shell that has run `before`.
    pub(crate) fn start(path: &Path, before: &str) -> Host {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{before}\nexec \"$@\""), "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "hosts::host", "--ignored", "--nocapture"])
            .env(SOCKET, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines
            .find_map(|line| line.ok().filter(|l| l == "serves" || l.starts_with("refused")))
            .unwrap_or_default();
        Host { child, said, _output: lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time so far, in clock ticks (10 ms).
    pub(crate) fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end of one that was refused.
    pub(crate) fn ended(mut self) -> String {
        until("it ends", || self.child.try_wait().unwrap().is_some());
        std::mem::take(&mut self.said)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

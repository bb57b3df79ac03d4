//! A server on its own, as `otto-serve` without a command starts it.

use crate::{Finished, Job, Place, Running};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// A running `otto-serve`, and what it printed to export.
pub struct Server<'a> {
    place: &'a Place,
    running: Running,
    exports: String,
}

impl Server<'_> {
    /// Starts one and waits until it serves: the last thing it prints is how to reach it.
    #[must_use]
    pub fn start(place: &Place) -> Server<'_> {
        Server::start_under(place, "")
    }

    /// Starts one in a shell that has run `before`.
    #[must_use]
    pub fn start_under<'a>(place: &'a Place, before: &str) -> Server<'a> {
        let job = match before {
            "" => place.job("otto-serve"),
            before => place.bash(&format!("{before}\nexec otto-serve")),
        };
        let mut running = job.interactive().start();
        let mut exports = String::new();
        while !(exports.contains("OTTO_SOCKET=") && exports.contains("OTTO_RUN_ID=")) {
            let line = running.line();
            assert!(line.starts_with("export "), "{line}");
            exports += &(line + "\n");
        }
        Server { place, running, exports }
    }

    /// The lines that a shell evaluates to reach it.
    #[must_use]
    pub fn exports(&self) -> &str {
        &self.exports
    }

    /// A bash script of a client.
    #[must_use]
    pub fn client(&self, script: &str) -> Job {
        self.place.bash(&format!("{}{script}", self.exports))
    }

    /// The path of its socket.
    #[must_use]
    pub fn socket(&self) -> String {
        self.client("printf %s \"$OTTO_SOCKET\"").run().ok().stdout
    }

    /// Its process ID.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.running.pid()
    }

    /// Signals it.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal);
    }

    /// Waits for its end.
    #[must_use]
    pub fn finish(self) -> Finished {
        self.running.finish_from_now()
    }

    /// Ends it in order.
    pub fn stop(self) {
        self.signal(Signal::SIGTERM);
        let _ = self.finish();
    }
}

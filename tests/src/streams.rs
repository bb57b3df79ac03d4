//! Runs of streaming tasks: their files, and what such a run may cost and leave.

use crate::{Finished, Job, Place, Running, processes_of, traces_of};
use nix::unistd::Pid;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The text of an otto.yml, task by task.
#[derive(Debug, Default, Clone)]
pub struct Tasks(String);

impl Tasks {
    /// Without any task yet.
    #[must_use]
    pub fn new() -> Tasks {
        Tasks::default()
    }

    /// Adds a streaming bash task that reads the streams of the tasks `before`.
    #[must_use]
    pub fn stream(self, name: &str, before: &[&str], script: &str) -> Tasks {
        self.task(name, before, "streaming: true, ", script)
    }

    /// Adds a bash task with further settings, each ended by `, `.
    #[must_use]
    pub fn task(mut self, name: &str, before: &[&str], more: &str, script: &str) -> Tasks {
        let script = serde_json::to_string(script).expect("text");
        let before = before.join(", ");
        self.0 += &format!("  {name}: {{{more}before: [{before}], bash: {script}}}\n");
        self
    }
}

impl Display for Tasks {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "tasks:\n{}", self.0)
    }
}

/// A run whose memory is watched while it lives and whose traces are looked for at its end.
pub struct Watched {
    running: Running,
    peak: JoinHandle<u64>,
}

impl Watched {
    /// Starts `tasks` in `place`.
    #[must_use]
    pub fn start(place: &Place, tasks: &Tasks) -> Watched {
        Watched::of(place.otto_run(&tasks.to_string()))
    }

    /// Starts an otto-run.
    #[must_use]
    pub fn of(job: Job) -> Watched {
        let running = job.start();
        let pid = running.pid();
        Watched { running, peak: thread::spawn(move || peak(pid)) }
    }

    /// The run itself.
    pub fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Its ID.
    #[must_use]
    pub fn id(&self) -> String {
        self.running.pid().to_string()
    }

    /// Waits for its end, after which nothing of it may be left; also the most memory that
    /// otto-run had, in KiB.
    #[must_use]
    pub fn finish(self) -> (Finished, u64) {
        let id = self.id();
        let finished = self.running.finish();
        let left = (traces_of(&id), processes_of(&id));
        let said = (&finished.stdout, &finished.stderr);
        assert_eq!(left, (Vec::<PathBuf>::new(), Vec::<String>::new()), "left behind: {said:?}");
        (finished, self.peak.join().expect("only reads"))
    }
}

/// The most memory a process has had, in KiB, when it ends. The kernel's figure only grows.
fn peak(process: Pid) -> u64 {
    let mut peak = 0;
    while let Some(now) = peak_so_far(process) {
        peak = now;
        thread::sleep(Duration::from_millis(5));
    }
    peak
}

fn peak_so_far(process: Pid) -> Option<u64> {
    // Once it has ended there is no such line.
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

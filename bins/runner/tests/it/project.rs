//! A folder with an otto.yml and a home of its own, and otto-run in it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Far longer than anything here takes; only a hang gets there.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Asks the run's server one thing and prints what it says: `python3 ask.py WAIT p.done 60`.
pub(crate) const ASK: &str = "import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(os.environ['OTTO_SOCKET'])
s.sendall(' '.join(sys.argv[1:]).encode() + b'\\n')
print(s.makefile().readline().rstrip())
";

/// An otto.yml of tasks that stream: of each its name, what it reads, and its bash.
pub(crate) fn streaming(tasks: &[(&str, &str, &str)]) -> String {
    let mut text = "tasks:\n".to_owned();
    for (name, before, script) in tasks {
        let script = script.trim().replace('\n', "\n      ");
        text.push_str(&format!(
            "  {name}:\n    streaming: true\n    before: [{before}]\n    bash: |\n      {script}\n"
        ));
    }
    text
}

pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    pub(crate) fn new(otto_yml: &str) -> Project {
        let folder = tempfile::Builder::new().prefix("project").tempdir().unwrap();
        let project = Project { folder };
        for name in ["home", "runtime"] {
            fs::DirBuilder::new().mode(0o700).create(project.path(name)).unwrap();
        }
        project.write("otto.yml", otto_yml);
        project
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A file of a task in the newest run's folder.
    pub(crate) fn of_task(&self, task: &str, file: &str) -> PathBuf {
        let mut projects = fs::read_dir(self.path("home/.otto")).unwrap();
        let project = projects.next().unwrap().unwrap().path();
        project.join("latest/tasks").join(task).join(file)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_otto-run"));
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("OTTO_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.path("home")).env("XDG_RUNTIME_DIR", self.path("runtime"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Started {
        let mut child = self.command(arguments).spawn().unwrap();
        let out = collect(child.stdout.take().unwrap());
        let err = collect(child.stderr.take().unwrap());
        Started { child, out, err }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).wait()
    }
}

fn collect(from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).unwrap_or(0) > 0 {}
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

pub(crate) struct Started {
    child: Child,
    out: JoinHandle<String>,
    err: JoinHandle<String>,
}

impl Started {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!(
                    "otto-run hangs\n{}\n{}",
                    self.out.join().unwrap(),
                    self.err.join().unwrap()
                );
            }
            thread::sleep(Duration::from_millis(2));
        };
        let (out, err) = (self.out.join().unwrap(), self.err.join().unwrap());
        Ended { run: self.child.id(), status, out, err }
    }
}

pub(crate) struct Ended {
    pub(crate) run: u32,
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// The status a shell would show; and whatever the status, nothing of the run is left.
    pub(crate) fn code(&self) -> i32 {
        assert_eq!(traces(self.run), Vec::<String>::new(), "{}", self.err);
        self.status.code().unwrap_or_else(|| -self.status.signal().unwrap())
    }

    /// Asserts that all went well, and returns what the tasks printed.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.code(), 0, "out:\n{}\nerr:\n{}", self.out, self.err);
        &self.out
    }

    /// The lines of one task's standard output.
    pub(crate) fn lines(&self, task: &str) -> Vec<&str> {
        let prefix = format!("[{task}] ");
        self.out.lines().filter_map(|line| line.strip_prefix(&prefix)).collect()
    }
}

/// What a run has left: regions, lock, socket, processes.
pub(crate) fn traces(run: u32) -> Vec<String> {
    let mut found = Vec::new();
    let numbered = format!("otto-{run}");
    for folder in ["/dev/shm", "/tmp"] {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let rest = name.trim_start_matches('.').strip_prefix(&numbered);
            if rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit())) {
                found.push(format!("{folder}/{name}"));
            }
        }
    }
    let wanted = format!("OTTO_RUN_ID={run}");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            found.push(format!("process {}", entry.file_name().to_string_lossy()));
        }
    }
    found
}

/// Waits until `what` holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "still not: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a file is there and has something in it.
pub(crate) fn until_written(path: &Path) {
    until(&format!("{} written", path.display()), || {
        fs::metadata(path).is_ok_and(|found| found.len() > 0)
    });
}

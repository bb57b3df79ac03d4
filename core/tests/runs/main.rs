//! Runs and their owners: what a dead one leaves is removed, what a live one has never is.
#![allow(missing_docs, clippy::unwrap_used)]

use otto_core::files::FileStore;
use otto_core::region::{Dataset, DatasetBuilder, DocumentStore, Publisher, Spill};
use otto_core::run::{Descendants, Run, RunId, clean_dead_runs, live_run, live_runs};
use otto_core::socket::{Client, Options, Server};
use otto_core::{Condition, ErrorKind, Json, Key, TaskName, Values};
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "RUNS_TEST_ROLE";

/// The body of an owner, in a process of its own; skipped when the tests are run.
#[test]
#[ignore = "runs only in the processes that Owner starts"]
fn owner() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match role.as_str() {
        "hold" => hold(Descendants::Left, &["setsid", "sleep", "600"]),
        "sweep" => hold(Descendants::Swept, &["setsid", "sleep", "600"]),
        // Each program it becomes starts the next: most of the time it has no environment to read.
        "restless" => hold(Descendants::Swept, &["setsid", "sh", "-c", BOUNDED]),
        "clean" => {
            for _ in 0..20 {
                clean_dead_runs().unwrap();
            }
        }
        // Creates and drops, so that cleaners meet runs at every moment of their lives.
        _ => {
            for _ in 0..20 {
                let run = Run::create(Descendants::Left).unwrap();
                fill(&run);
                assert!(run.dir().is_dir() && run.id().lock_path().exists());
                let mut documents = DocumentStore::open(run.id());
                assert!(documents.get(&key("t.k")).unwrap().is_some(), "a live run was cleaned");
            }
        }
    }
    // Nobody may be left to read it.
    let _ = writeln!(std::io::stdout(), "\ndone");
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

/// Something of every kind.
fn fill(run: &Run) {
    let name = TaskName::parse("t").unwrap();
    let mut documents = DocumentStore::open(run.id());
    documents.set(&key("t.k"), &Json::number(1), Condition::Always).unwrap();
    Dataset::publish(run.id(), &name, &mut &b"bytes"[..], None, &Json::null()).unwrap();
    let mut files = FileStore::open(run.dir(), Some(name)).unwrap();
    files.set(&key("t.k"), &Json::number(1), Condition::Always).unwrap();
}

/// Becomes itself again and again.
const RESTLESS: &str = r#"exec sh -c "$RESTLESS""#;
/// Not for ever, should this test be killed: for so many seconds of processor time.
const BOUNDED: &str = r#"ulimit -t 60; exec sh -c "$RESTLESS""#;

fn hold(descendants: Descendants, left_behind: &[&str]) {
    let run = Run::create(descendants).unwrap();
    let _server = Server::bind(&run.socket_path(), Options::default()).unwrap().spawn();
    run.link_socket();
    fill(&run);
    // A process of the run that outlives its owner, in a session of its own.
    #[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
    let child = Command::new(left_behind[0])
        .args(&left_behind[1..])
        .env("RESTLESS", RESTLESS)
        .env("OTTO_RUN_ID", run.id().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    println!("\nholds {} {} {}", run.id(), run.dir().display(), child.id());
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}

/// Another process that owns a run, or cleans.
struct Owner {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Owner {
    fn start(role: &str) -> Owner {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "owner", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Owner { child, lines }
    }

    /// Its run, folder, and the process it has started.
    fn held(&mut self) -> (RunId, PathBuf, u32) {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        let line = lines.find(|line| line.starts_with("holds ")).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        (RunId::parse(words[1]).unwrap(), words[2].into(), words[3].parse().unwrap())
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Everything that bears the number of `run`.
fn traces(run: RunId, dir: &Path) -> Vec<PathBuf> {
    let shared = fs::read_dir("/dev/shm").unwrap().flatten().map(|entry| entry.path());
    let number = run.to_string();
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.split(|c: char| !c.is_ascii_digit()).any(|part| part == number)
    };
    let mut traces: Vec<PathBuf> = shared.filter(ours).collect();
    let places = [dir.to_owned(), run.socket_link()];
    traces.extend(places.into_iter().filter(|path| fs::symlink_metadata(path).is_ok()));
    traces
}

fn alive(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn until(what: &str, mut event: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !event() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_killed_owner_is_cleaned_up_after_and_a_live_one_never() {
    let mut live = Owner::start("hold");
    let (live_run, live_dir, live_process) = live.held();
    let live_traces = traces(live_run, &live_dir);
    for (role, swept) in [("hold", false), ("sweep", true)] {
        let mut owner = Owner::start(role);
        let (run, dir, process) = owner.held();
        // Lock, document, its control file, dataset, folder, link.
        assert!(traces(run, &dir).len() >= 6, "{:?}", traces(run, &dir));
        clean_dead_runs().unwrap();
        assert!(traces(run, &dir).len() >= 6, "a live run was cleaned");
        owner.kill();
        assert!(traces(run, &dir).len() >= 6, "the test needs something left over");
        until("it is cleaned", || {
            clean_dead_runs().unwrap();
            traces(run, &dir).is_empty()
        });
        if swept {
            until("its processes have ended", || !alive(process));
        } else {
            assert!(alive(process), "what otto-serve's command left running is its own affair");
            let pid = nix::unistd::Pid::from_raw(process.cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
    }
    assert_eq!(traces(live_run, &live_dir), live_traces);
    assert!(alive(live_process));
    let mut client = Client::connect(&live_dir.join("otto.sock")).unwrap();
    client.ping().unwrap();
    // An orderly end leaves nothing either.
    drop(live.child.stdin.take());
    live.child.wait().unwrap();
    assert_eq!(traces(live_run, &live_dir), Vec::<PathBuf>::new());
    let pid = nix::unistd::Pid::from_raw(live_process.cast_signed());
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
}

/// What somebody in another terminal finds.
#[test]
fn a_run_is_found_while_its_owner_lives() {
    let find = |run: RunId| live_runs().unwrap().into_iter().find(|live| live.id == run);
    let before = std::time::SystemTime::now() - Duration::from_secs(1);
    let mut owner = Owner::start("hold");
    let (run, dir, process) = owner.held();
    let mut younger = Owner::start("hold");
    let (second, _, other) = younger.held();
    let found = find(run).unwrap();
    assert_eq!((&found.dir, &found.socket), (&dir, &dir.join("otto.sock")));
    assert!(found.started >= before && !found.program.is_empty(), "{found:?}");
    Client::connect(&found.socket).unwrap().ping().unwrap();
    let order: Vec<RunId> = live_runs().unwrap().iter().map(|live| live.id).collect();
    let place = |run: RunId| order.iter().position(|id| *id == run).unwrap();
    assert!(place(run) < place(second), "the oldest comes first");
    assert_eq!(live_run(Some(run)).unwrap(), found);
    let several = live_run(None).unwrap_err();
    assert_eq!(several.kind(), ErrorKind::Usage);
    assert!(several.to_string().contains(&run.to_string()), "{several}");
    owner.kill();
    assert_eq!(find(run), None, "it is dead, cleaned or not");
    assert_eq!(live_run(Some(run)).unwrap_err().kind(), ErrorKind::NoRun);
    younger.kill();
    clean_dead_runs().unwrap();
    for process in [process, other] {
        let pid = nix::unistd::Pid::from_raw(process.cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

/// A process that is becoming another program shows no environment for a moment.
#[test]
fn a_process_that_never_stands_still_is_swept() {
    for _ in 0..20 {
        let mut owner = Owner::start("restless");
        let (run, dir, process) = owner.held();
        owner.kill();
        until("it is cleaned", || {
            clean_dead_runs().unwrap();
            traces(run, &dir).is_empty()
        });
        until("its process has ended", || !alive(process));
    }
}

/// A folder of somebody's that bears a run's number, behind a link where that of all runs would be.
#[test]
fn no_folder_behind_a_link_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunId(u64::MAX - 1_000_000 - u64::from(std::process::id()));
    let precious = folder.path().join("mail").join(run.to_string());
    fs::create_dir_all(&precious).unwrap();
    let link = folder.path().join("otto");
    std::os::unix::fs::symlink(folder.path().join("mail"), &link).unwrap();
    let record = format!("left\n{}\n", link.join(run.to_string()).display());
    fs::write(run.lock_path(), record).unwrap();
    until("its lock is removed", || {
        clean_dead_runs().unwrap();
        !run.lock_path().exists()
    });
    assert!(precious.is_dir());
}

/// What is published while its run ends would stay for ever.
#[test]
fn nothing_can_be_published_in_a_run_that_has_ended() {
    let name = TaskName::parse("t").unwrap();
    let is_refused = |error: otto_core::Error| {
        assert_eq!(error.kind(), ErrorKind::NoRun, "{error}");
        assert!(error.to_string().contains("has ended"), "{error}");
    };
    let start = || {
        let run = Run::create(Descendants::Left).unwrap();
        (run.id(), run.dir().to_owned(), Some(run))
    };

    let (id, dir, mut run) = start();
    let mut end = |_| {
        drop(run.take());
        Ok(())
    };
    is_refused(Publisher::new(id, &name).progress(&mut end).bytes(&[7; 10_000]).unwrap_err());
    assert_eq!(traces(id, &dir), Vec::<PathBuf>::new());

    let (id, dir, run) = start();
    let mut builder = DatasetBuilder::new(id, &name, b"", 1000, Spill::Never).unwrap();
    drop(run);
    is_refused(builder.publish(&Json::null()).unwrap_err());
    assert_eq!(traces(id, &dir), Vec::<PathBuf>::new());

    let (id, dir, run) = start();
    let mut documents = DocumentStore::open(id);
    documents.set(&key("t.k"), &Json::number(1), Condition::Always).unwrap();
    drop(run);
    is_refused(documents.set(&key("t.k"), &Json::number(2), Condition::Always).unwrap_err());
    assert_eq!(traces(id, &dir), Vec::<PathBuf>::new());
}

/// Without a lock file nothing is known about a run, so nothing of it is touched.
#[test]
fn unknown_is_not_dead() {
    let run = RunId(u64::MAX - u64::from(std::process::id()));
    let path = run.document_path(&TaskName::parse("t").unwrap());
    fs::write(&path, "").unwrap();
    clean_dead_runs().unwrap();
    let there = path.exists();
    fs::remove_file(&path).unwrap();
    assert!(there);
}

/// A lock that names somebody else's folder removes nothing there.
#[test]
fn a_record_is_not_believed() {
    let run = RunId(u64::MAX - 1_000_000 - u64::from(std::process::id()));
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).unwrap();
    for dir in [kept.as_path(), folder.path(), Path::new("/"), Path::new("")] {
        fs::write(run.lock_path(), format!("left\n{}\n", dir.display())).unwrap();
        until("the lock is gone", || {
            clean_dead_runs().unwrap();
            !run.lock_path().exists()
        });
        assert!(kept.is_dir(), "{}", dir.display());
    }
}

/// Many cleaners beside many that create, hold and drop runs.
#[test]
fn cleaners_and_creators_at_once() {
    let mut live = Owner::start("hold");
    let (run, dir, process) = live.held();
    let before = traces(run, &dir);
    let mut dead = Owner::start("hold");
    let (dead_run, dead_dir, left) = dead.held();
    dead.kill();
    let mut owners: Vec<Owner> =
        (0..32).map(|n| Owner::start(if n % 2 == 0 { "clean" } else { "create" })).collect();
    for owner in &mut owners {
        let status = owner.child.wait().unwrap();
        assert!(status.success());
        assert!(owner.lines.by_ref().map(Result::unwrap).any(|line| line == "done"));
    }
    assert_eq!(traces(run, &dir), before);
    assert_eq!(traces(dead_run, &dead_dir), Vec::<PathBuf>::new());
    for process in [process, left] {
        let pid = nix::unistd::Pid::from_raw(process.cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

//! otto-run: what it refuses, what it leaves, how it ends.

use nix::sys::signal::Signal;
use otto_e2e::{Place, processes_of, readable_by_others, traces_of, wait_for};
use std::fs;
use std::path::PathBuf;

/// Refused before any task starts, with file, line and what may have been meant.
#[test]
fn a_bad_file_is_refused_before_anything_starts() {
    let place = Place::new();
    let started = "    bash: touch started\n";
    for (file, status, mentions) in [
        (format!("tasks:\n  a:\n{started}    befor: [b]\n"), 2, &["otto.yml:4", "before"][..]),
        (
            format!("tasks:\n  a:\n{started}  b:\n{started}    before: [aa]\n"),
            2,
            &["otto.yml:6", "\"aa\"", "\"a\""],
        ),
        (
            format!("tasks:\n  a:\n{started}    before: [b]\n  b:\n{started}    before: [a]\n"),
            2,
            &["a", "b"],
        ),
        (format!("tasks:\n  a:\n{started}\tb: {{\n"), 2, &["otto.yml:"]),
        ("just text\n".into(), 2, &["otto.yml"]),
        (format!("tasks:\n  a:\n{started}    timeout: soon\n"), 2, &["otto.yml:4", "timeout"]),
        (format!("tasks:\n  a.b:\n{started}"), 2, &["otto.yml:2", "a.b"]),
        (format!("tasks:\n  a:\n{started}    python3: pass\n"), 2, &["otto.yml:"]),
        ("tasks:\n  a:\n    help: nothing to do\n".into(), 2, &["otto.yml:2", "a"]),
        (format!("otto:\n  jobs: many\ntasks:\n  a:\n{started}"), 2, &["otto.yml:2", "jobs"]),
    ] {
        let line = place.otto_run(&file).run().refused(status);
        for word in mentions {
            assert!(line.contains(word), "no {word:?} in: {line}\n{file}");
        }
        assert!(!place.path().join("started").exists(), "{file}");
    }
    let line = place.job("otto-run").args(["-f", "nowhere.yml"]).run().refused(2);
    assert!(line.contains("nowhere.yml"), "{line}");
    let file = format!("tasks:\n  compile:\n{started}");
    let line = place.otto_run(&file).arg("compil").run().refused(2);
    assert!(line.contains("compile"), "{line}");
    let line = Place::new().job("otto-run").run().refused(2);
    assert!(line.contains("otto.yml"), "{line}");
}

#[test]
fn the_file_is_found_from_below() {
    let place = Place::new();
    let below = place.folder("a/b");
    place.write(".otto.yml", "tasks:\n  t:\n    bash: echo found from $PWD\n");
    let out = place.job("otto-run").in_folder(&below).run().ok().stdout;
    assert!(out.contains("found from"), "{out}");
}

#[test]
fn the_status_of_the_first_failure_is_the_runs() {
    let place = Place::new();
    let file = "tasks:\n  fail:\n    bash: exit 7\n  \
        never:\n    before: [fail]\n    bash: touch never\n";
    let finished = place.otto_run(file).run().with_status(7);
    assert!(finished.stderr.contains("fail"), "{}", finished.stderr);
    assert!(!place.path().join("never").exists());
    let file = "tasks:\n  killed:\n    bash: kill -TERM $$\n";
    let _ = place.otto_run(file).run().with_status(128 + 15);
}

/// A key of no task belongs to all tasks, over files too.
#[test]
fn tasks_share_the_keys_of_no_task_through_files() {
    let place = Place::new();
    let file = "tasks:\n  \
        first:\n    bash: otto-set --via files -g shared 1\n  \
        second:\n    before: [first]\n    bash: echo \"got $(otto-get --via files shared)\"\n";
    let out = place.otto_run(file).run().ok().stdout;
    assert!(out.contains("got 1"), "{out}");
}

/// What stays of a run: readable with cat, and for its owner alone.
#[test]
fn what_a_run_keeps() {
    let place = Place::new();
    let file = "otto:\n  name: kept\ntasks:\n  \
        build:\n    bash: |\n      echo to stdout\n      echo to stderr >&2\n      otto-set version 1.10\n  \
        ship:\n    before: [build]\n    bash: |\n      \
          cat \"$OTTO_TASK_DIR/input.build.json\"; OTTO_VIA=files otto-get build.version\n      \
          echo \"id $OTTO_RUN_ID\"\n";
    let out = place.otto_run(file).run().ok().stdout;
    assert!(out.contains("{\"version\":\"1.10\"}"), "{out}");
    let mut projects: Vec<PathBuf> = fs::read_dir(place.home().join(".otto"))
        .expect("the run's folder")
        .map(|entry| entry.expect("readable").path())
        .collect();
    projects.retain(|path| path.is_dir());
    assert_eq!(projects.len(), 1, "{projects:?}");
    let run = fs::read_dir(&projects[0]).expect("a project").next().expect("a run").expect("one");
    let tasks = run.path().join("tasks");
    let text = |name: &str| fs::read_to_string(tasks.join(name)).expect("kept");
    assert_eq!(text("build/stdout.log"), "to stdout\n");
    assert_eq!(text("build/stderr.log"), "to stderr\n");
    assert_eq!(text("build/output.build.json").trim(), "{\"version\":\"1.10\"}");
    assert_eq!(text("ship/input.build.json"), text("build/output.build.json"));
    assert!(tasks.join("ship/input.build.json").is_symlink());
    assert!(tasks.join("build").read_dir().expect("a task").count() >= 4);
    let open = readable_by_others(&[place.home().join(".otto")]);
    assert_eq!(open, Vec::<PathBuf>::new());
    let id = out.lines().find_map(|line| line.split_once("id ")).expect("the run's ID").1;
    assert_eq!(traces_of(id), Vec::<PathBuf>::new());
}

/// A run with everything in it: values, documents, a dataset, streams, and a task that waits.
const BUSY: &str = "tasks:\n  \
    source:\n    streaming: true\n    bash: |\n      \
      otto-set --via mmap k v; echo data | otto-mmap-write --dataset d -; otto-set k v\n      \
      yes '{\"n\":1}' > \"$OTTO_OUTPUT_PIPE\"\n  \
    sink:\n    before: [source]\n    streaming: true\n    bash: |\n      \
      read -r line; echo \"run $OTTO_RUN_ID task $$\"\n      \
      trap '' HUP; setsid sleep 1000 & \n      \
      otto-get --wait never.set\n  \
    never:\n    before: [sink]\n    bash: otto-set set 1\n";

fn start_busy(place: &Place) -> (otto_e2e::Running, String) {
    let mut run = place.otto_run(BUSY).start();
    let line = run.line_where(|line| line.contains("run "));
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "run").expect("it is there");
    let id = words[at + 1].to_owned();
    assert_eq!(id, run.pid().to_string());
    (run, id)
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let place = Place::new();
        let (run, id) = start_busy(&place);
        assert!(traces_of(&id).len() >= 4, "{:?}", traces_of(&id));
        assert_eq!(readable_by_others(&traces_of(&id)), Vec::<PathBuf>::new());
        if signal == Signal::SIGINT {
            run.signal_group(signal);
        } else {
            run.signal(signal);
        }
        let _ = run.finish().with_status(128 + signal as i32);
        assert_eq!(traces_of(&id), Vec::<PathBuf>::new(), "after {signal}");
        assert_eq!(processes_of(&id), Vec::<String>::new(), "after {signal}");
    }
}

#[test]
fn what_a_killed_run_left_goes_at_the_next_start() {
    let place = Place::new();
    let (run, id) = start_busy(&place);
    run.signal(Signal::SIGKILL);
    let _ = run.finish().with_status(128 + 9);
    let _ = place.otto_run("tasks:\n  t:\n    bash: 'true'\n").run().ok();
    wait_for("the dead run is cleaned up", || traces_of(&id).is_empty().then_some(()));
    wait_for("its processes are ended", || processes_of(&id).is_empty().then_some(()));
}

#[test]
fn a_failed_run_leaves_nothing() {
    let place = Place::new();
    let file = BUSY.replace("otto-get --wait never.set", "exit 9");
    let finished = place.otto_run(&file).run().with_status(9);
    let line = finished.stdout.lines().find(|line| line.contains("run ")).expect("it ran");
    let id = line.split("run ").nth(1).and_then(|rest| rest.split(' ').next()).expect("the ID");
    assert_eq!(traces_of(id), Vec::<PathBuf>::new());
    assert_eq!(processes_of(id), Vec::<String>::new());
}

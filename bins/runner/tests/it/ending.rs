//! How runs end before their time, and what they leave then: nothing.

use crate::project::{Project, traces, until, until_written};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

#[test]
fn the_first_failure_decides_and_cancels_the_rest() {
    let project = Project::new(concat!(
        "tasks:\n  slow: {bash: 'touch started; sleep 1000; touch ran'}\n",
        "  bad: {bash: 'until [ -e started ]; do sleep 0.01; done; exit 7'}\n",
        "  never: {bash: touch ran, before: [bad]}\n",
    ));
    let ended = project.run(&["-j2"]);
    assert_eq!(ended.code(), 7);
    assert!(ended.err.contains("otto-run: slow: cancelled after"), "{}", ended.err);
    let last = ended.err.lines().last().unwrap();
    assert!(
        last.starts_with("otto-run: task \"bad\" failed with status 7; its output: "),
        "{last}"
    );
    assert!(!project.path("ran").exists());
}

#[test]
fn a_killed_task_is_128_and_its_signal() {
    let project = Project::new("tasks:\n  a: {bash: 'kill -SEGV $$'}\n");
    let ended = project.run(&[]);
    assert_eq!(ended.code(), 128 + 11);
    assert!(ended.err.contains("task \"a\" was killed by SIGSEGV"), "{}", ended.err);
}

#[test]
fn a_timeout_is_4_and_ends_the_task() {
    let project = Project::new("tasks:\n  a: {bash: 'sleep 1000; touch ran', timeout: 200ms}\n");
    let started = Instant::now();
    let ended = project.run(&[]);
    assert_eq!(ended.code(), 4);
    assert!(ended.err.contains("task \"a\" timed out after 0.2 s"), "{}", ended.err);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn each_ending_signal_cancels_with_its_status() {
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1), ("QUIT", 3)] {
        let project = Project::new(
            "tasks:\n  a: {bash: 'trap \"echo asked > asked; exit 9\" TERM; echo > started; while :; do sleep 0.01; done'}\n",
        );
        let started = project.start(&[]);
        until_written(&project.path("started"));
        started.signal(name);
        let ended = started.wait();
        assert_eq!(ended.code(), 128 + number, "{name}: {}", ended.err);
        assert_eq!(project.read("asked"), "asked\n", "{name}");
        assert!(ended.err.contains(&format!("cancelled by SIG{name}")), "{}", ended.err);
    }
}

#[test]
fn asked_twice_it_leaves_no_grace() {
    // Deaf to TERM: without the second signal this takes the whole grace.
    let project = Project::new(
        "tasks:\n  a: {bash: 'trap \"echo asked > asked\" TERM; echo > started; while :; do sleep 0.01 || true; done'}\n",
    );
    let started = project.start(&[]);
    until_written(&project.path("started"));
    let begin = Instant::now();
    started.signal("INT");
    // Two that come at once may be delivered as one.
    until_written(&project.path("asked"));
    started.signal("INT");
    let ended = started.wait();
    assert_eq!(ended.code(), 130);
    assert!(begin.elapsed() < Duration::from_millis(2500), "{:?}", begin.elapsed());
}

#[test]
fn deaf_tasks_are_killed_when_the_grace_is_over() {
    let project = Project::new(
        "tasks:\n  a: {bash: 'trap \"\" TERM; echo > started; while :; do sleep 0.01; done'}\n",
    );
    let started = project.start(&[]);
    until_written(&project.path("started"));
    started.signal("TERM");
    assert_eq!(started.wait().code(), 143);
}

#[test]
fn nothing_that_a_task_started_outlives_the_run() {
    // In its group, out of its group, deaf, orphaned twice over, with its output open.
    for script in [
        "sleep 1000 & echo $! > pid",
        "sleep 1000 > /dev/null 2>&1 & echo $! > pid",
        "setsid sleep 1000 > /dev/null 2>&1 & echo $! > pid",
        "setsid sleep 1000 & echo $! > pid",
        "(trap \"\" TERM; setsid bash -c \"trap \\\"\\\" TERM; echo \\$\\$ > pid; while :; do sleep 0.1; done\" & ) ; until [ -s pid ]; do sleep 0.01; done",
        "env -i setsid sleep 1000 > /dev/null 2>&1 & echo $! > pid",
    ] {
        let project = Project::new(&format!("tasks:\n  a:\n    bash: |\n      {script}\n"));
        let ended = project.run(&[]);
        assert_eq!(ended.code(), 0, "{script}: {}", ended.err);
        let id = project.read("pid");
        assert!(!std::path::Path::new(&format!("/proc/{}", id.trim())).exists(), "{script}");
    }
}

#[test]
fn what_finishes_by_itself_just_after_its_task_is_let_finish() {
    let project = Project::new(
        "tasks:\n  a: {bash: 'echo early > >(sleep 0.1; cat; echo late)'}\n  b: {bash: 'cat \"$OTTO_TASK_DIR/../a/stdout.log\"', before: [a]}\n",
    );
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(ended.lines("b"), ["early", "late"]);
}

#[test]
fn a_background_process_that_holds_the_output_does_not_hold_up_the_run() {
    let project = Project::new("tasks:\n  a: {bash: 'sleep 1000 & echo done'}\n");
    let begin = Instant::now();
    let ended = project.run(&[]);
    assert_eq!(ended.ok(), "[a] done\n");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn after_a_sigkill_the_next_start_cleans_up() {
    let project = Project::new("tasks:\n  a: {bash: 'echo $$ > started; exec sleep 1000'}\n");
    let started = project.start(&[]);
    until_written(&project.path("started"));
    let task = project.read("started");
    let run = started.id();
    assert_ne!(traces(run), Vec::<String>::new());
    started.signal("KILL");
    let ended = started.wait();
    assert_eq!(ended.status.signal(), Some(9));
    assert!(project.path(&format!("runtime/otto/{run}")).exists());

    project.write("otto.yml", "tasks:\n  b: {bash: echo fine}\n");
    project.run(&[]).ok();
    until("no trace of the dead run", || traces(run).is_empty());
    assert!(!project.path(&format!("runtime/otto/{run}")).exists());
    assert!(!std::path::Path::new(&format!("/proc/{}/cwd", task.trim())).exists());
}

#[test]
fn a_run_within_a_run_ends_with_it() {
    let project = Project::new("tasks:\n  outer: {bash: 'otto-run -f inner.yml'}\n");
    project.write("inner.yml", "tasks:\n  inner: {bash: 'echo $$ > started; exec sleep 1000'}\n");
    let started = project.start(&[]);
    until_written(&project.path("started"));
    let task = project.read("started");
    started.signal("INT");
    assert_eq!(started.wait().code(), 130);
    assert!(!std::path::Path::new(&format!("/proc/{}", task.trim())).exists());
}

#[test]
fn a_reader_that_stops_reading_does_not_keep_the_run_from_ending() {
    let project =
        Project::new("tasks:\n  a: {bash: \"echo > started; trap 'yes >&2' TERM; yes\"}\n");
    let mut child = project.command(&[]).spawn().unwrap();
    until_written(&project.path("started"));
    // Its pipes are never read; they are full when the task's log stops growing.
    let log = project.of_task("a", "stdout.log");
    let mut last = (0, Instant::now());
    until("the output held up", || {
        let size = std::fs::metadata(&log).map_or(0, |found| found.len());
        if size != last.0 {
            last = (size, Instant::now());
        }
        last.0 > 0 && last.1.elapsed() > Duration::from_millis(300)
    });
    let id = child.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success()
    );
    let mut status = None;
    until("the run's end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(143));
    assert_eq!(traces(child.id()), Vec::<String>::new());
}

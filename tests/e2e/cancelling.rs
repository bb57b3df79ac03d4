//! otto-cancel: a run, or one task of it.

use otto_e2e::{Place, Running, processes_of, traces_of, wait_for};

/// Starts a run of `tasks` and waits until task `a` has said that it is `ready`.
fn start(place: &Place, tasks: &str) -> Running {
    let mut run = place.otto_run(&format!("tasks:\n{tasks}")).start();
    let _ = run.line_where(|line| line.contains("ready"));
    run
}

/// Cancels from another terminal.
fn cancel(place: &Place, run: &Running, task: &[&str]) {
    let id = run.pid().to_string();
    let _ = place.job("otto-cancel").args(["--run", &id]).args(task).run().ok();
}

#[test]
fn a_cancelled_run_ends_as_by_an_interrupt() {
    let place = Place::new();
    let tasks = "  a: {bash: 'trap \"echo cleaned up; exit 0\" TERM; echo ready; sleep 1000 & wait'}\n  \
                 b: {before: [a], bash: 'touch never'}\n";
    let run = start(&place, tasks);
    let id = run.pid().to_string();
    cancel(&place, &run, &[]);
    let finished = run.finish().with_status(130);
    assert!(finished.stdout.contains("cleaned up"), "{}", finished.stdout);
    assert!(finished.stderr.contains("cancelled by otto-cancel"), "{}", finished.stderr);
    assert!(!place.path().join("never").exists());
    assert_eq!(processes_of(&id), Vec::<String>::new());
    assert!(traces_of(&id).is_empty());
}

/// The rest of the run goes on, what needs the task does not start, and the status says it.
#[test]
fn one_task_is_ended_alone() {
    let place = Place::new();
    let tasks = "  a: {bash: 'echo ready; exec sleep 1000'}\n  \
                 user: {before: [a], bash: 'touch never'}\n  last: {before: [user], bash: 'touch never'}\n  \
                 other: {bash: 'otto-get --wait a.x || echo \"told $?\"; otto-get --wait user.x || echo then'}\n  \
                 after: {before: [other], bash: 'echo went on'}\n";
    let run = start(&place, tasks);
    cancel(&place, &run, &["a"]);
    let finished = run.finish().with_status(130);
    for said in ["told 6", "[other] then", "[after] went on"] {
        assert!(finished.stdout.contains(said), "no {said}: {}", finished.stdout);
    }
    for said in [
        "otto-cancel: ending a",
        "a: cancelled after",
        "not started, since a was cancelled: user, last",
        "producer ended: a.x: task a was cancelled",
        "producer ended: user.x: task user does not start, since a was cancelled",
        "cancelled by otto-cancel: a; 2 tasks done",
    ] {
        assert!(finished.stderr.contains(said), "no {said}: {}", finished.stderr);
    }
    assert!(!place.path().join("never").exists());
}

#[test]
fn a_task_that_ends_in_good_order_when_asked_has_done_its_work() {
    let place = Place::new();
    let tasks = "  a: {bash: 'trap \"otto-set part 1; exit 0\" TERM; echo ready; sleep 1000 & wait'}\n  \
                 b: {before: [a], bash: 'echo got $(otto-get a.part)'}\n";
    let run = start(&place, tasks);
    cancel(&place, &run, &["a"]);
    let finished = run.finish().ok();
    assert!(finished.stdout.contains("[b] got 1"), "{}", finished.stdout);
}

/// It is killed after the grace, and what it started with it.
#[test]
fn a_task_that_does_not_listen_is_killed() {
    let place = Place::new();
    let tasks = "  a: {bash: 'trap \"\" TERM; echo ready; sleep 1000'}\n  b: {bash: 'true'}\n";
    let run = start(&place, tasks);
    let id = run.pid().to_string();
    cancel(&place, &run, &["a"]);
    // Asking once more changes nothing.
    cancel(&place, &run, &["a"]);
    let finished = run.finish().with_status(130);
    assert!(finished.stderr.contains("b: done"), "{}", finished.stderr);
    assert_eq!(processes_of(&id), Vec::<String>::new());
}

#[test]
fn a_task_that_has_not_started_never_does() {
    let place = Place::new();
    let tasks = "  a: {bash: 'echo ready; until [ -e go ]; do sleep 0.05; done'}\n  later: {before: [a], bash: 'touch never'}\n  \
                 last: {before: [later], bash: 'touch never'}\n  free: {before: [a], bash: 'echo free'}\n";
    let run = start(&place, tasks);
    cancel(&place, &run, &["later"]);
    place.write("go", "");
    let finished = run.finish().with_status(130);
    assert!(finished.stdout.contains("[free] free"), "{}", finished.stdout);
    assert!(finished.stderr.contains("otto-cancel: later does not start"), "{}", finished.stderr);
    assert!(finished.stderr.contains("since later was cancelled: last"), "{}", finished.stderr);
    assert!(!place.path().join("never").exists());
}

/// A failure elsewhere is what the run's status tells.
#[test]
fn a_failure_counts_more_than_a_cancelled_task() {
    let place = Place::new();
    let tasks = "  a: {bash: 'echo ready; exec sleep 1000'}\n  \
                 b: {bash: 'otto-get --wait a.x || exit 7'}\n";
    let run = start(&place, tasks);
    cancel(&place, &run, &["a"]);
    let _ = run.finish().with_status(7);
}

#[test]
fn what_is_no_task_is_not_found_and_what_has_ended_is_left_alone() {
    let place = Place::new();
    let tasks = "  b: {bash: 'true'}\n  \
                 a: {before: [b], bash: 'echo ready; until [ -e end ]; do sleep 0.05; done'}\n";
    let run = start(&place, tasks);
    let id = run.pid().to_string();
    let refused = place.job("otto-cancel").args(["--run", &id, "nobody"]).run().refused(3);
    assert!(refused.contains("not found: nobody"), "{refused}");
    cancel(&place, &run, &["b"]);
    place.write("end", "");
    let finished = run.finish().ok();
    assert!(!finished.stderr.contains("cancel"), "{}", finished.stderr);
}

/// Consumers of a cancelled producer get no clean end; those that ask are told.
#[test]
fn the_stream_of_a_cancelled_task_has_no_end() {
    let place = Place::new();
    let tasks = "  \
        a:\n    streaming: true\n    bash: |\n      echo '{\"n\":1}' > \"$OTTO_OUTPUT_PIPE\"; exec sleep 1000\n  \
        plain:\n    streaming: true\n    before: [a]\n    bash: 'cat; touch ended'\n  \
        asks:\n    streaming: true\n    before: [a]\n    python3: |\n      import otto\n      \
          try:\n        for item in otto.input_pipe(): print('ready', item)\n      \
          except otto.ProducerEnded: print('told')\n  \
        after: {before: [plain], bash: 'touch never'}\n  \
        free: {before: [asks], bash: 'echo free'}\n";
    let run = start(&place, tasks);
    cancel(&place, &run, &["a"]);
    let finished = run.finish().with_status(130);
    assert!(finished.stdout.contains("[asks] told"), "{}", finished.stdout);
    assert!(finished.stdout.contains("[free] free"), "it went on: {}", finished.stdout);
    let why = "since a, whose stream it read, was cancelled";
    assert!(finished.stderr.contains(why), "{}", finished.stderr);
    assert!(!place.path().join("ended").exists() && !place.path().join("never").exists());
}

/// Under otto-serve the command is asked to end.
#[test]
fn a_cancelled_command_gets_the_signal() {
    let place = Place::new();
    let script = "trap 'kill $!; echo asked; exit 5' TERM; echo ready; sleep 1000 & wait";
    let mut serve = place.serve(script).start();
    let _ = serve.line_where(|line| line == "ready");
    let id = serve.pid().to_string();
    // No task is known here: whoever calls itself so can ask whether it was cancelled.
    let _ = place.job("otto-cancel").args(["--run", &id, "any"]).run().ok();
    let _ = place.job("otto-cancel").args(["--run", &id]).run().ok();
    assert_eq!(serve.line(), "asked");
    let _ = serve.finish().with_status(5);
    wait_for("the run is gone", || traces_of(&id).is_empty().then_some(()));
}

//! Waiting under otto-run: it ends when nobody is left, and when tasks wait for each other; and it
//! lasts as long as anybody may still go on.

use otto_e2e::{Finished, Place};
use std::time::Duration;

fn run(place: &Place, tasks: &str) -> Finished {
    place.otto_run(&format!("tasks:\n{tasks}")).within(Duration::from_secs(30)).run()
}

#[test]
fn who_could_have_set_a_key_is_named() {
    let place = Place::new();
    let finished = run(
        &place,
        "  build: {bash: 'otto-get --wait ask.first'}\n  \
         ask: {bash: 'otto-set first 1; if otto-get --wait build.version; then exit 9; else exit $?; fi'}\n",
    )
    .with_status(6);
    let said = "producer ended: build.version: task build has ended without setting it";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
    let finished = run(
        &place,
        "  a: {bash: 'otto-get --wait c.go'}\n  b: {bash: 'otto-get --wait c.go'}\n  \
         c: {python3: \"import otto\\notto.set('go', 1)\\ntry: otto.wait('shared')\\n\
         except otto.ProducerEnded as error: print(error)\"}\n",
    )
    .ok();
    let said = "producer ended: shared: tasks a, b have ended without setting it";
    assert!(finished.stdout.contains(said), "{}", finished.stdout);
}

/// Told at once, though nobody has a time limit, and each knows the whole of it.
#[test]
fn a_circle_is_told() {
    let place = Place::new();
    for (tasks, says) in [
        (
            "  a: {bash: 'otto-get --wait b.x'}\n  b: {bash: 'v=$(otto-get --wait a.y); echo \"$v\"'}\n",
            "a circle: a waits for b.x, b waits for a.y",
        ),
        (
            "  a: {python3: \"import otto, sys\\ntry: otto.wait('b.x')\\n\
             except otto.ProducerEnded as error: sys.exit(print(error, file=sys.stderr) or 6)\"}\n  \
             b: {bash: 'source \"$OTTO_SH\"; otto_wait c.y'}\n  c: {bash: '(otto-get --wait a.z) & wait $!'}\n",
            "a circle: a waits for b.x, b waits for c.y, c waits for a.z",
        ),
        ("  a: {bash: 'otto-get --wait a.x'}\n", "a circle: a waits for a.x"),
        (
            "  a: {bash: 'otto-get --wait x'}\n  b: {bash: 'otto-get --wait y'}\n",
            "a circle: a waits for x, b waits for y",
        ),
        (
            "  a: {bash: 'otto-get --wait b.x'}\n  b: {before: [a], bash: 'otto-set x 1'}\n",
            "a circle: a waits for b.x, b starts only after a",
        ),
        (
            "  a: {bash: 'otto-get --wait b.x'}\n  b: {after: [c], bash: 'otto-get --wait c.y'}\n  \
             c: {bash: 'otto-set y 1'}\n",
            "a circle: b waits for c.y, c starts only after b",
        ),
    ] {
        let finished = run(&place, tasks).with_status(6);
        let told = format!(": {says}");
        assert!(finished.stderr.contains(&told), "{tasks}\n{}", finished.stderr);
        assert!(finished.stderr.contains(&format!("otto-run: {says}")), "{}", finished.stderr);
    }
}

/// Who holds a lock only waits for what runs under it.
#[test]
fn a_circle_below_a_lock_is_told() {
    let place = Place::new();
    let shell = "source \"$OTTO_SH\"; f() { otto-get --wait b.x; }; otto_lock db -- f";
    let b = "  b: {bash: 'otto-get --wait a.x'}\n";
    for (a, others, says) in [
        ("otto-lock db -- otto-get --wait b.x", b, "a waits for b.x, b waits for a.x"),
        (shell, b, "a waits for b.x, b waits for a.x"),
        ("otto-lock db -- otto-get --wait a.x", "", "a waits for a.x"),
        (
            "otto-lock db -- otto-lock e -n 2 -- bash -c \"otto-get --wait b.x; true\"",
            "  b: {before: [a], bash: 'otto-set x 1'}\n",
            "a waits for b.x, b starts only after a",
        ),
        (
            "otto-lock db --hold $$ >/dev/null; otto-get --wait b.x",
            "  b: {bash: 'source \"$OTTO_SH\"; otto_lock e -- otto_wait a.x'}\n",
            "a waits for b.x, b waits for a.x",
        ),
    ] {
        let finished = run(&place, &format!("  a: {{bash: '{a}'}}\n{others}"));
        let told = format!("otto-run: a circle: {says}");
        assert!(finished.stderr.contains(&told), "{a}: {}", finished.stderr);
    }
}

/// Whoever is told of a circle can go on, and the others of it with it.
#[test]
fn the_first_to_give_up_is_told_and_the_others_go_on() {
    let place = Place::new();
    let finished = run(
        &place,
        "  a: {bash: 'otto-get --wait --timeout 60 --default none b.x; otto-set y 1'}\n  \
         b: {bash: 'otto-get --wait a.y; otto-set x 1'}\n",
    )
    .ok();
    assert!(finished.stdout.contains("[a] none\n") && finished.stdout.contains("[b] 1\n"));
    assert!(finished.took < Duration::from_secs(20), "{:?}", finished.took);
}

/// Each of these looks like a circle to somebody who counts waits alone.
#[test]
fn a_task_that_may_still_go_on_is_no_part_of_a_circle() {
    let place = Place::new();
    let other = "  b: {bash: 'otto-get --wait a.y; otto-set x 1'}\n";
    for (what, a) in [
        ("another process", "bash: '(sleep 1.5; otto-set y 1) & otto-get --wait b.x; wait'"),
        ("a limit of its own", "bash: 'timeout 1.5 otto-get --wait b.x || true; otto-set y 1'"),
        (
            "another thread",
            "python3: \"import otto, threading, time\\n\
             threading.Timer(1.5, lambda: otto.set('y', 1)).start()\\notto.wait('b.x')\"",
        ),
        (
            "a client that gives up by itself",
            "python3: \"import otto, os, socket\\ns = socket.socket(socket.AF_UNIX)\\n\
             s.connect(os.environ['OTTO_SOCKET'])\\ns.sendall(b'WAIT b.x 600\\\\n')\\n\
             s.settimeout(1.5)\\ntry: s.recv(9)\\nexcept TimeoutError: otto.set('y', 1)\"",
        ),
        (
            "a handler of a signal",
            "bash: 'trap \"otto-set y 1\" USR1; echo $$ > pid; otto-get --wait b.x & wait || true; \
             wait'}\n  c: {bash: 'sleep 1.5; kill -USR1 $(cat pid)'",
        ),
        (
            "what comes through a pipe",
            "bash: 'exec 3< <(sleep 1.5; echo); (otto-get --wait b.x) & read -r <&3; otto-set y 1; wait'",
        ),
        (
            "another process below a lock",
            "bash: 'otto-lock db -- bash -c \"(sleep 1.5; otto-set y 1) & otto-get --wait b.x; wait\"'",
        ),
        (
            "another process beside a lock",
            "bash: 'source \"$OTTO_SH\"; f() { otto-get --wait b.x; }; \
             (sleep 1.5; otto-set y 1) & otto_lock db -- f; wait'",
        ),
        (
            "a limit of its own below a lock",
            "bash: 'otto-lock db -- timeout 1.5 otto-get --wait b.x || true; otto-set y 1'",
        ),
        (
            "a lock that is held for another task's process",
            "bash: 'otto-get --wait c.pid; otto-lock db --hold $(otto-get c.pid) >/dev/null; \
             otto-get --wait b.x; '}\n  c: {bash: 'sleep 1.5 & otto-set pid $!; wait; \
             otto-set -g a.y 1'",
        ),
        (
            "a second socket",
            "python3: \"import otto, os, select, socket\\ns = socket.socket(socket.AF_UNIX)\\n\
             s.connect(os.environ['OTTO_SOCKET'])\\ns.sendall(b'WAIT b.x 600\\\\n')\\n\
             l = socket.socket(socket.AF_UNIX)\\nl.bind('door')\\nl.listen()\\np = select.poll()\\n\
             p.register(s, select.POLLIN)\\np.register(l, select.POLLIN)\\np.poll()\\n\
             otto.set('y', 1)\"}\n  c: {bash: 'sleep 1.5; until nc -NU door </dev/null; do sleep 0.1; done'",
        ),
    ] {
        let finished = run(&place, &format!("  a: {{{a}}}\n{other}")).ok();
        assert!(!finished.stderr.contains("circle"), "{what}: {}", finished.stderr);
    }
}

/// A wait that is too short for anything to change is told so, and each says so once.
#[test]
fn who_asks_again_and_again_may_do_so() {
    let place = Place::new();
    let finished = run(
        &place,
        "  a: {bash: 'until otto-get --wait --timeout 0.5 b.x || [ $SECONDS -ge 2 ]; do :; done; \
         otto-set y 1'}\n  b: {bash: 'otto-get --wait a.y; otto-set x 1'}\n",
    )
    .ok();
    assert!(finished.stdout.contains("[b] 1\n"), "{}", finished.stdout);
    assert!(finished.stderr.matches("otto-run: a circle").count() <= 1, "{}", finished.stderr);
}

/// One of three goes on: nobody else is told anything before it has ended.
#[test]
fn a_third_that_may_set_the_key_keeps_others_waiting() {
    let place = Place::new();
    let finished = run(
        &place,
        "  a: {bash: 'otto-get --wait shared; otto-set y 1'}\n  b: {bash: 'otto-get --wait a.y'}\n  \
         c: {bash: 'sleep 1.5; otto-set -g shared 1'}\n",
    )
    .ok();
    assert!(!finished.stderr.contains("circle"), "{}", finished.stderr);
}

/// Where all places are taken by those who wait, what they wait for gets one more.
#[test]
fn one_place_is_enough_for_tasks_that_wait() {
    let place = Place::new();
    let file = "tasks:\n  a: {bash: 'otto-get --wait shared'}\n  b: {bash: 'otto-get --wait c.x'}\n  \
                c: {bash: 'otto-set x 1; otto-set -g shared 1'}\n";
    let finished = place.otto_run(file).args(["-j", "1"]).run().ok();
    assert!(!finished.stderr.contains("circle"), "{}", finished.stderr);
}

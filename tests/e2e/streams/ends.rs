//! Where a stream begins and ends: written in pieces, not at all, late, by a daemon, in vain.

use otto_e2e::{Finished, Place, Tasks, Watched, times};
use std::time::Duration;

/// A producer `p` and its consumer `c`.
fn pair(producer: &str, consumer: &str) -> Tasks {
    Tasks::new().stream("p", &[], producer).stream("c", &["p"], consumer)
}

fn run(tasks: &Tasks) -> Finished {
    Watched::start(&Place::new(), tasks).finish().0
}

fn said_by(task: &str, finished: &Finished) -> Vec<String> {
    let mark = format!("[{task}] ");
    finished.stdout.lines().filter_map(|line| line.strip_prefix(&mark)).map(str::to_owned).collect()
}

/// However often it is opened, it is one stream, and ends when the task does and no earlier.
#[test]
fn a_stream_opened_often_ends_once() {
    for count in [5, times(1000)] {
        let producer = format!(
            "for ((i = 0; i < {count}; i++)); do echo $i > \"$OTTO_OUTPUT_PIPE\"; done
             otto-get --wait --timeout 60 c.had"
        );
        let consumer = format!(
            "for ((i = 0; i < {count}; i++)); do read -r line; [ \"$line\" = $i ]; done
             read -rt 0.2 line || [ $? -gt 128 ] && echo open
             otto-set had all
             read -r line || echo ended"
        );
        let finished = run(&pair(&producer, &consumer)).ok();
        assert_eq!(said_by("c", &finished), ["open", "ended"], "{count}");
    }
}

/// Nothing written, the pipe never opened, the consumer there first: over within a second.
#[test]
fn an_empty_stream_ends_at_once() {
    for (producer, consumer) in [
        (": > \"$OTTO_OUTPUT_PIPE\"", "wc -c < \"$OTTO_INPUT_PIPE\""),
        ("true", "wc -c"),
        (
            "otto-get --wait --timeout 60 c.open > /dev/null",
            "exec 5< \"$OTTO_INPUT_PIPE\"; otto-set open yes; wc -c <&5",
        ),
    ] {
        let tasks = pair(producer, consumer);
        let runs: Vec<Finished> = (0..times(60)).map(|_| run(&tasks).ok()).collect();
        for finished in &runs {
            assert_eq!(said_by("c", finished), ["0"], "{tasks}");
        }
        // The machine may be busy with something else in one or the other.
        let best = runs.iter().map(|finished| finished.took).min().unwrap_or_default();
        assert!(best < Duration::from_secs(1), "{best:?}: {tasks}");
    }
}

#[test]
fn who_never_reads_or_comes_late_holds_up_nobody() {
    let some = "seq 20 > \"$OTTO_OUTPUT_PIPE\"";
    let _ = run(&pair(some, "true")).ok();
    // The wait for a key of a task that has ended is over at once, with status 6.
    let late = "otto-get --wait p.never 2>/dev/null || echo \"status $?\"; wc -l < \"$OTTO_INPUT_PIPE\"; wc -l";
    let finished = run(&pair(some, late)).ok();
    assert_eq!(said_by("c", &finished), ["status 6", "20", "0"]);
}

/// Processes that outlive their task get a grace to write, and no more.
#[test]
fn a_daemon_holds_up_a_stream_for_a_grace_alone() {
    for holder in [
        "sleep 1000 &",
        "(setsid sleep 1000 &)",
        "(setsid bash -c 'trap \"\" TERM HUP; sleep 1000; :' > /dev/null 2>&1 &)",
    ] {
        let producer = format!(
            "exec 5> \"$OTTO_OUTPUT_PIPE\"
             (sleep 0.1; echo late >&5) &
             {holder}
             echo early >&5"
        );
        let finished = run(&pair(&producer, "cat")).ok();
        assert_eq!(said_by("c", &finished), ["early", "late"], "{holder}");
        assert!(finished.took < Duration::from_secs(10), "{holder}: {:?}", finished.took);
    }
}

/// A producer whose readers have gone has done what it could.
#[test]
fn head_ends_an_endless_producer() {
    for producer in [
        "yes > \"$OTTO_OUTPUT_PIPE\"",
        "while echo y; do :; done > \"$OTTO_OUTPUT_PIPE\"",
        "python3 -c 'while True: print(\"y\")' > \"$OTTO_OUTPUT_PIPE\"",
        "exec 5> \"$OTTO_OUTPUT_PIPE\"; trap '' PIPE; while echo y >&5; do :; done 2>/dev/null; exit 3",
    ] {
        for consumer in ["head -1", "head -1 < \"$OTTO_INPUT_PIPE\"", "read -r y; echo $y"] {
            let finished = run(&pair(producer, consumer)).ok();
            assert_eq!(said_by("c", &finished), ["y"], "{producer}");
            let why = "p: ended after";
            assert!(finished.stderr.contains(why), "{producer}: {}", finished.stderr);
        }
    }
}

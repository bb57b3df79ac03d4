//! Progress from shells and programs: no bar loses its last state, and none goes back.

use otto_e2e::Place;

/// Rounds of what once went wrong in most of them.
const ROUNDS: usize = 10;

#[test]
fn a_command_that_ends_has_its_last_report_shown() {
    let place = Place::new();
    for _ in 0..ROUNDS {
        let script = "source $OTTO_SH; for i in {1..10}; do otto_progress $i 10; done";
        let said = place.serve(script).run().ok().stderr;
        assert!(said.ends_with("10/10 (100%)\n") || said.contains("10/10 (100%) "), "{said}");
    }
}

/// A bar's lines come once a second at most, but its last one comes in any case.
#[test]
fn the_last_state_of_each_bar_is_printed() {
    let place = Place::new();
    let script = "for i in 1 3 5; do otto-progress $i 10; otto-progress $i - --id other; done";
    let said = place.serve(script).run().ok().stderr;
    let lines: Vec<&str> = said.lines().collect();
    let last: Vec<&str> = lines[lines.len() - 2..].iter().map(|line| line.trim()).collect();
    assert!(last[0].starts_with("other: 5"), "{said}");
    assert!(last[1].starts_with("progress: 5/10 (50%)"), "{said}");
    assert_eq!(lines[..2], ["progress: 1/10 (10%)", "other: 1"], "{said}");
}

/// Before the line of the task's end, however much of the run is to come.
#[test]
fn a_task_that_ends_has_its_last_report_shown_first() {
    let place = Place::new();
    for _ in 0..ROUNDS {
        let file = "tasks:\n  \
            a:\n    bash: source $OTTO_SH; for i in {1..19}; do otto_progress $i 20; done\n  \
            b:\n    bash: otto-get ended --wait\n  \
            c:\n    before: [a]\n    bash: otto-set -g ended yes\n";
        let said = place.otto_run(file).arg("--plain").run().ok().stderr;
        let at = |what: &str| said.find(what).unwrap_or_else(|| panic!("no {what} in: {said}"));
        assert!(at("a: 19/20 (95%)") < at("a: done"), "{said}");
        assert!(at("a: done") < at("b: done"), "{said}");
    }
}

/// A report of no task of the run is told at its end, too.
#[test]
fn a_bar_of_no_task_has_its_last_report_shown() {
    let place = Place::new();
    let file = "tasks:\n  a:\n    bash: source $OTTO_SH; OTTO_TASK_NAME=x; \
        for i in {1..9}; do otto_progress $i 10; done\n";
    let said = place.otto_run(file).arg("--plain").run().ok().stderr;
    assert_eq!(said.matches("x: 9/10 (90%)").count(), 1, "{said}");
}

/// What a shell writes into the FIFO came before what a program says over the socket next; and so did
/// a message that is too long for the FIFO.
#[test]
fn a_bar_does_not_go_back() {
    let place = Place::new();
    for end in ["otto-progress 10 10 end", "otto_progress 10 10 \"$(printf 'm%.0s' {1..300})\""] {
        for _ in 0..ROUNDS {
            let script = format!(
                "source $OTTO_SH; otto_progress 8 10; otto_progress 9 10; {end}
                echo STATS | nc -NU \"$OTTO_SOCKET\"
                otto_progress 0 - --id other; echo STATS | nc -NU \"$OTTO_SOCKET\""
            );
            let figures = place.serve(&script).run().ok().stdout;
            assert_eq!(figures.matches("\"current\":10,").count(), 2, "{figures}");
            assert_eq!(figures.matches("\"id\":\"other\"").count(), 1, "{figures}");
        }
    }
}

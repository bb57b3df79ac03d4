//! Streams whose records go to one of several consumers each.

use crate::project::{Ended, Project, streaming};

/// Runs p, sharded, and what reads it.
fn sharded(tasks: &[(&str, &str, &str)]) -> (Project, Ended) {
    let text = streaming(tasks).replacen("streaming: true", "streaming: {mode: shard}", 1);
    let project = Project::new(&text);
    let ended = project.run(&["-j1"]);
    (project, ended)
}

/// What a consumer says it got: one number a line.
fn numbers(ended: &Ended, task: &str) -> Vec<u64> {
    ended.lines(task).iter().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn every_record_goes_to_one_consumer_in_order() {
    let (_, ended) = sharded(&[
        ("p", "", "seq 30000 > \"$OTTO_OUTPUT_PIPE\""),
        ("a", "p", "cat"),
        ("b", "p", "cat"),
        ("c", "p", "cat"),
    ]);
    ended.ok();
    let mut all = Vec::new();
    for task in ["a", "b", "c"] {
        let got = numbers(&ended, task);
        assert!(got.is_sorted(), "{task}");
        all.extend(got);
    }
    all.sort_unstable();
    assert_eq!(all, (1..=30000).collect::<Vec<u64>>());
}

#[test]
fn the_idle_one_comes_first() {
    // One takes a record and then nothing until the others have had all the rest.
    let (_, ended) = sharded(&[
        (
            "p",
            "",
            "exec > \"$OTTO_OUTPUT_PIPE\"\nseq 2\nuntil [ -e busy ]; do sleep 0.01; done\nfor n in {3..400}; do echo $n; sleep 0.001; done\ntouch done",
        ),
        (
            "slow",
            "p",
            "read -r n; echo $n; touch busy; until [ -e done ]; do sleep 0.01; done; cat",
        ),
        ("quick", "p", "while read -r n; do echo $n; done"),
    ]);
    ended.ok();
    let (slow, quick) = (numbers(&ended, "slow"), numbers(&ended, "quick"));
    assert_eq!(slow.len() + quick.len(), 400);
    assert!(quick.len() > 300, "{} and {}", slow.len(), quick.len());
}

#[test]
fn one_that_quits_is_no_failure_and_the_others_take_the_rest() {
    let (_, ended) = sharded(&[
        ("p", "", "seq 100000 > \"$OTTO_OUTPUT_PIPE\""),
        ("quits", "p", "head -1"),
        ("stays", "p", "tail -1"),
    ]);
    ended.ok();
    assert_eq!(ended.lines("quits").len(), 1);
    assert!(ended.err.contains("p: done in"), "{}", ended.err);
}

#[test]
fn a_shard_of_one_or_of_nobody_is_a_stream() {
    let (_, ended) = sharded(&[("p", "", "seq 5000 > \"$OTTO_OUTPUT_PIPE\""), ("c", "p", "wc -l")]);
    ended.ok();
    assert_eq!(ended.lines("c"), ["5000"]);
    let (project, ended) = sharded(&[("p", "", "seq 5000 > \"$OTTO_OUTPUT_PIPE\"")]);
    ended.ok();
    let kept = std::fs::read_to_string(project.of_task("p", "output.p.stream")).unwrap();
    assert_eq!(kept.lines().count(), 5000);
}

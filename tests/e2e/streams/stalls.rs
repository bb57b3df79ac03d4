//! What would stop a graph for ever: pipes full on one side, nothing to read on the other.

use super::MEMORY_KIB_MAX;
use otto_e2e::{DEADLINE, Place, Tasks, Watched, figures, times};

/// One consumer of a stream reads nothing before another has read all of it.
#[test]
fn a_consumer_may_wait_for_the_end_of_another() {
    let mebibytes = u64::from(times(1000));
    let bytes = format!("bytes={}", mebibytes << 20);
    let hear = format!("\"$LOAD\" hear {bytes}");
    let tasks = Tasks::new()
        .stream("p", &[], &format!("\"$LOAD\" noise {bytes} > \"$OTTO_OUTPUT_PIPE\""))
        .stream("first", &["p"], &format!("{hear}; otto-set done yes"))
        .stream("then", &["p"], &format!("otto-get --wait first.done; {hear}"));
    let place = Place::new();
    let job = place.otto_run(&tasks.to_string()).within(DEADLINE * 5);
    let (finished, peak) = Watched::of(job).finish();
    let finished = finished.ok();
    for task in ["first", "then"] {
        let line = format!("[{task}] whole: ");
        assert!(finished.stdout.contains(&line), "no {line}: {}", finished.stdout);
    }
    assert!(peak <= MEMORY_KIB_MAX, "otto-run had {peak} KiB");
    let took = finished.took;
    figures(format_args!(
        "streams: {mebibytes} MiB kept on the disk: {took:.1?}, otto-run {peak} KiB"
    ));
}

/// Without room on the disk it is the run's end, which says between whom nothing moves.
#[test]
fn what_can_not_go_on_ends_the_run() {
    let tasks = Tasks::new()
        .stream("p", &[], "yes > \"$OTTO_OUTPUT_PIPE\"")
        .stream("first", &["p"], "cat > /dev/null; otto-set done yes")
        .stream("then", &["p"], "otto-get --wait first.done");
    let place = Place::new();
    let file = format!("otto: {{spill: 4MiB}}\n{tasks}");
    let (finished, _) = Watched::of(place.otto_run(&file)).finish();
    let last = finished.with_status(1).stderr.lines().last().unwrap_or_default().to_owned();
    for word in ["p", "then", "first", "spill"] {
        assert!(last.contains(word), "no {word}: {last}");
    }
}

//! Streams that break off: who is told, who is ended, and who never sees an end.

use crate::project::{Project, streaming};
use crate::streams::pair;
use std::time::{Duration, Instant};

/// A reader that asks how its stream ended, in bash.
const CHECKED: &str = "> \"$OTTO_INPUT_PIPE.checked\"\n";

#[test]
fn a_producer_whose_readers_have_gone_has_not_failed() {
    let ended = pair("yes > \"$OTTO_OUTPUT_PIPE\"", "head -1 \"$OTTO_INPUT_PIPE\"");
    ended.ok();
    assert_eq!(ended.lines("c"), ["y"]);
    assert!(ended.err.contains("p: ended after"), "{}", ended.err);
    let project = Project::new(
        "tasks:\n  p:\n    streaming: true\n    python3: |\n      with open(os.environ['OTTO_OUTPUT_PIPE'], 'w') as out:\n          while True: print('x' * 1000, file=out)\n  c: {streaming: true, before: [p], bash: 'head -1 > /dev/null'}\n  d: {bash: echo after, before: [p, c]}\n",
    );
    let ended = project.run(&[]);
    ended.ok();
    assert!(ended.err.contains("BrokenPipeError"), "{}", ended.err);
    assert_eq!(ended.lines("d"), ["after"]);
}

#[test]
fn a_producer_that_fails_gives_its_consumers_no_end_of_stream() {
    let ended = pair(
        "echo half > \"$OTTO_OUTPUT_PIPE\"; until [ -e ready ]; do sleep 0.01; done; exit 3",
        "trap 'echo asked; exit 1' TERM\ntouch ready\nwhile read -r line; do echo \"$line\"; done\necho complete",
    );
    assert_eq!(ended.code(), 3);
    let lines = ended.lines("c");
    assert!(!lines.contains(&"complete") && lines.contains(&"asked"), "{lines:?}");
    let why = "c: ended after";
    assert!(ended.err.contains(why) && ended.err.contains("since p, whose stream it read, failed"));
    let last = ended.err.lines().last().unwrap();
    assert!(last.contains("task \"p\" failed with status 3"), "{last}");
}

#[test]
fn a_consumer_that_fails_ends_its_producer() {
    let ended = pair("yes > \"$OTTO_OUTPUT_PIPE\"", "head -1; exit 5");
    assert_eq!(ended.code(), 5);
}

#[test]
fn who_was_told_ended_for_that_and_not_for_its_own_readers() {
    // d does not ask and is ended at once, so that nobody reads c when it says what it was told.
    let project = Project::new(&streaming(&[
        ("p", "", "until [ -e c.in ] && [ -e d.in ]; do sleep 0.01; done\nexit 3"),
        (
            "c",
            "p",
            &format!(
                "{CHECKED}touch c.in; cat > /dev/null; until [ -e gone ]; do sleep 0.01; done; exit 6"
            ),
        ),
        ("d", "c", "trap 'touch gone; exit 1' TERM\ntouch d.in\nread -r line"),
    ]));
    let ended = project.run(&["-j1"]);
    assert_eq!(ended.code(), 3);
    let mut lines = ended.err.lines();
    let line = lines.find(|line| line.contains("c: ended after")).unwrap();
    assert!(line.contains("since p, whose stream it read, failed"), "{line}");
}

#[test]
fn who_asks_gets_the_rest_an_end_and_the_name_of_who_failed() {
    let tell = "echo \"broken by $(cat \"$OTTO_INPUT_PIPE.failed\")\"; exit 6";
    let project = Project::new(&streaming(&[
        (
            "p",
            "",
            "seq 1000 > \"$OTTO_OUTPUT_PIPE\"\nuntil [ -e c.in ] && [ -e d.in ] && [ -e u.in ]; do sleep 0.01; done\nexit 3",
        ),
        ("c", "p", &format!("{CHECKED}touch c.in; cat > \"$OTTO_OUTPUT_PIPE\"; {tell}")),
        ("d", "c", &format!("{CHECKED}touch d.in; wc -l; {tell}")),
        (
            "u",
            "p",
            "trap 'echo asked; exit 0' TERM\ntouch u.in\nwhile read -r n; do :; done\necho complete",
        ),
    ]));
    let ended = project.run(&["-j1"]);
    assert_eq!(ended.code(), 3);
    assert_eq!(ended.lines("c"), ["broken by p"]);
    assert_eq!(ended.lines("d"), ["1000", "broken by c"]);
    assert_eq!(ended.lines("u"), ["asked"]);
    for (task, producer) in [("c", "p"), ("d", "c"), ("u", "p")] {
        let why = format!("since {producer}, whose stream it read, failed");
        let mut lines = ended.err.lines();
        assert!(
            lines.any(|line| line.starts_with(&format!("otto-run: {task}: ended"))
                && line.ends_with(&why)),
            "{}",
            ended.err
        );
    }
}

#[test]
fn who_asks_has_a_second_to_say_so_and_is_ended_then() {
    let ended = pair(
        "until [ -e ready ]; do sleep 0.01; done; exit 3",
        &format!(
            "{CHECKED}trap 'echo \"asked $(date +%s%N)\"; exit 1' TERM\ntouch ready\ncat\necho \"end $(date +%s%N)\"\nwhile :; do sleep 0.01; done"
        ),
    );
    assert_eq!(ended.code(), 3);
    let lines = ended.lines("c");
    let time = |word: &str| -> u64 {
        let line = lines.iter().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("{word}: {lines:?}")).trim().parse().unwrap()
    };
    let left = time("asked") - time("end");
    assert!((800_000_000..2_500_000_000).contains(&left), "{left}");
}

#[test]
fn a_task_out_of_time_is_a_producer_that_failed() {
    let consumer = format!("{CHECKED}touch ready; cat; cat \"$OTTO_INPUT_PIPE.failed\"; exit 6");
    let text = streaming(&[
        (
            "p",
            "",
            "echo one > \"$OTTO_OUTPUT_PIPE\"\nuntil [ -e ready ]; do sleep 0.01; done\nsleep 1000",
        ),
        ("c", "p", &consumer),
    ]);
    let project =
        Project::new(&text.replacen("streaming: true", "streaming: true\n    timeout: 2s", 1));
    let ended = project.run(&[]);
    assert_eq!(ended.code(), 4);
    assert_eq!(ended.lines("c"), ["one", "p"]);
}

#[test]
fn a_producer_that_was_cut_short_gives_no_end_whatever_its_status() {
    // p is ended for another's failure and takes it well; what it wrote is not all all the same.
    let mut text = streaming(&[
        (
            "p",
            "",
            "trap 'exit 0' TERM\necho one > \"$OTTO_OUTPUT_PIPE\"\nuntil [ -e never ]; do sleep 0.01; done",
        ),
        ("c", "p", "trap '' TERM\nread -r line; echo \"$line\"; touch ready; cat; echo complete"),
    ]);
    text.push_str("  bad: {bash: 'until [ -e ready ]; do sleep 0.01; done; exit 7'}\n");
    let project = Project::new(&text);
    let ended = project.run(&["-j4"]);
    assert_eq!(ended.code(), 7);
    assert_eq!(ended.lines("c"), ["one"]);
}

#[test]
fn readers_that_have_gone_are_an_excuse_unless_it_is_strict() {
    let producer = "yes > \"$OTTO_OUTPUT_PIPE\" || exit 9";
    let run = |mode: &str| {
        let text = streaming(&[("p", "", producer), ("c", "p", "head -1 > /dev/null")]);
        Project::new(&text.replacen("streaming: true", &format!("streaming: {mode}"), 1)).run(&[])
    };
    for mode in ["true", "{strict: false}", "{mode: shard}", "{}"] {
        assert_eq!(run(mode).code(), 0, "{mode}");
    }
    for mode in ["{strict: true}", "{strict: true, mode: shard}"] {
        let ended = run(mode);
        assert_eq!(ended.code(), 9, "{mode}");
        let last = ended.err.lines().last().unwrap();
        assert!(last.contains("failed with status 9 after its readers had gone"), "{last}");
    }
    let text = streaming(&[
        ("p", "", "trap '' PIPE\nyes > \"$OTTO_OUTPUT_PIPE\" 2> /dev/null || true"),
        ("c", "p", "head -1 > /dev/null"),
    ]);
    let strict = text.replacen("streaming: true", "streaming: {strict: true}", 1);
    Project::new(&strict).run(&[]).ok();
}

#[test]
fn an_ended_run_leaves_no_notes() {
    let begin = Instant::now();
    let ended = pair("exit 3", &format!("{CHECKED}cat; ls \"$OTTO_RUN_DIR\" | grep -c input.pipe"));
    assert_eq!(ended.code(), 3);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

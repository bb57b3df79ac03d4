//! Tasks that wait for each other by other ways than their streams.

use crate::project::{ASK, Ended, Project, streaming, until};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Twenty megabytes, far more than the pipes hold.
const MANY: &str = "head -c 20000000 /dev/zero > \"$OTTO_OUTPUT_PIPE\"";
const SPILLS: &str = "is full while others wait: it spills to disk, up to ";

fn run(spill: &str, tasks: &[(&str, &str, &str)]) -> Ended {
    let project = Project::new(&format!("otto: {{spill: {spill}}}\n{}", streaming(tasks)));
    project.write("ask.py", ASK);
    project.run(&["-j1"])
}

#[test]
fn a_consumer_may_wait_for_what_its_producer_sets_at_the_end() {
    let ended = run(
        "1GiB",
        &[
            ("p", "", &format!("{MANY}\npython3 ask.py SET p.done 1 > p.said")),
            ("c", "p", "python3 ask.py WAIT p.done 60\nwc -c"),
        ],
    );
    ended.ok();
    assert_eq!(ended.lines("c"), ["1", "20000000"]);
    assert!(ended.err.contains(&format!("the edge p -> c {SPILLS}1 GiB")), "{}", ended.err);
    assert_eq!(ended.err.matches(SPILLS).count(), 1, "said once: {}", ended.err);
}

#[test]
fn one_consumer_may_wait_for_the_other() {
    let ended = run(
        "100MB",
        &[
            ("p", "", MANY),
            ("a", "p", "wc -c; python3 ask.py SET a.done 1 > a.said"),
            ("b", "p", "python3 ask.py WAIT a.done 60\nwc -c"),
        ],
    );
    ended.ok();
    assert_eq!((ended.lines("a"), ended.lines("b")), (vec!["20000000"], vec!["1", "20000000"]));
    assert!(ended.err.contains(&format!("the edge p -> b {SPILLS}95.4 MiB")), "{}", ended.err);
}

#[test]
fn a_wait_may_lead_through_tasks_that_do_not_stream() {
    // c waits for x, which begins only when p has ended, which c holds up.
    let text = streaming(&[("p", "", MANY), ("c", "p", "python3 ask.py WAIT x.done 60\nwc -c")]);
    let project =
        Project::new(&format!("{text}  x: {{bash: python3 ask.py SET x.done 1, before: [p]}}\n"));
    project.write("ask.py", ASK);
    let begin = Instant::now();
    let ended = project.run(&["-j3"]);
    ended.ok();
    assert_eq!(ended.lines("c"), ["1", "20000000"]);
    // As soon as it is seen, not because nothing has moved for long.
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

#[test]
fn where_no_more_may_spill_the_run_fails_and_names_the_edge() {
    let waits = [
        ("p", "", MANY),
        ("a", "p", "wc -c; python3 ask.py SET a.done 1 > a.said"),
        ("b", "p", "trap 'exit 1' TERM; python3 ask.py WAIT a.done 60\nwc -c"),
    ];
    let ended = run("1MiB", &waits);
    assert_eq!(ended.code(), 1, "{}", ended.err);
    let last = ended.err.lines().last().unwrap();
    for part in ["p -> b", "a for p", "b for a", "1 MiB", "otto: {spill: ...}"] {
        assert!(last.contains(part), "{part}: {last}");
    }
    assert!(!ended.out.contains("20000000"), "{}", ended.out);
}

#[test]
fn nothing_spills_where_nothing_may() {
    let ended = run(
        "0",
        &[
            ("p", "", &format!("{MANY}\npython3 ask.py SET p.done 1 > p.said")),
            ("c", "p", "python3 ask.py WAIT p.done 60\nwc -c"),
        ],
    );
    assert_eq!(ended.code(), 1, "{}", ended.err);
    let last = ended.err.lines().last().unwrap();
    assert!(last.contains("p -> c") && last.contains("nothing may spill"), "{last}");
    assert!(last.contains("c for p"), "{last}");
    assert!(!ended.err.contains(SPILLS), "{}", ended.err);
}

#[test]
fn a_stopped_consumer_stops_nothing_but_its_own_edge() {
    let project = Project::new(&streaming(&[
        ("p", "", &format!("until [ -s stopped ]; do sleep 0.01; done; {MANY}")),
        ("a", "p", "wc -c; touch a.done"),
        ("b", "p", "wc -c; touch b.done"),
        ("stopped", "p", "echo $$ > stopped; kill -STOP $$; wc -c"),
    ]));
    let started = project.start(&["-j1"]);
    until("the others' end", || {
        ["a.done", "b.done"].iter().all(|name| project.path(name).exists())
    });
    let id = project.read("stopped");
    let state = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap();
    assert!(state.rsplit(')').next().unwrap().trim().starts_with('T'), "{state}");
    assert!(Command::new("kill").args(["-CONT", id.trim()]).status().unwrap().success());
    let ended = started.wait();
    ended.ok();
    for task in ["a", "b", "stopped"] {
        assert_eq!(ended.lines(task), ["20000000"], "{task}");
    }
}

#[test]
fn a_consumer_at_work_is_no_deadlock_however_long_it_takes() {
    // Longer than a stall takes to be believed, with another consumer that starves all the while:
    // a stopped process counts as one at work.
    let ended = run(
        "0",
        &[
            ("p", "", MANY),
            ("a", "p", "wc -c"),
            ("b", "p", "(sleep 12; kill -CONT $$) & kill -STOP $$\nwait; wc -c"),
        ],
    );
    ended.ok();
    assert_eq!((ended.lines("a"), ended.lines("b")), (vec!["20000000"], vec!["20000000"]));
}

#[test]
fn a_full_disk_fails_the_run_and_does_not_hang_it() {
    let text = streaming(&[
        ("p", "", &format!("{MANY}\npython3 ask.py SET p.done 1 > p.said")),
        (
            "c",
            "p",
            "cat /dev/zero > \"$HOME/fill\" 2> /dev/null || :\npython3 ask.py WAIT p.done 60",
        ),
    ]);
    let project = Project::new(&text);
    project.write("ask.py", ASK);
    let script = "mount -t tmpfs -o size=2m,mode=700 none \"$HOME\" && exec \"$@\"";
    let mut probe = Command::new("unshare");
    probe.args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]);
    if !probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: only root may mount");
        return;
    }
    let plain = project.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(plain.get_program());
    command.current_dir(project.path("")).stdin(Stdio::null()).env("HOME", project.path("home"));
    command.env("XDG_RUNTIME_DIR", project.path("runtime"));
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    let last = err.lines().last().unwrap();
    assert!(last.contains("p -> c") && last.contains("no room on the disk"), "{last}");
}

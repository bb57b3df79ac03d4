//! otto-progress --watch: how far a run is, seen from elsewhere.

use nix::sys::signal::Signal;
use otto_e2e::{Place, Server};

#[test]
fn lines_follow_a_run_until_it_ends() {
    let place = Place::new();
    let server = Server::start(&place);
    let _ = server.client("otto-progress 1 4 first").run().ok();
    let mut watching = server.client("exec otto-progress --watch").start();
    assert_eq!(watching.line(), "progress: 1/4 (25%) first");
    let nested = "OTTO_TASK=t otto-progress 2 4 --id a/b; OTTO_TASK=t otto-progress 5 - --id a";
    let _ = server.client(nested).run().ok();
    let mut lines = [watching.line(), watching.line()];
    lines.sort_unstable();
    assert_eq!(lines, ["t/a/b: 2/4 (50%)", "t/a: 5"]);
    // Complete ones are said at once, whenever the last line was.
    let _ = server.client("otto-progress 4 4 done").run().ok();
    let line = watching.line();
    assert!(line.starts_with("progress: 4/4 (100%)") && line.ends_with("done"), "{line}");
    server.stop();
    let ended = watching.finish().ok();
    assert_eq!(ended.stderr, "");
}

/// What was reported after the last look, too, and through the FIFO.
#[test]
fn the_last_state_is_shown_whenever_the_run_ends() {
    let place = Place::new();
    let through_fifo =
        "for i in 2 3; do printf '\\t\\t%d\\t4\\t\\n' $i 1<>\"$OTTO_RUN_DIR/progress\"; done";
    for last in ["otto-progress 3 4", through_fifo] {
        let server = Server::start(&place);
        let _ = server.client("otto-progress 1 4").run().ok();
        let mut watching = server.client("exec otto-progress --watch").start();
        assert_eq!(watching.line(), "progress: 1/4 (25%)");
        let _ = server.client(last).run().ok();
        server.stop();
        let line = watching.line_where(|line| line.contains("3/4"));
        assert!(line.starts_with("progress: 3/4 (75%)"), "{line}");
        assert_eq!(watching.line_or_end(), None);
        assert_eq!(watching.finish().ok().stderr, "");
    }
}

#[test]
fn bars_are_painted_on_a_terminal() {
    let place = Place::new();
    let server = Server::start(&place);
    let _ = server.client("otto-progress 1 4; otto-progress 3 6 --id inner").run().ok();
    let command = "script --quiet --return --command 'otto-progress --watch' /dev/null";
    let mut watching = server.client(command).env("TERM", "xterm").interactive().start();
    let line = watching.line();
    assert!(line.starts_with("progress [######------------------] 1/4 (25%)"), "{line:?}");
    let line = watching.line();
    assert!(line.starts_with("  inner  [############------------] 3/6 (50%)"), "{line:?}");
    let _ = watching.line_where(|line| line.contains("\u{1b}[2A"));
    server.signal(Signal::SIGTERM);
    let _ = watching.finish().ok();
    let _ = server.finish();
}

/// From a terminal that knows nothing of the run.
#[test]
fn a_run_is_named_by_its_number() {
    let place = Place::new();
    let server = Server::start(&place);
    let run = server.client("otto-progress 1 2; echo $OTTO_RUN_ID").run().ok().stdout;
    let mut watching = place.bash("exec otto-progress --watch --run $1").arg(run.trim()).start();
    assert_eq!(watching.line(), "progress: 1/2 (50%)");
    server.stop();
    let _ = watching.finish().ok();
    let line = place.bash("exec otto-progress --watch --run $1").arg(run.trim()).run().refused(1);
    assert!(line.contains(run.trim()), "{line}");
    let _ = place.bash("exec otto-progress --watch --run x").run().refused(2);
}

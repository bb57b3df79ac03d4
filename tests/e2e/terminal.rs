//! On a terminal: bars, and Ctrl-C typed into it.

use otto_e2e::{Place, traces_of};
use std::path::PathBuf;

const FILE: &str = "tasks:\n  \
    work:\n    bash: |\n      \
      for i in {1..20}; do otto-progress $i 20 \"item $i\"; done\n      \
      echo a line of output\n      echo \"run $OTTO_RUN_ID task\"\n";

/// `command` with a terminal on its standard output, from util-linux.
fn on_a_terminal(place: &Place, command: &str) -> otto_e2e::Job {
    place
        .job("script")
        .args(["--quiet", "--return", "--command", command, "/dev/null"])
        .without("NO_COLOR")
        .env("TERM", "xterm-256color")
}

#[test]
fn a_run_on_a_terminal_shows_bars_and_ends() {
    let place = Place::new();
    place.write("otto.yml", FILE);
    let shown = on_a_terminal(&place, "otto-run").run().ok().stdout;
    assert!(shown.contains("a line of output"), "{shown:?}");
    assert!(shown.contains("\u{1b}["), "no control sequences: {shown:?}");
    let plain = on_a_terminal(&place, "otto-run --plain").run().ok().stdout;
    assert!(plain.contains("item 20"), "{plain:?}");
    let id = plain.split("run ").nth(1).and_then(|rest| rest.split(' ').next()).expect("its ID");
    assert_eq!(traces_of(id), Vec::<PathBuf>::new());
}

#[test]
fn no_color_is_honoured() {
    let place = Place::new();
    place.write("otto.yml", FILE);
    let shown = on_a_terminal(&place, "otto-run").env("NO_COLOR", "1").run().ok().stdout;
    for sequence in shown.split("\u{1b}[").skip(1) {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(0);
        let colour = sequence[..end].split(';').any(|code| {
            code.parse::<u32>().is_ok_and(|code| (30..=37).contains(&code) || code == 38)
        });
        assert!(!(sequence[end..].starts_with('m') && colour), "colour in {shown:?}");
    }
}

/// Ctrl-C reaches the run and everything in it; the terminal is left as it was.
#[test]
fn ctrl_c_typed_at_a_terminal_ends_everything() {
    for (command, wait) in [
        ("otto-run", "otto-get --wait never.set"),
        ("otto-serve -- bash task", "exec otto-get --wait never.set"),
    ] {
        let place = Place::new();
        let task = format!("echo \"run $OTTO_RUN_ID task\"\n{wait}\n");
        place.write("task", &task);
        place.write("otto.yml", "tasks:\n  work:\n    bash: source ./task\n  never:\n    before: [work]\n    bash: 'true'\n");
        let mut run = on_a_terminal(&place, command).interactive().start();
        let line = run.line_where(|line| line.contains("run "));
        let id = line.split("run ").nth(1).and_then(|rest| rest.split(' ').next()).expect("its ID");
        let id = id.to_owned();
        run.send("\u{3}");
        let _ = run.finish().with_status(130);
        assert_eq!(traces_of(&id), Vec::<PathBuf>::new(), "{command}");
    }
}

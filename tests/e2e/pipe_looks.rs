//! `otto-pipe stat` and `tap`: looking without disturbing.

use crate::pipes::Outside;
use otto_e2e::wait_for;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

/// Waits until `otto-pipe stat s` shows these words.
fn shown(outside: &Outside, words: &str) -> String {
    wait_for(words, || {
        let shown = outside.bash("otto-pipe stat s").run().ok().stdout;
        shown.contains(words).then_some(shown)
    })
}

#[test]
fn who_has_a_stream_and_who_waits_for_whom() {
    let outside = Outside::new();
    let _ = outside.bash("otto-pipe create s; otto-pipe create idle").run().ok();
    let table = outside.bash("otto-pipe stat").run().ok().stdout;
    assert_eq!(
        table,
        "STREAM  QUEUED  WRITERS  READERS\nidle    -       -        -\ns       -       -        -\n"
    );
    let script = "exec 3>\"$(otto-pipe path s)\"; echo; read -r; echo x >&3; read -r
        exec head -c 3000000 /dev/zero >&3";
    // One reads and nobody writes; then both have it, and the reader waits; then the writer.
    let mut reader = outside.bash("exec otto-pipe read s >out").interactive().start();
    let _ = shown(&outside, "otto-pipe waits for a writer");
    let mut writer = outside.bash(script).interactive().start();
    let _ = writer.line();
    writer.send("\n");
    let waiting = shown(&outside, "otto-pipe waits for bash");
    assert!(waiting.contains(&format!("bash ({})", writer.pid())), "{waiting}");
    assert!(waiting.contains(&format!("otto-pipe ({})", reader.pid())), "{waiting}");
    reader.signal(nix::sys::signal::Signal::SIGSTOP);
    writer.send("\n");
    let full = shown(&outside, "head waits for otto-pipe");
    assert!(full.contains("1.0 MiB"), "{full}");
    let json = outside.bash("otto-pipe stat s --json").run().ok().stdout;
    assert!(json.starts_with("{\"edges\":[],\"streams\":[{\"name\":\"s\""), "{json}");
    let head = format!("{{\"pid\":{},\"name\":\"head\",\"waits\":true}}", writer.pid());
    assert!(json.contains("\"queued\":1048576,") && json.contains(&head), "{json}");
    // Nothing of it was taken away, and nobody was held up.
    reader.signal(nix::sys::signal::Signal::SIGCONT);
    writer.end_input();
    let _ = writer.finish().ok();
    reader.end_input();
    let _ = reader.finish().ok();
    assert_eq!(outside.place().read("out").len(), 2 + 3_000_000);
}

/// Looking neither releases a writer that waits for its reader nor a reader that waits for its
/// writer.
#[test]
fn a_look_counts_as_no_reader_and_no_writer() {
    let outside = Outside::new();
    let _ = outside.bash("otto-pipe create s; otto-pipe create r").run().ok();
    let mut writer = outside.bash("echo; echo x >\"$(otto-pipe path s)\"; echo done").start();
    let mut reader = outside.bash("echo; cat <\"$(otto-pipe path r)\"; echo done").start();
    let (_, _) = (writer.line(), reader.line());
    for _ in 0..5 {
        let _ = outside.bash("otto-pipe stat >/dev/null").run().ok();
        for name in ["s", "r"] {
            let line = outside.bash(&format!("exec otto-pipe tap {name}")).run().refused(3);
            assert!(line.contains(&format!("nobody reads {name}")), "{line}");
        }
    }
    let script = "cat \"$(otto-pipe path s)\"; echo y >\"$(otto-pipe path r)\"";
    assert_eq!(outside.bash(script).run().ok().stdout, "x\n");
    assert_eq!(
        (writer.line(), reader.line(), reader.line()),
        ("done".into(), "y".into(), "done".into())
    );
    let _ = (writer.finish().ok(), reader.finish().ok());
}

#[test]
fn a_tap_leaves_what_it_shows() {
    let outside = Outside::new();
    let script = "exec 3<>\"$(otto-pipe create s)\"; seq 10 >&3; printf half >&3
        otto-pipe tap s --last 2; otto-pipe tap s --every 4; otto-pipe tap s | wc -c
        otto-pipe read s --count 10 | cmp - <(seq 10) && echo all";
    assert_eq!(outside.bash(script).run().ok().stdout, "9\n10\n4\n8\n25\nall\n");
    for wrong in ["--every 0", "--last 0", "--every x", "--every 1 --last 1"] {
        let _ = outside.bash(&format!("exec otto-pipe tap s {wrong}")).run().refused(2);
    }
}

/// Answers as otto-run does, each connection with the next of the texts; returns what was asked.
fn answering(socket: &Path, answers: &'static [&'static str]) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(socket).expect("a socket");
    thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().expect("otto-pipe");
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).expect("a line");
            asked.push(line);
            stream.write_all(answer.as_bytes()).expect("otto-pipe reads");
        }
        asked
    })
}

const BEFORE: &str = r#"{"edges":[{"from":"p","to":"c","bytes":0,"records":0,"queued":0,"spilled":0,"state":"starved","delivery":"broadcast"}]}"#;
const AFTER: &str = r#"{"edges":[{"from":"p","to":"c","bytes":4096,"records":7,"queued":3,"spilled":2,"state":"full","delivery":"broadcast"},{"from":"c","to":null,"bytes":1,"records":null,"queued":0,"spilled":0,"state":"flowing","delivery":"broadcast"}]}"#;

#[test]
fn a_run_tells_of_its_edges_and_shows_its_records() {
    let outside = Outside::new();
    let folder = outside.place().folder("run");
    let run = |script: &str| outside.bash(script).env("OTTO_RUN_DIR", &folder);
    let server = answering(
        &folder.join("streams.sock"),
        &[
            BEFORE,
            AFTER,
            BEFORE,
            AFTER,
            BEFORE,
            AFTER,
            "OK\nrecord 1\nrecord 2",
            "OK\n",
            "ERROR: no task \"x\"; known: p, c\n",
            "",
            "nonsense",
        ],
    );
    let table = run("otto-pipe stat").run().ok().stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].starts_with("p -> c") && lines[1].ends_with("p waits for c"), "{table}");
    assert!(lines[1].contains("4.0 KiB  7 ") && lines[1].contains("KiB/s  3 B"), "{table}");
    assert!(lines[2].starts_with("c -> (kept in a file)  1 B      -"), "{table}");
    let json = run("otto-pipe stat p --json").run().ok().stdout;
    assert!(json.contains("\"waits\":\"p\",\"waits_for\":\"c\"") && !json.contains("null,\"bytes"));
    let line = run("exec otto-pipe stat nobody").run().refused(3);
    assert!(line.contains("nobody"), "{line}");
    assert_eq!(run("otto-pipe tap p").run().ok().stdout, "record 1\nrecord 2");
    assert_eq!(run("otto-pipe tap c --last 3").run().ok().stdout, "");
    let line = run("exec otto-pipe tap x --every 5").run().refused(3);
    assert!(line.contains("no task \"x\""), "{line}");
    let line = run("exec otto-pipe tap p").run().refused(1);
    assert!(line.contains("ended before it answered"), "{line}");
    let line = run("exec otto-pipe stat").run().refused(1);
    assert!(line.contains("makes no sense"), "{line}");
    let asked = server.join().expect("all asked");
    assert_eq!(
        asked[6..],
        ["tap p every 1\n", "tap c last 3\n", "tap x every 5\n", "tap p every 1\n", "stat\n"]
    );
    let line = run("exec otto-pipe stat").run().refused(1);
    assert!(line.contains("does not answer"), "{line}");
}

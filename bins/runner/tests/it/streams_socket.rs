//! The run's stream socket: how streams stand, and what is in them.

use crate::project::{Project, Started, streaming, until};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// p has written three lines and waits, c has read them and waits.
fn waiting() -> (Project, Started, PathBuf) {
    let project = Project::new(&streaming(&[
        (
            "p",
            "",
            "exec > \"$OTTO_OUTPUT_PIPE\"\nseq 3\nuntil [ -e on ]; do sleep 0.01; done\nseq 4 10\nuntil [ -e end ]; do sleep 0.01; done",
        ),
        (
            "c",
            "p",
            "for n in 1 2 3; do read -r line; done; touch read; cat > \"$OTTO_OUTPUT_PIPE\"",
        ),
    ]));
    let started = project.start(&[]);
    until("three lines read", || project.path("read").exists());
    let socket = project.path(&format!("runtime/otto/{}/streams.sock", started.id()));
    (project, started, socket)
}

fn connect(socket: &PathBuf, request: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn ask(socket: &PathBuf, request: &str) -> String {
    let mut answer = String::new();
    connect(socket, request).read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn how_all_streams_stand() {
    let (project, started, socket) = waiting();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let expected = concat!(
        "{\"edges\":[{\"from\":\"p\",\"to\":\"c\",\"bytes\":6,\"records\":null,\"queued\":0,",
        "\"spilled\":0,\"state\":\"starved\",\"delivery\":\"broadcast\"}]}\n"
    );
    let plain = |answer: String| answer.replace("\"records\":3", "\"records\":null");
    assert_eq!(plain(ask(&socket, "stat\n")), expected);
    project.write("on", "");
    until("more bytes and a kept stream", || {
        let answer = ask(&socket, "stat\n");
        answer.contains("\"bytes\":21,") && answer.contains("\"to\":null,\"bytes\":15")
    });
    project.write("end", "");
    started.wait().ok();
    assert!(!socket.exists());
}

#[test]
fn records_of_a_stream_under_way() {
    let (project, started, socket) = waiting();
    let mut every = BufReader::new(connect(&socket, "tap p every 2\n"));
    let mut last = BufReader::new(connect(&socket, "tap p last 3\n"));
    for tap in [&mut every, &mut last] {
        let mut line = String::new();
        tap.read_line(&mut line).unwrap();
        assert_eq!(line, "OK\n");
    }
    project.write("on", "");
    let mut text = String::new();
    last.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    project.write("end", "");
    // Closes with the stream.
    let mut text = String::new();
    every.read_to_string(&mut text).unwrap();
    let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 3, "{numbers:?}");
    assert!(numbers.windows(2).all(|pair| pair[0] + 2 == pair[1]), "{numbers:?}");
    started.wait().ok();
}

#[test]
fn wrong_requests_have_one_line_and_nobody_is_waited_for() {
    let (project, started, socket) = waiting();
    let idle: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for (request, answer) in [
        (
            "state\n",
            "ERROR: unknown request \"state\"; known: stat, tap TASK every N, tap TASK last K\n",
        ),
        ("tap x last 1\n", "ERROR: no task \"x\"; did you mean \"p\"?\n"),
        ("tap p last 0\n", "ERROR: last \"0\": a number from 1 on is needed\n"),
    ] {
        let got = ask(&socket, request);
        let same_kind = got == answer
            || request.starts_with("tap x") && got.starts_with("ERROR: no task \"x\"; ");
        assert!(same_kind, "{got}");
    }
    let long = ask(&socket, &"x".repeat(2_000));
    assert_eq!(long, "ERROR: a request longer than 1024 bytes\n");
    project.write("on", "");
    project.write("end", "");
    let begin = Instant::now();
    started.wait().ok();
    assert!(begin.elapsed() < Duration::from_secs(5));
    drop(idle);
}

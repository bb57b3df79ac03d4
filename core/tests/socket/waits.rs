//! WAIT: woken by every way to write, timing out, ended with its task, holding up its own
//! connection alone.

use crate::wire::{Serving, Wire, frame, keyed};
use otto_core::socket::{Client, Options};
use otto_core::{Json, Key, TaskName, Values};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A connection that waits for `key`, and is known to.
fn waiting(serving: &Serving, key: &str) -> Wire {
    let before = serving.figure("waiting");
    let mut wire = serving.wire();
    wire.send(format!("WAIT {key} 60\n"));
    serving.until("waiting", before + 1);
    wire
}

#[test]
fn every_way_to_write_wakes() {
    let serving = Serving::start();
    let mut other = serving.wire();
    for (write, value) in [
        ("SET a.set [1]", "[1]"),
        ("INCR a.incr 5", "5"),
        ("SETNX a.setnx \"x\"", "\"x\""),
        ("CAS a.cas 0 null", "null"),
    ] {
        let key = write.split(' ').nth(1).unwrap();
        let (mut first, mut second) = (waiting(&serving, key), waiting(&serving, key));
        assert!(!other.ask(write).starts_with("ERROR"));
        assert_eq!((first.line(), second.line()), (value.to_owned(), value.to_owned()));
    }
    let mut wire = waiting(&serving, "a.handle");
    let key = Key::parse("a.handle").unwrap();
    serving.handle().set(&key, &Json::number(7)).unwrap();
    assert_eq!(wire.line(), "7");
    // Neither of these is a value of the key.
    let mut wire = waiting(&serving, "a.not");
    for write in ["SET a.other 1", "PUBLISH a.not 1", "SET a.not. 1"] {
        assert_eq!(other.ask(write), "OK");
    }
    assert_eq!(serving.figure("waiting"), 1);
    assert_eq!(other.ask("SET a.not 2"), "OK");
    assert_eq!(wire.line(), "2");
}

#[test]
fn a_wait_ends_in_time_and_not_before() {
    let serving = Serving::start();
    let mut wire = serving.wire();
    for seconds in [0.0, 0.05, 0.3] {
        let start = Instant::now();
        assert_eq!(wire.ask(&format!("WAIT a.k {seconds}")), "ERROR: timeout: a.k");
        let took = start.elapsed().as_secs_f64();
        assert!(took >= seconds && took < seconds + 5.0, "{seconds}: {took}");
    }
    let mut binary = serving.wire();
    let start = Instant::now();
    let reply = binary.ask_frame(0x06, &keyed("a.k", &300u32.to_be_bytes()));
    assert_eq!(reply, (0x03, Vec::new()));
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(serving.figure("waiting"), 0);
}

#[test]
fn only_its_own_connection_is_held_up() {
    let serving = Serving::start();
    let mut wire = serving.wire();
    // What stands behind the wait, in the same packet and in later ones, comes after it.
    wire.send("SET b 1\nWAIT a 60\nGET b\nWAIT c 60\nPING\n");
    assert_eq!(wire.line(), "OK");
    serving.until("waiting", 1);
    wire.send("GET c\nLI");
    let mut other = serving.wire();
    assert_eq!(other.ask("SET b 2"), "OK");
    assert_eq!(other.ask("SET a 3"), "OK");
    assert_eq!((wire.line(), wire.line()), ("3".into(), "2".into()));
    serving.until("waiting", 1);
    assert_eq!(other.ask("SET c 4"), "OK");
    wire.send("ST x*\n");
    let lines = [wire.line(), wire.line(), wire.line(), wire.line()];
    assert_eq!(lines, ["4", "OK", "4", "[]"]);

    let mut binary = serving.wire();
    let wait = frame(0x06, &keyed("d", &60_000u32.to_be_bytes()));
    binary.send([wait, frame(0x0b, b""), frame(0x02, b"b")].concat());
    serving.until("waiting", 1);
    assert_eq!(other.ask("SET d 5"), "OK");
    assert_eq!(binary.frame(), (0, b"5".to_vec()));
    assert_eq!((binary.frame(), binary.frame()), ((0, vec![]), (0, b"2".to_vec())));
}

/// Two clients, each with many requests at once, that can only go on in turns.
#[test]
fn pipelines_take_turns() {
    let serving = Serving::start();
    let script = |own: &str, next: &str| -> String {
        (0..2000).map(|n| format!("WAIT {own}{n} 60\nSET {next}{n} {n}\n")).collect()
    };
    let (mut left, mut right) = (serving.wire(), serving.wire());
    left.send(script("l", "r"));
    // The right side starts each round: its round n is what the left side's round n + 1 needs.
    right.send((0..2000).map(|n| format!("SET l{n} {n}\nWAIT r{n} 60\n")).collect::<String>());
    for n in 0..2000 {
        assert_eq!((left.line(), left.line()), (n.to_string(), "OK".into()));
        assert_eq!((right.line(), right.line()), ("OK".into(), n.to_string()));
    }
}

#[test]
fn a_wait_ends_with_the_task_that_should_have_set_the_key() {
    let serving = Serving::start();
    let task = |name: &str| TaskName::parse(name).unwrap();
    for name in ["build", "test"] {
        serving.handle().expect_task(&task(name)).unwrap();
    }
    let mut of_build = waiting(&serving, "build.x");
    let mut of_test = waiting(&serving, "test.x");
    let mut of_none = waiting(&serving, "x");
    serving.handle().task_ended(&task("build")).unwrap();
    let ended = "ERROR: producer ended: build.x: task build has ended without setting it";
    assert_eq!(of_build.line(), ended);
    serving.until("waiting", 2);
    // From now on nobody need wait for it; what it has set is still there.
    let mut late = serving.wire();
    assert_eq!(late.ask("WAIT build.x 60"), ended);
    assert_eq!(late.ask("SET build.x 1"), "OK");
    assert_eq!(late.ask("WAIT build.x 60"), "1");
    serving.handle().task_became(&task("test"), "was cancelled").unwrap();
    let cancelled = "task test was cancelled";
    assert_eq!(of_test.line(), format!("ERROR: producer ended: test.x: {cancelled}"));
    let all = "ERROR: producer ended: x: tasks build, test have ended without setting it";
    assert_eq!(of_none.line(), all);
    let mut binary = serving.wire();
    let wait = keyed("test.y", &60_000u32.to_be_bytes());
    let line = format!("test.y: {cancelled}").into_bytes();
    assert_eq!(binary.ask_frame(0x06, &wait), (0x06, line));
    let mut client = Client::connect(serving.path()).unwrap();
    let error = client.wait(&Key::parse("test.y").unwrap(), None, &mut || Ok(())).unwrap_err();
    assert_eq!(error.to_string(), format!("producer ended: test.y: {cancelled}"));
}

/// The task of a waiter counts: it can't both wait for a key of no task and be the last to set it.
#[test]
fn the_last_task_does_not_wait_for_itself() {
    let serving = Serving::start();
    let task = TaskName::parse("only").unwrap();
    serving.handle().expect_task(&task).unwrap();
    let waiter = Command::new("python3")
        .args(["-c", "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.sendall(b'WAIT x 60\\n')\nprint(s.recv(99).decode())"])
        .arg(serving.path())
        .env("OTTO_TASK_NAME", "only")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&waiter.stdout),
        "ERROR: producer ended: x: there is no other task\n\n"
    );
}

#[test]
fn a_killed_waiter_is_forgotten() {
    let serving = Serving::start();
    let mut waiter = Command::new("python3")
        .args(["-c", "import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.sendall(b'WAIT x 600\\nSET behind 1\\n')\ns.recv(1)"])
        .arg(serving.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    serving.until("waiting", 1);
    waiter.kill().unwrap();
    waiter.wait().unwrap();
    serving.until("waiting", 0);
    serving.until("clients", 1);
    let mut other = serving.wire();
    assert_eq!(other.ask("SET x 1"), "OK");
    assert_eq!(other.ask("GET behind"), "null");
}

#[test]
fn half_closed_clients_get_every_reply() {
    let serving = Serving::start();
    // A last line without its line feed, also one that waits.
    let mut wire = serving.wire();
    wire.send("SET a 1\nGET a\nWAIT b 60");
    wire.end();
    serving.until("waiting", 1);
    assert_eq!(serving.wire().ask("SET b 2"), "OK");
    assert_eq!(wire.rest(), b"OK\n1\n2\n");
    // A wait in the middle, then a last line.
    let mut wire = serving.wire();
    wire.send("WAIT c 60\nGET b\nGET a");
    wire.end();
    serving.until("waiting", 1);
    assert_eq!(serving.wire().ask("SET c 3"), "OK");
    assert_eq!(wire.rest(), b"3\n2\n1\n");
    let mut wire = serving.wire();
    wire.send("WAIT never 0.05\r");
    wire.end();
    assert_eq!(wire.rest(), b"ERROR: timeout: never\n");
    let mut wire = serving.wire();
    wire.send([frame(0x06, &keyed("d", &60_000u32.to_be_bytes())), frame(0x0b, b"")].concat());
    // Half a frame at the end is no request.
    wire.send([0, 0, 0, 9, 1]);
    wire.end();
    serving.until("waiting", 1);
    assert_eq!(serving.wire().ask("SET d 4"), "OK");
    assert_eq!(wire.rest(), [frame(0, b"4"), frame(0, b"")].concat());
    // Nothing at all.
    let mut wire = serving.wire();
    wire.end();
    assert_eq!(wire.rest(), b"");
    serving.until("clients", 1);
}

#[test]
fn many_waiters_for_a_large_value_share_it() {
    let serving = Serving::alone(Options::default());
    let before = crate::wire::resident();
    let mut wires: Vec<Wire> = (0..200).map(|_| serving.wire()).collect();
    for wire in &mut wires {
        wire.send("WAIT big 60\n");
    }
    serving.until("waiting", 200);
    let value = format!("\"{}\"", "x".repeat(8 << 20));
    let mut other = serving.wire();
    assert_eq!(other.ask(&format!("SET big {value}")), "OK");
    assert_eq!(other.ask("PING"), "OK");
    let grown = crate::wire::resident().saturating_sub(before);
    assert!(grown < 400 << 20, "{} MiB for 200 waiters", grown >> 20);
    assert_eq!(wires.pop().unwrap().exactly(value.len() + 1).last(), Some(&b'\n'));
}

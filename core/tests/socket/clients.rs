//! Clients that behave badly, and many of them: the others are served all the same.

use crate::wire::{DEADLINE, Serving, Wire, frame, keyed, resident, until};
use otto_core::socket::{Client, Options};
use otto_core::{Condition, Json, Key, Values};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Whoever sends and closes at once, without reading, has still asked.
#[test]
fn what_was_sent_before_closing_is_carried_out() {
    let serving = Serving::start();
    for n in 1..=500 {
        let mut wire = serving.wire();
        match n % 3 {
            0 => wire.send("PING\nINCR n"),
            1 => wire.send("PING\nINCR n\n"),
            _ => wire
                .send([frame(0x0b, b""), frame(0x07, &keyed("n", &1i64.to_be_bytes()))].concat()),
        }
        if n % 2 == 0 {
            // Closing with a reply unread is a reset.
            let _ = wire.exactly(1);
        }
        drop(wire);
    }
    let mut wire = serving.wire();
    until("all 500 are counted", || wire.ask("GET n") == "500");
    serving.until("clients", 2);
}

/// Each request of the one ends a wait of the other, which then goes on with its next.
#[test]
fn two_that_end_each_others_waits_do_not_hold_up_a_third() {
    const ROUNDS: usize = 3000;
    let (entered, inside) = channel();
    let (release, released) = channel();
    let released = Mutex::new(released);
    let options = Options {
        // Holds the command thread, so that all that follows is there at its next look.
        on_progress: Some(Box::new(move |_| {
            let _ = entered.send(());
            let _ = released.lock().unwrap().recv_timeout(DEADLINE);
        })),
        ..Options::default()
    };
    let serving = Serving::with(options);
    let mut reporter = serving.wire();
    let mut pair = [serving.wire(), serving.wire()];
    let mut third = serving.wire();
    for wire in pair.iter_mut().chain([&mut third]) {
        assert_eq!(wire.ask("PING"), "OK");
    }
    reporter.send(frame(0x0c, b"{\"current\":1}"));
    inside.recv_timeout(DEADLINE).unwrap();
    pair.iter_mut().for_each(|wire| wire.send("BARRIER both 2\n".repeat(ROUNDS)));
    third.send("STATS\n");
    release.send(()).unwrap();
    let stats: serde_json::Value = serde_json::from_str(&third.line()).unwrap();
    let before = stats["requests"].as_u64().unwrap();
    assert!(before < ROUNDS as u64, "{before} requests came first");
    for wire in &mut pair {
        for _ in 0..ROUNDS {
            let number = wire.line();
            assert!(number == "1" || number == "2", "{number}");
        }
    }
}

/// Whose wait ended first goes on first.
#[test]
fn those_who_waited_go_on_in_the_order_they_were_served() {
    let serving = Serving::start();
    let mut waiting: Vec<Wire> = (0..5).map(|_| serving.wire()).collect();
    for (number, wire) in waiting.iter_mut().enumerate() {
        wire.send(format!("WAIT go 60\nAPPEND order {number}\n"));
        serving.until("waiting", number as u64 + 1);
    }
    let mut other = serving.wire();
    assert_eq!(other.ask("SET go 1"), "OK");
    for wire in &mut waiting {
        assert_eq!(wire.line(), "1");
        let _ = wire.line();
    }
    assert_eq!(other.ask("GET order"), "[0,1,2,3,4]");
}

/// The end of one client and the start of another may reach the server at the same look: what was
/// reported of the first must not be taken for the second, which has its place.
#[test]
fn a_client_in_the_place_of_another_does_not_inherit_its_end() {
    let (entered, inside) = channel();
    let (release, released) = channel();
    let released = Mutex::new(released);
    let options = Options {
        // Holds the command thread, so that all that follows is there at its next look.
        on_progress: Some(Box::new(move |_| {
            let _ = entered.send(());
            let _ = released.lock().unwrap().recv_timeout(DEADLINE);
        })),
        ..Options::default()
    };
    let serving = Serving::with(options);
    let mut reporter = serving.wire();
    let mut setter = serving.wire();
    let large = format!("\"{}\"", "x".repeat(2 << 20));
    assert_eq!(setter.ask(&format!("SET large {large}")), "OK");
    for n in 0..20 {
        let mut waiter = serving.wire();
        waiter.send(format!("WAIT k{n} 60\n"));
        waiter.end();
        serving.until("waiting", 1);
        reporter.send(frame(0x0c, b"{\"current\":1}"));
        inside.recv_timeout(DEADLINE).unwrap();
        setter.send(format!("SET k{n} 1\n"));
        let mut successor = serving.wire();
        drop(waiter);
        release.send(()).unwrap();
        assert_eq!(setter.line(), "OK");
        assert_eq!(reporter.exactly(5), frame(0x00, b""));
        // Others are served meanwhile, so that all that was reported has been looked at.
        serving.until("waiting", 0);
        // More than a socket holds: to a client that has gone the rest would not be sent.
        assert!(successor.ask("GET large") == large, "turn {n}");
    }
}

/// More requests than replies find room for, from a client that reads none of them and goes.
#[test]
fn unread_replies_hold_up_nothing_once_the_client_has_gone() {
    let serving = Serving::start();
    let mut other = serving.wire();
    assert_eq!(other.ask(&format!("SET big \"{}\"", "x".repeat(300_000))), "OK");
    let mut wire = serving.wire();
    wire.send("GET big\n".repeat(100));
    wire.send("SET last 1\n");
    assert_eq!(other.ask("GET last"), "null", "it is held up as long as nobody reads");
    drop(wire);
    until("the last request is carried out", || other.ask("GET last") == "1");
    serving.until("clients", 2);
}

#[test]
fn a_client_that_never_reads_is_paused_and_the_others_are_served() {
    let serving = Serving::alone(Options::default());
    let mut other = serving.wire();
    assert_eq!(other.ask(&format!("SET big \"{}\"", "x".repeat(1 << 20))), "OK");
    let before = resident();
    let mut held: Vec<Wire> = (0..10)
        .map(|_| {
            let mut wire = serving.wire();
            wire.send("GET big\n".repeat(500));
            wire
        })
        .collect();
    for _ in 0..200 {
        assert_eq!(other.ask("PING"), "OK");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{} MiB for ten", grown >> 20);
    // Paused, not dropped: one that reads after all gets everything.
    let wire = &mut held[0];
    for _ in 0..500 {
        assert_eq!(wire.line().len(), (1 << 20) + 2);
    }
    assert_eq!(wire.ask("PING"), "OK");
}

/// A flood from one client, of requests or of bytes to skip, leaves the others their turn.
#[test]
fn a_flood_starves_nobody() {
    let serving = Serving::start();
    let mut setup = serving.wire();
    let keys: String = (0..50_000).map(|n| format!("SET key.{n} 1\n")).collect();
    let lister = setup.stream.try_clone().unwrap();
    let sender = thread::spawn(move || (&lister).write_all(keys.as_bytes()));
    for _ in 0..50_000 {
        assert_eq!(setup.line(), "OK");
    }
    sender.join().unwrap().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let endless = [vec![0x07, 0xff, 0xff, 0xff], vec![1; 1 << 20]].concat();
    let floods = [
        "LIST none.*\n".repeat(50).into_bytes(),
        format!("SET k \"{}\"\n", "x".repeat(100)).repeat(5000).into_bytes(),
        endless,
    ];
    let flooders: Vec<_> = floods
        .into_iter()
        .map(|flood| {
            let over = Arc::clone(&over);
            let mut wire = serving.wire();
            let mut reader = wire.stream.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) && wire.stream.write_all(&flood).is_ok() {}
                let _ = wire.stream.shutdown(std::net::Shutdown::Both);
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut other = serving.wire();
    for _ in 0..20 {
        let start = Instant::now();
        assert_eq!(other.ask("PING"), "OK");
        slowest = slowest.max(start.elapsed());
    }
    over.store(true, Ordering::Relaxed);
    for flooder in flooders {
        flooder.join().unwrap();
    }
    // Unfair, this takes as long as a whole batch of 5000 looks through 50,000 keys: half a minute.
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
}

#[test]
fn two_thousand_clients() {
    // Both ends of each are in this process.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted).unwrap();
    let serving = Serving::start();
    let mut wires: Vec<Wire> = (0..2000).map(|_| serving.wire()).collect();
    for (n, wire) in wires.iter_mut().enumerate() {
        wire.send(format!("INCR n\nSET k{n} {n}\nSUBSCRIBE events\n"));
    }
    for wire in &mut wires {
        let _ = wire.line();
        assert_eq!((wire.line(), wire.line()), ("OK".into(), "OK".into()));
    }
    let mut other = serving.wire();
    assert_eq!(other.ask("GET n"), "2000");
    assert_eq!(other.ask("PUBLISH events 1"), "OK");
    for wire in &mut wires {
        assert!(wire.line().contains("\"publish\""));
    }
    drop(wires);
    serving.until("clients", 2);
}

/// Requests at once whose replies are many times what sockets hold, from a client that sends them
/// all before it reads.
#[test]
fn many_large_values_at_once() {
    let serving = Serving::start();
    let mut client = Client::connect(serving.path()).unwrap();
    let key = Key::parse(&"k".repeat(512)).unwrap();
    let value = Json::string(&"x".repeat(50_000));
    client.set(&key, &value, Condition::Always).unwrap();
    let start = Instant::now();
    let values = client.get_many(&vec![key; 1024]).unwrap();
    assert_eq!(values.len(), 1024);
    assert!(values.into_iter().all(|found| found.as_ref() == Some(&value)));
    assert!(start.elapsed() < Duration::from_secs(20), "each side waited for the other");
}

/// A stopped server keeps no time: the client does.
#[test]
fn a_wait_on_a_stopped_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut client = Client::connect(&path).unwrap();
    let deadline = Instant::now() + Duration::from_millis(100);
    let error =
        client.wait(&Key::parse("a.k").unwrap(), Some(deadline), &mut || Ok(())).unwrap_err();
    assert_eq!(error.to_string(), "timeout: a.k");
    assert_eq!(error.kind(), otto_core::ErrorKind::TimedOut);
}

#[test]
fn what_is_no_server_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let gone = Client::connect(&path).unwrap_err();
    assert_eq!(gone.kind(), otto_core::ErrorKind::Unreachable);
    std::fs::write(&path, "").unwrap();
    assert!(Client::connect(&path).is_err());
    assert!(Client::connect(folder.path()).is_err());
    std::fs::remove_file(&path).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut client = Client::connect(&path).unwrap();
    let (mut other, _): (UnixStream, _) = listener.accept().unwrap();
    other.write_all(b"HTTP/1.1 400 Bad Request\r\n").unwrap();
    let error = client.ping().unwrap_err();
    assert_eq!(error.kind(), otto_core::ErrorKind::Protocol);
    assert!(error.to_string().contains("is"), "{error}");
}

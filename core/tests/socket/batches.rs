//! Batches, lists and times to live, through real sockets.

use crate::wire::{Serving, Wire, until};
use otto_core::limits::BATCH_OPERATIONS_MAX;
use otto_core::socket::{Client, EventKind, Operation, Options, Server};
use otto_core::{Condition, ErrorKind, Json, Key, Pattern, Values};
use std::thread;
use std::time::{Duration, Instant};

fn key(name: &str) -> Key {
    Key::parse(name).unwrap()
}

fn client(serving: &Serving) -> Client {
    Client::connect(serving.path()).unwrap()
}

#[test]
fn all_or_none() {
    let serving = Serving::start();
    let mut own = client(&serving);
    let one = Json::number(1);
    let results = own
        .batch(&[
            Operation::set(&key("a"), &one),
            Operation::append(&key("list"), &one),
            Operation::increment(&key("a"), 41),
            Operation::delete(&key("none")),
            Operation::set(&key("gone"), &one).ttl(Duration::from_secs(60)),
        ])
        .unwrap();
    let results: Vec<&str> = results.iter().map(Json::as_str).collect();
    assert_eq!(results, ["1", "1", "42", "false", "4"]);
    let left = own.ttl(&key("gone")).unwrap().unwrap();
    assert!(left > Duration::from_secs(50) && left <= Duration::from_secs(60), "{left:?}");
    assert_eq!(own.ttl(&key("a")).unwrap(), None);
    assert_eq!(own.ttl(&key("none")).unwrap_err().kind(), ErrorKind::NotFound);
    for (operation, kind, says) in [
        (Operation::set(&key("a"), &one).if_absent(), ErrorKind::Condition, "exists: a"),
        (Operation::set(&key("a"), &one).if_revision(1), ErrorKind::Condition, "conflict: a"),
        (Operation::append(&key("a"), &one), ErrorKind::Io, "operation 2: a: the value is no list"),
        (Operation::increment(&key("list"), 1), ErrorKind::Io, "operation 2: list: not a 64-bit"),
    ] {
        let error = own.batch(&[Operation::set(&key("b"), &one), operation]).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().starts_with(says), "{error}");
        assert_eq!(own.get(&key("b")).unwrap(), None);
    }
    assert_eq!(own.batch(&[]).unwrap(), []);
    let many = vec![Operation::increment(&key("n"), 1); BATCH_OPERATIONS_MAX + 1];
    let error = own.batch(&many).unwrap_err().to_string();
    assert!(error.starts_with("a batch has at most 16384 operations"), "{error}");
    assert_eq!(own.batch(&many[1..]).unwrap().len(), BATCH_OPERATIONS_MAX);
    assert_eq!(own.get(&key("n")).unwrap().unwrap().as_str(), "16384");
}

/// Money that is moved between accounts in batches is never missing, and moved only by who knows
/// what was there.
#[test]
fn nobody_sees_half_a_batch() {
    let serving = Serving::start();
    let accounts = ["a", "b", "c"].map(key);
    let mut own = client(&serving);
    for account in &accounts {
        own.set(account, &Json::number(100), Condition::Always).unwrap();
    }
    let watching = client(&serving).subscribe(&Pattern::all()).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (serving, accounts) = (&serving, &accounts);
            scope.spawn(move || {
                let mut own = client(serving);
                let mut moved = 0;
                while moved < 100 {
                    let (from, to) =
                        (&accounts[thread % 3], &accounts[(thread + 1 + moved % 2) % 3]);
                    let (revision, there) = own.get_with_revision(from).unwrap().unwrap();
                    let left: i64 = there.as_str().parse::<i64>().unwrap() - 1;
                    let set = Operation::set(from, &Json::number(left)).if_revision(revision);
                    match own.batch(&[set, Operation::increment(to, 1)]) {
                        Ok(_) => moved += 1,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Condition),
                    }
                }
            });
        }
        let mut own = client(&serving);
        for _ in 0..500 {
            // Adding nothing is a way to read all three at one moment.
            let all = accounts.each_ref().map(|account| Operation::increment(account, 0));
            let sums = own.batch(&all).unwrap();
            let sum: i64 = sums.iter().map(|sum| sum.as_str().parse::<i64>().unwrap()).sum();
            assert_eq!(sum, 300);
        }
    });
    let mut watching = watching;
    for seq in 4..=(3 + 800 + 1500) {
        let deadline = Some(Instant::now() + Duration::from_secs(30));
        let event = watching.next(deadline, &mut || Ok(())).unwrap().unwrap();
        assert_eq!((event.seq, event.kind), (seq, EventKind::Set));
    }
}

#[test]
fn appending_is_counted_and_told() {
    let serving = Serving::start();
    let mut own = client(&serving);
    let mut events = client(&serving).subscribe(&Pattern::all()).unwrap();
    assert_eq!(own.append(&key("l"), &Json::parse("[1]").unwrap()).unwrap(), 1);
    assert_eq!(own.append(&key("l"), &Json::string("x")).unwrap(), 2);
    assert_eq!(own.get(&key("l")).unwrap().unwrap().as_str(), r#"[[1],"x"]"#);
    own.set(&key("n"), &Json::number(1), Condition::Always).unwrap();
    let error = own.append(&key("n"), &Json::null()).unwrap_err();
    assert_eq!(error.to_string(), "n: the value is no list");
    for value in ["[[1]]", r#"["x"]"#] {
        let deadline = Some(Instant::now() + Duration::from_secs(30));
        let event = events.next(deadline, &mut || Ok(())).unwrap().unwrap();
        assert_eq!(event.kind, EventKind::Append);
        assert_eq!(event.value.unwrap().as_str(), value);
    }
}

/// A list is one level more than its elements, and an event of it must be read by those who listen.
#[test]
fn lists_nest_no_deeper_than_any_value() {
    let serving = Serving::start();
    let mut own = client(&serving);
    let mut events = client(&serving).subscribe(&Pattern::all()).unwrap();
    let nested = |levels: usize| {
        Json::parse(&format!("{}{}", "[".repeat(levels), "]".repeat(levels))).unwrap()
    };
    let deepest = otto_core::limits::JSON_DEPTH_MAX;
    let error = own.append(&key("l"), &nested(deepest)).unwrap_err().to_string();
    assert_eq!(error, "l: nested deeper than 128 levels");
    let error = own.batch(&[Operation::append(&key("l"), &nested(deepest))]).unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
    assert_eq!(own.append(&key("l"), &nested(deepest - 1)).unwrap(), 1);
    own.set(&key("v"), &nested(deepest), Condition::Always).unwrap();
    for name in ["l", "v"] {
        let deadline = Some(Instant::now() + Duration::from_secs(30));
        let event = events.next(deadline, &mut || Ok(())).unwrap().unwrap();
        assert_eq!(event.key, name);
        assert_eq!(own.get(&key(name)).unwrap().unwrap(), nested(deepest));
    }
    let other = Serving::start();
    other.handle().restore(&serving.handle().snapshot().unwrap()).unwrap();
    assert_eq!(other.handle().get(&key("v")).unwrap().unwrap(), nested(deepest));
}

/// Whoever is there first finds what was saved, and changes nothing that is to be overwritten.
#[test]
fn what_was_saved_is_there_before_anybody_is_served() {
    let first = Serving::start();
    assert_eq!(first.wire().ask("INCR n 7"), "7");
    let text = first.handle().snapshot().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::bind(&folder.path().join("s"), Options::default()).unwrap();
    let mut early = Wire::connect(&folder.path().join("s"));
    early.send("INCR n\nSUBSCRIBE * 1\n");
    server.restore(&text).unwrap();
    let running = server.spawn();
    assert_eq!(early.line(), "8");
    assert_eq!(early.line(), "OK");
    assert_eq!(early.line(), r#"{"seq":2,"event":"gap","from":1,"to":1}"#);
    assert_eq!(early.line(), r#"{"seq":2,"event":"set","key":"n","value":8}"#);
    let error = running.handle().restore(&text).unwrap_err().to_string();
    assert!(error.contains("values of its own"), "{error}");
}

/// However long nobody has asked for anything, a key lives as long as it was told to.
#[test]
fn a_time_to_live_begins_when_it_is_asked_for() {
    let serving = Serving::start();
    let mut own = client(&serving);
    let mut events = client(&serving).subscribe(&Pattern::all()).unwrap();
    own.ping().unwrap();
    // A stretch of time in which nothing happens is what this is about.
    thread::sleep(Duration::from_millis(700));
    let set = Operation::set(&key("a"), &Json::number(1)).ttl(Duration::from_millis(500));
    let start = Instant::now();
    own.batch(&[set]).unwrap();
    let left = own.ttl(&key("a")).unwrap_or(None);
    if start.elapsed() < Duration::from_millis(100) {
        assert!(left.unwrap() > Duration::from_millis(300), "{left:?}");
    }
    let expired = loop {
        let deadline = Some(Instant::now() + Duration::from_secs(30));
        let event = events.next(deadline, &mut || Ok(())).unwrap().unwrap();
        if event.kind == EventKind::Delete {
            break event;
        }
    };
    let lived = start.elapsed();
    assert!(expired.expired && lived >= Duration::from_millis(500), "{lived:?}");
    until("it is gone", || own.get(&key("a")).unwrap().is_none());
}

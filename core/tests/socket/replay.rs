//! Events of the past: from any number on, without a gap or a double, and told where there is one.

use crate::wire::{DEADLINE, Serving, Wire, resident};
use otto_core::socket::{Client, EventKind, From, Options};
use otto_core::{Condition, Json, Key, Pattern, Values};
use std::thread;
use std::time::Instant;

fn from(serving: &Serving, pattern: &str, from: &str) -> Wire {
    let mut wire = serving.wire();
    assert_eq!(wire.ask(&format!("SUBSCRIBE {pattern} {from}")), "OK");
    wire
}

fn seq(line: &str) -> u64 {
    serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap()
}

#[test]
fn the_past_comes_first_then_what_happens() {
    let serving = Serving::start();
    let mut other = serving.wire();
    for request in ["SET a.x 1", "SET b 2", "DELETE a.x", "PUBLISH a.c {}"] {
        let _ = other.ask(request);
    }
    let mut all = from(&serving, "*", "start");
    let mut some = from(&serving, "a.*", "2");
    let mut later = from(&serving, "*", "7");
    let mut now = from(&serving, "*", "now");
    for n in 5..8 {
        assert_eq!(other.ask(&format!("SET a.y {n}")), "OK");
    }
    let first = [
        r#"{"seq":1,"event":"set","key":"a.x","value":1}"#,
        r#"{"seq":2,"event":"set","key":"b","value":2}"#,
        r#"{"seq":3,"event":"delete","key":"a.x"}"#,
        r#"{"seq":4,"event":"publish","key":"a.c","value":{}}"#,
        r#"{"seq":5,"event":"set","key":"a.y","value":5}"#,
    ];
    first.iter().for_each(|event| assert_eq!(all.line(), *event));
    assert_eq!([some.line(), some.line(), some.line()], [first[2], first[3], first[4]]);
    assert_eq!((seq(&now.line()), seq(&later.line())), (5, 7));
}

#[test]
fn one_subscription_where_the_past_is_read() {
    let serving = Serving::start();
    let mut wire = serving.wire();
    let replay = [&0u64.to_be_bytes()[..], b"a.*"].concat();
    assert_eq!(wire.ask_frame(0x18, &replay).0, 0);
    for (command, payload) in [(0x18, &replay[..]), (0x05, b"*")] {
        let (status, message) = wire.ask_frame(command, payload);
        assert!(status == 1 && String::from_utf8(message).unwrap().contains("one subscription"));
    }
    let mut wire = serving.wire();
    assert_eq!(wire.ask_frame(0x05, b"*").0, 0);
    assert_eq!(wire.ask_frame(0x18, &replay).0, 1);
    let mut text = serving.wire();
    assert!(text.ask("SUBSCRIBE * yesterday").contains("give start, now or the number"));
}

/// Readers that begin at any time, while others write, get every number once.
#[test]
fn nothing_is_missed_and_nothing_comes_twice_under_load() {
    let serving = Serving::start();
    let (writers, each) = (4, 2000);
    let path = serving.path().to_owned();
    let writing: Vec<_> = (0..writers)
        .map(|writer| {
            let path = path.clone();
            thread::spawn(move || {
                let mut client = Client::connect(&path).unwrap();
                let key = Key::parse(&format!("w.{writer}")).unwrap();
                for n in 0..each {
                    client.set(&key, &Json::number(n), Condition::Always).unwrap();
                }
            })
        })
        .collect();
    let last = (writers * each) as u64;
    let readers: Vec<_> = (0..20)
        .map(|reader| {
            let path = path.clone();
            thread::spawn(move || {
                let first = reader * 100 + 1;
                let client = Client::connect(&path).unwrap();
                let mut events = client.subscribe_from(&Pattern::all(), From::Seq(first)).unwrap();
                let deadline = Some(Instant::now() + DEADLINE);
                for wanted in first..=last {
                    let event = events.next(deadline, &mut || Ok(())).unwrap().unwrap();
                    assert_eq!((event.seq, event.kind), (wanted, EventKind::Set));
                }
            })
        })
        .collect();
    writing.into_iter().chain(readers).for_each(|thread| thread.join().unwrap());
}

#[test]
fn what_is_kept_is_bounded_and_a_gap_is_told() {
    let serving = Serving::alone(Options { history_bytes_max: 1 << 20, ..Options::default() });
    let before = resident();
    let mut slow = from(&serving, "*", "start");
    let mut wire = serving.wire();
    let value = format!("\"{}\"", "x".repeat(1000));
    let count = 30_000;
    let key = Key::parse("k").unwrap();
    let mut client = Client::connect(serving.path()).unwrap();
    let value = Json::parse(&value).unwrap();
    for _ in 0..count {
        client.set(&key, &value, Condition::Always).unwrap();
    }
    let mut late = from(&serving, "*", "start");
    let gap: serde_json::Value = serde_json::from_str(&late.line()).unwrap();
    assert_eq!((&gap["event"], &gap["from"]), (&"gap".into(), &1.into()));
    let next = gap["to"].as_u64().unwrap() + 1;
    assert_eq!((gap["seq"].as_u64(), seq(&late.line())), (Some(next), next));
    assert!(next + 500 < count && next + 2000 > count, "{next}");
    assert_eq!(wire.ask("PING"), "OK");
    assert!(resident() - before < 60 << 20, "{} MiB", (resident() - before) >> 20);
    // The one that did not read has been told live what happened, in order.
    assert_eq!(seq(&slow.line()), 1);
    for wanted in 2..=count {
        assert_eq!(seq(&slow.line()), wanted);
    }
}

/// Who reads the past slowly is no burden: what it wants is in the history or is told as a gap.
#[test]
fn a_reader_of_the_past_that_stops_costs_no_more_than_a_pause() {
    let serving = Serving::alone(Options { history_bytes_max: 8 << 20, ..Options::default() });
    let key = Key::parse("k").unwrap();
    let value = Json::string(&"x".repeat(1000));
    let mut client = Client::connect(serving.path()).unwrap();
    let mut write = |count| {
        (0..count).for_each(|_| client.set(&key, &value, Condition::Always).unwrap());
    };
    write(7000);
    let before = resident();
    let mut stopped: Vec<Wire> = (0..20).map(|_| from(&serving, "*", "start")).collect();
    write(20_000);
    assert!(resident() - before < 64 << 20, "{} MiB", (resident() - before) >> 20);
    for wire in &mut stopped {
        let (mut last, mut gaps) = (0, 0);
        while last < 27_000 {
            let event: serde_json::Value = serde_json::from_str(&wire.line()).unwrap();
            if event["event"] == "gap" {
                assert_eq!(event["from"].as_u64(), Some(last + 1));
                last = event["to"].as_u64().unwrap();
                gaps += 1;
            } else {
                assert_eq!(event["seq"].as_u64(), Some(last + 1));
                last += 1;
            }
        }
        assert!(gaps >= 1);
    }
}

//! Events: all of them, in order, numbered; what happens to those who fall behind.

use crate::wire::{Serving, Wire, frame, keyed, resident, until};
use otto_core::socket::{Client, EventKind, Options};
use otto_core::{Condition, ErrorKind, Json, Key, Pattern, Values};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

fn subscribed(serving: &Serving, pattern: &str) -> Wire {
    let mut wire = serving.wire();
    assert_eq!(wire.ask(&format!("SUBSCRIBE {pattern}")), "OK");
    wire
}

#[test]
fn every_change_is_an_event_with_its_number() {
    let serving = Serving::start();
    let mut events = subscribed(&serving, "a.*");
    let mut other = serving.wire();
    for (request, event) in [
        ("SET a.k { \"x\": 1 }", Some(r#"{"seq":1,"event":"set","key":"a.k","value":{"x":1}}"#)),
        ("SET b.k 1", None),
        ("INCR a.n 5", Some(r#"{"seq":3,"event":"set","key":"a.n","value":5}"#)),
        ("SETNX a.n 5", None),
        ("SETNX a.\"é 0", Some(r#"{"seq":4,"event":"set","key":"a.\"é","value":0}"#)),
        ("CAS a.n 9 1", None),
        ("CAS a.n 3 1", Some(r#"{"seq":5,"event":"set","key":"a.n","value":1}"#)),
        ("DELETE a.none", None),
        ("DELETE a.n", Some(r#"{"seq":6,"event":"delete","key":"a.n"}"#)),
        ("PUBLISH a.c null", Some(r#"{"seq":7,"event":"publish","key":"a.c","value":null}"#)),
        ("PUBLISH other 1", None),
        ("SET a.end 1", Some(r#"{"seq":9,"event":"set","key":"a.end","value":1}"#)),
    ] {
        let _ = other.ask(request);
        if let Some(event) = event {
            assert_eq!(events.line(), event);
        }
    }
}

#[test]
fn patterns_choose_and_an_event_comes_once() {
    let serving = Serving::start();
    let mut exact = subscribed(&serving, "a.b");
    let mut question = subscribed(&serving, "a.?");
    let mut binary = serving.wire();
    // Several patterns on one connection: what several match is told once.
    for pattern in ["", "a.*", "a.b"] {
        assert_eq!(binary.ask_frame(0x05, pattern.as_bytes()), (0, Vec::new()));
    }
    let mut other = serving.wire();
    for key in ["a.b", "a.é", "a.bc", "b"] {
        assert_eq!(other.ask(&format!("SET {key} 1")), "OK");
    }
    let key = |line: String| {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        event["key"].as_str().unwrap().to_owned()
    };
    assert_eq!(key(exact.line()), "a.b");
    assert_eq!((key(question.line()), key(question.line())), ("a.b".into(), "a.é".into()));
    for wanted in ["a.b", "a.é", "a.bc", "b"] {
        let (status, event) = binary.frame();
        assert_eq!((status, key(String::from_utf8(event).unwrap())), (5, wanted.to_owned()));
    }
    // Nothing else was sent to either: the next thing that comes is the answer to this.
    assert_eq!(binary.ask_frame(0x0b, b""), (0, Vec::new()));
}

/// Replies to requests on a subscribed binary connection come before the events they cause.
#[test]
fn a_binary_subscriber_still_asks() {
    let serving = Serving::start();
    let mut wire = serving.wire();
    assert_eq!(wire.ask_frame(0x05, b"*"), (0, Vec::new()));
    let requests: Vec<u8> = (0..3).flat_map(|n| frame(0x01, &keyed("k", &[b'0' + n]))).collect();
    wire.send(requests);
    for n in 1..=3 {
        assert_eq!(wire.frame().0, 0);
        let (status, event) = wire.frame();
        let wanted = format!(r#"{{"seq":{n},"event":"set","key":"k","value":{}}}"#, n - 1);
        assert_eq!((status, String::from_utf8(event).unwrap()), (5, wanted));
    }
}

#[test]
fn a_text_subscriber_gets_events_alone_even_half_closed() {
    let serving = Serving::start();
    let mut wire = serving.wire();
    wire.send("SUBSCRIBE *\nSET ignored 1\nnonsense\nPING");
    assert_eq!(wire.line(), "OK");
    wire.end();
    serving.until("subscriptions", 1);
    let mut other = serving.wire();
    assert_eq!(other.ask("GET ignored"), "null");
    assert_eq!(other.ask("SET a 1"), "OK");
    assert_eq!(wire.line(), r#"{"seq":1,"event":"set","key":"a","value":1}"#);
    drop(wire);
    serving.until("subscriptions", 0);
}

/// A flood of events: whoever reads gets all of them in order, whoever does not is told why it is
/// disconnected, and what waits for it is bounded.
#[test]
fn a_slow_subscriber_is_told_and_fast_ones_lose_nothing() {
    const EVENTS: u64 = 60_000;
    let serving = Serving::alone(Options::default());
    let mut slow = [subscribed(&serving, "*"), serving.wire()];
    assert_eq!(slow[1].ask_frame(0x05, b"*").0, 0);
    let read = Arc::new(AtomicU64::new(0));
    let fast: Vec<_> = (0..3)
        .map(|_| {
            let mut events = Client::connect(serving.path())
                .unwrap()
                .subscribe(&Pattern::parse("k*").unwrap())
                .unwrap();
            let read = Arc::clone(&read);
            thread::spawn(move || {
                for n in 1..=EVENTS {
                    let event = events.next(None, &mut || Ok(())).unwrap().unwrap();
                    assert_eq!((event.seq, event.kind), (n, EventKind::Set));
                    read.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let before = resident();
    let mut writer = Client::connect(serving.path()).unwrap();
    let value = Json::string(&"x".repeat(1000));
    for n in 0..EVENTS {
        let key = Key::parse(&format!("k{}", n % 10)).unwrap();
        writer.set(&key, &value, Condition::Always).unwrap();
        // On a busy machine even those who do nothing but read may be late.
        if n % 10_000 == 9_999 {
            until("the fast ones have read", || read.load(Ordering::Relaxed) == 3 * (n + 1));
        }
    }
    for reader in fast {
        reader.join().unwrap();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 160 << 20, "{} MiB", grown >> 20);
    assert_eq!(serving.figure("subscriptions"), 0, "the slow ones are off, the fast ones done");
    let [text, binary] = &mut slow;
    let text = text.last_words();
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("ERROR: too slow: ") && last.contains("subscribe again"), "{last}");
    assert!(text.lines().count() < EVENTS as usize);
    // Every line before it is a whole event, with no gap.
    for (line, n) in text.lines().zip(1..).take(text.lines().count() - 1) {
        assert!(line.starts_with(&format!("{{\"seq\":{n},")) && line.ends_with("\"}"), "{line}");
    }
    loop {
        match binary.frame() {
            (5, _) => {}
            (status, reason) => {
                let reason = String::from_utf8(reason).unwrap();
                assert!(status == 1 && reason.starts_with("too slow"), "{reason}");
                break;
            }
        }
    }
}

#[test]
fn the_end_of_the_server_ends_a_subscription_with_an_error() {
    let serving = Serving::start();
    let mut events = Client::connect(serving.path()).unwrap().subscribe(&Pattern::all()).unwrap();
    drop(serving);
    let error = events.next(None, &mut || Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
}

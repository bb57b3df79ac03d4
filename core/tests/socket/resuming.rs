//! Subscriptions that outlive their connection: nothing missing, nothing twice, gaps told.

use crate::hosts::Host;
use crate::wire::{DEADLINE, Serving};
use otto_core::socket::{Client, Event, EventKind, From, Gap, Options, Subscription};
use otto_core::{Condition, Error, ErrorKind, Json, Key, Pattern, Values};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A line to a server that can be cut.
struct Line {
    path: PathBuf,
    streams: Arc<Mutex<Vec<UnixStream>>>,
    _folder: tempfile::TempDir,
}

impl Line {
    fn to(server: &Path) -> Line {
        Line::slow(server, Duration::ZERO)
    }

    /// One that takes its time, at least `delay` for each piece.
    fn slow(server: &Path, delay: Duration) -> Line {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("line");
        let listener = UnixListener::bind(&path).unwrap();
        let streams: Arc<Mutex<Vec<UnixStream>>> = Arc::default();
        let (kept, server) = (Arc::clone(&streams), server.to_owned());
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Ok(server) = UnixStream::connect(&server) else { continue };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || {
                        let mut piece = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut piece) {
                            thread::sleep(delay);
                            if to.write_all(&piece[..count]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
                kept.lock().unwrap().extend([client, server]);
            }
        });
        Line { path, streams, _folder: folder }
    }

    fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn key(name: &str) -> Key {
    Key::parse(name).unwrap()
}

fn resuming(path: &Path, from: From) -> Subscription {
    let client = Client::connect(path).unwrap();
    client.subscribe_from(&Pattern::all(), from).unwrap().resuming(true)
}

fn next(events: &mut Subscription) -> Event {
    let deadline = Some(Instant::now() + DEADLINE);
    events.next(deadline, &mut || Ok(())).unwrap().expect("an event in time")
}

#[test]
fn nothing_is_missing_and_nothing_comes_twice() {
    let serving = Serving::start();
    let line = Line::to(serving.path());
    let mut events = resuming(&line.path, From::Start);
    let path = serving.path().to_owned();
    const EVENTS: u64 = 20_000;
    let writer = thread::spawn(move || {
        let mut client = Client::connect(&path).unwrap();
        for n in 1..=EVENTS {
            client.set(&key("n"), &Json::number(n as i64), Condition::Always).unwrap();
        }
    });
    let mut cuts = 0;
    for n in 1..=EVENTS {
        let event = next(&mut events);
        assert_eq!((event.seq, event.kind), (n, EventKind::Set));
        assert_eq!(event.value.unwrap().as_str(), n.to_string());
        // Between two events, within one, or while it is being found again.
        if n % 997 == 0 {
            line.cut();
            cuts += 1;
        }
    }
    writer.join().unwrap();
    assert!(cuts > 10);
    let soon = Some(Instant::now() + Duration::from_millis(50));
    assert_eq!(events.next(soon, &mut || Ok(())).unwrap(), None);
}

/// Looks that are shorter than the way to the server and back, as those of an event loop are.
#[test]
fn short_looks_find_a_server_whose_answer_takes_longer() {
    let serving = Serving::start();
    let line = Line::slow(serving.path(), Duration::from_millis(6));
    let mut events = resuming(&line.path, From::Now);
    let mut client = Client::connect(serving.path()).unwrap();
    for n in 1..=3 {
        line.cut();
        client.set(&key("n"), &Json::number(n), Condition::Always).unwrap();
        let deadline = Instant::now() + DEADLINE;
        let event = loop {
            let look = Some(Instant::now() + Duration::from_millis(1));
            if let Some(event) = events.next(look, &mut || Ok(())).unwrap() {
                break event;
            }
            assert!(Instant::now() < deadline, "no event in time");
        };
        assert_eq!(event.value.unwrap().as_str(), n.to_string());
    }
}

#[test]
fn what_happened_meanwhile_is_told_as_far_as_it_is_known() {
    let serving = Serving::with(Options { history_bytes_max: 512 << 10, ..Options::default() });
    let line = Line::to(serving.path());
    let mut events = resuming(&line.path, From::Now);
    let mut client = Client::connect(serving.path()).unwrap();
    let mut write = |count: usize, value: &Json| {
        for _ in 0..count {
            client.set(&key("k"), value, Condition::Always).unwrap();
        }
    };
    write(3, &Json::number(1));
    (1..=3).for_each(|n| assert_eq!(next(&mut events).seq, n));
    line.cut();
    write(100, &Json::string(&"x".repeat(100_000)));
    write(5, &Json::number(2));
    let gap = next(&mut events);
    let Some(Gap { from: 4, to: Some(to) }) = gap.gap else { panic!("{gap:?}") };
    assert_eq!((gap.kind, gap.seq), (EventKind::Gap, to + 1));
    assert!(to > 50 && to < 104, "{to}");
    for n in to + 1..=108 {
        assert_eq!(next(&mut events).seq, n);
    }
}

/// A subscriber that was too slow is sent away with a reason, and goes on where it was.
#[test]
fn who_was_too_slow_goes_on() {
    let serving = Serving::start();
    let mut events = resuming(serving.path(), From::Start);
    let mut client = Client::connect(serving.path()).unwrap();
    let value = Json::string(&"x".repeat(1 << 20));
    for _ in 0..60 {
        client.set(&key("k"), &value, Condition::Always).unwrap();
    }
    let mut seen = 0;
    let mut gaps = 0;
    while seen < 60 {
        let event = next(&mut events);
        match event.gap {
            Some(Gap { from, to: Some(to) }) => {
                assert_eq!(from, seen + 1);
                (seen, gaps) = (to, gaps + 1);
            }
            Some(gap) => panic!("{gap:?}"),
            None => {
                assert_eq!(event.seq, seen + 1);
                seen = event.seq;
            }
        }
    }
    assert_eq!(gaps, 1);
}

#[test]
fn another_server_is_told_from_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let host = Host::start(&path, "");
    let mut client = Client::connect(&path).unwrap();
    let mut events = resuming(&path, From::Start);
    for n in 1..=3 {
        client.set(&key("first"), &Json::number(n), Condition::Always).unwrap();
        assert_eq!(next(&mut events).seq, n as u64);
    }
    host.kill();
    // A deadline is kept, and so is Ctrl-C, while there is no server.
    let soon = Instant::now() + Duration::from_millis(120);
    assert_eq!(events.next(Some(soon), &mut || Ok(())).unwrap(), None);
    assert!(soon <= Instant::now());
    let mut stop = || Err(Error::new(ErrorKind::Interrupted, "enough"));
    assert_eq!(events.next(None, &mut stop).unwrap_err().kind(), ErrorKind::Interrupted);
    let host = Host::start(&path, "");
    assert_eq!(host.said, "serves");
    let mut client = Client::connect(&path).unwrap();
    client.set(&key("second"), &Json::number(1), Condition::Always).unwrap();
    let gap = next(&mut events);
    assert_eq!((gap.seq, gap.gap), (1, Some(Gap { from: 4, to: None })));
    assert_eq!(gap.text, r#"{"seq":1,"event":"gap","from":4,"to":null}"#);
    let event = next(&mut events);
    assert_eq!((event.seq, event.key.as_str()), (1, "second"));
    host.kill();
}

/// Without `resuming` the end of the server is the end of the subscription, and with it, it is
/// after ten seconds.
#[test]
fn a_server_that_does_not_come_back_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let host = Host::start(&path, "");
    let mut plain = Client::connect(&path).unwrap();
    plain.ping().unwrap();
    let mut plain = plain.subscribe_from(&Pattern::all(), From::Now).unwrap();
    let mut resuming = resuming(&path, From::Now);
    host.kill();
    assert_eq!(plain.next(None, &mut || Ok(())).unwrap_err().kind(), ErrorKind::Unreachable);
    let start = Instant::now();
    let error = resuming.next(None, &mut || Ok(())).unwrap_err();
    let took = start.elapsed();
    assert!(error.to_string().ends_with("it did not come back"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!((9..15).contains(&took.as_secs()), "{took:?}");
}

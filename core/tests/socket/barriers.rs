//! Barriers and cancellation: many go on together, or hear together that they are not to.

use crate::wire::{Serving, frame, keyed, until};
use otto_core::socket::{Client, EventKind, Options};
use otto_core::{Key, Pattern, TaskName};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

fn key(name: &str) -> Key {
    Key::parse(name).unwrap()
}

fn client(serving: &Serving) -> Client {
    Client::connect(serving.path()).unwrap()
}

#[test]
fn nobody_goes_on_before_all_are_there() {
    let serving = Serving::start();
    let arrived = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut own = client(&serving);
                for round in 0..50 {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    let place = own.barrier(&key("round"), 8, None, &mut || Ok(())).unwrap();
                    assert!((1..=8).contains(&place));
                    let so_far = arrived.load(Ordering::SeqCst);
                    assert!(so_far >= (round + 1) * 8, "{so_far} in round {round}");
                }
            });
        }
    });
}

#[test]
fn who_goes_or_is_late_is_not_counted() {
    let serving = Serving::start();
    let program = "import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                   s.sendall(b'BARRIER all 3\\n')\ntime.sleep(600)";
    let mut dies = Command::new("python3")
        .args(["-c", program])
        .arg(serving.path())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    serving.until("waiting", 1);
    let (mut first, mut second, mut third) = (serving.wire(), serving.wire(), serving.wire());
    first.send("BARRIER all 3\n");
    serving.until("waiting", 2);
    dies.kill().unwrap();
    dies.wait().unwrap();
    serving.until("waiting", 1);
    let late = keyed("all", &[0, 0, 0, 3, 0, 0, 0, 10]);
    assert_eq!(second.ask_frame(0x15, &late), (3, vec![]));
    assert_eq!(third.ask("BARRIER all 2"), "ERROR: all: those who wait there are to be 3, not 2");
    let waits = frame(0x15, &keyed("all", &[0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff]));
    second.send(waits);
    serving.until("waiting", 2);
    assert_eq!(third.ask("BARRIER all 3"), "3");
    assert_eq!((first.line(), second.frame()), ("1".into(), (0, b"2".to_vec())));
    serving.until("waiting", 0);
}

#[test]
fn cancelling_reaches_host_subscribers_and_who_asks() {
    let (sender, told) = channel();
    let serving = Serving::with(Options {
        on_cancel: Some(Box::new(move |task| drop(sender.send(task)))),
        ..Options::default()
    });
    let task = |name: &str| TaskName::parse(name).unwrap();
    for name in ["build", "test"] {
        serving.handle().expect_task(&task(name)).unwrap();
    }
    let mut events = client(&serving).subscribe(&Pattern::all()).unwrap();
    let mut own = client(&serving);
    let error = own.cancel(Some(&task("deploy"))).unwrap_err();
    assert_eq!(error.to_string(), "not found: deploy");
    own.cancel(Some(&task("build"))).unwrap();
    assert!(own.cancelled(Some(&task("build"))).unwrap());
    assert!(!own.cancelled(Some(&task("test"))).unwrap() && !own.cancelled(None).unwrap());
    own.cancel(None).unwrap();
    assert!(own.cancelled(Some(&task("test"))).unwrap() && own.cancelled(None).unwrap());
    let limit = Duration::from_secs(30);
    assert_eq!(told.recv_timeout(limit).unwrap().as_deref(), Some("build"));
    assert_eq!(told.recv_timeout(limit).unwrap(), None);
    for (seq, key) in [(1, "build"), (2, "*")] {
        let deadline = Some(Instant::now() + limit);
        let event = events.next(deadline, &mut || Ok(())).unwrap().unwrap();
        assert_eq!((event.seq, event.kind, event.key.as_str()), (seq, EventKind::Cancel, key));
        assert_eq!(event.value, None);
    }
    until("the server goes on", || own.ping().is_ok());
}

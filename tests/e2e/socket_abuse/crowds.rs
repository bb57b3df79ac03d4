//! Many at once, slow ones, and such that never read: the others are served.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use otto_e2e::linear::wire::{Reply, resp};
use otto_e2e::talk::{Talk, forget_peak, frame, memory};
use otto_e2e::{Place, Server, figures};
use std::time::{Duration, Instant};

/// Asks `count` times; the middle and the slowest but one in a hundred.
fn latency(talk: &mut Talk, count: usize) -> (Duration, Duration) {
    let mut took: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(talk.ask("GET small"), "1");
            start.elapsed()
        })
        .collect();
    took.sort();
    (took[count / 2], took[count * 99 / 100])
}

/// Ten clients that ask for 500 values of 1 MiB each and read none of them, in every dialect.
#[test]
fn those_who_never_read_cost_a_bounded_amount() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let mut other = Talk::new(&socket);
    assert_eq!(other.ask("SET small 1"), "OK");
    assert_eq!(other.ask(&format!("SET big \"{}\"", "x".repeat(1 << 20))), "OK");
    let requests = [b"GET big\n".to_vec(), frame(0x02, b"big"), resp(&["GET", "big"])]
        .map(|one| one.repeat(500));
    forget_peak(server.pid());
    let before = memory(server.pid(), "VmRSS");
    let quiet = latency(&mut other, 2000);
    let mut held: Vec<Talk> = (0..10)
        .map(|number| {
            let mut talk = Talk::new(&socket);
            talk.send(&requests[number % 3]);
            talk
        })
        .collect();
    let beside = latency(&mut other, 2000);
    let grown = memory(server.pid(), "VmHWM").saturating_sub(before);
    figures(format_args!(
        "no-read-client: {} MiB for ten; another one's p50, p99 {beside:?}, alone {quiet:?}",
        grown >> 20
    ));
    // A value that waits twice for each: as replies are made, and as they stand in line.
    assert!(grown < 48 << 20, "the server grew by {} MiB", grown >> 20);
    // They were only held up: one that reads after all gets all.
    let late = &mut held[2];
    for _ in 0..500 {
        assert!(matches!(late.reply(), Reply::Bytes(Some(value)) if value.len() == 1 << 20));
    }
    assert_eq!(late.ask_resp(&["PING"]), Reply::Line("PONG".into()));
    drop(held);
    server.stop();
}

/// Five thousand connections at one server that was started with the usual limit of descriptors.
#[test]
fn five_thousand_connections() {
    const ALL: usize = 5000;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("Linux tells");
    if hard < 2 * ALL as u64 {
        eprintln!("left out: {hard} descriptors are allowed");
        return;
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard limit");
    let place = Place::new();
    let server = Server::start_under(&place, "ulimit -Sn 1024");
    let socket = server.socket();
    let mut other = Talk::new(&socket);
    assert_eq!(other.ask("SET small 1"), "OK");
    let quiet = latency(&mut other, 1000);
    let before = memory(server.pid(), "VmRSS");
    let mut crowd: Vec<Talk> = (0..ALL).map(|_| Talk::new(&socket)).collect();
    for (number, talk) in crowd.iter_mut().enumerate() {
        match number % 3 {
            0 => assert_eq!(talk.ask("INCR n").len().min(1), 1),
            1 => assert_eq!(talk.ask_frame(0x0b, b"").0, 0),
            _ => assert_eq!(talk.ask_resp(&["PING"]), Reply::Line("PONG".into())),
        }
    }
    let grown = memory(server.pid(), "VmRSS").saturating_sub(before) / ALL as u64;
    let beside = latency(&mut other, 1000);
    figures(format_args!(
        "{ALL} connections: {grown} bytes each; another one's p50, p99 {beside:?}, alone {quiet:?}"
    ));
    assert!(grown < 4096, "{grown} bytes for a connection that is idle");
    // A few hundred are active, and so are those between them.
    for round in 0..3 {
        for talk in crowd.iter_mut().step_by(30) {
            talk.send("INCR n\n");
        }
        for talk in crowd.iter_mut().step_by(30) {
            assert!(talk.line().parse::<u32>().is_ok(), "round {round}");
        }
    }
    drop(crowd);
    otto_e2e::wait_for("they are forgotten", || {
        other.ask("STATS").contains("\"clients\":1,").then_some(())
    });
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("back to what it was");
    server.stop();
}

/// Requests that come a byte at a time from many at once hold up nobody and cost what has come.
#[test]
fn slow_senders_hold_up_nobody() {
    const SLOW: usize = 300;
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let mut other = Talk::new(&socket);
    assert_eq!(other.ask("SET small 1"), "OK");
    let quiet = latency(&mut other, 500);
    let value = "x".repeat(40);
    let requests = [
        format!("SET slow \"{value}\"\n").into_bytes(),
        frame(0x01, format!("\0\u{4}slow\"{value}\"").as_bytes()),
        resp(&["SET", "slow", &value]),
    ];
    let before = memory(server.pid(), "VmRSS");
    let mut crowd: Vec<Talk> = (0..SLOW).map(|_| Talk::new(&socket)).collect();
    let longest = requests.iter().map(Vec::len).max().expect("three");
    let mut beside = Vec::new();
    for at in 0..longest {
        for (number, talk) in crowd.iter_mut().enumerate() {
            let request = &requests[number % 3];
            talk.send(&request[at.min(request.len())..(at + 1).min(request.len())]);
        }
        beside.push(latency(&mut other, 10).0);
    }
    beside.sort();
    let grown = memory(server.pid(), "VmRSS").saturating_sub(before) / SLOW as u64;
    figures(format_args!(
        "slowloris: {SLOW} senders, {grown} bytes each; another one's p50 {:?}, alone {:?}",
        beside[beside.len() / 2],
        quiet.0
    ));
    assert!(grown < 8192, "{grown} bytes for a sender that is slow");
    for (number, talk) in crowd.iter_mut().enumerate() {
        match number % 3 {
            0 => assert_eq!(talk.line(), "OK"),
            1 => assert_eq!(talk.frame(), (0, vec![])),
            _ => assert_eq!(talk.reply(), Reply::Line("OK".into())),
        }
    }
    server.stop();
}

/// A subscriber that stops reading is told so and put off at its limit, in its own dialect; those
/// who read get every event.
#[test]
fn a_slow_subscriber_is_put_off_and_fast_ones_lose_nothing() {
    const EVENTS: u64 = 50_000;
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let subscribed = |number: usize| {
        let mut talk = Talk::new(&socket);
        match number {
            0 => assert_eq!(talk.ask("SUBSCRIBE news"), "OK"),
            1 => assert_eq!(talk.ask_frame(0x05, b"news").0, 0),
            _ => assert!(matches!(talk.ask_resp(&["SUBSCRIBE", "news"]), Reply::Array(_))),
        }
        talk
    };
    let mut slow: Vec<Talk> = (0..3).map(subscribed).collect();
    let fast: Vec<Talk> = (0..3).map(subscribed).collect();
    forget_peak(server.pid());
    let before = memory(server.pid(), "VmRSS");
    let readers: Vec<_> = fast
        .into_iter()
        .enumerate()
        .map(|(number, mut talk)| {
            std::thread::spawn(move || {
                for event in 0..EVENTS {
                    let said = match number {
                        0 => talk.line(),
                        1 => String::from_utf8(talk.frame().1).expect("text"),
                        _ => format!("{:?}", talk.reply()),
                    };
                    // Every value carries its number.
                    let wanted = format!("event {event} ");
                    let bytes = format!("{:?}", wanted.as_bytes());
                    let bytes = bytes.trim_end_matches(']');
                    assert!(said.contains(&wanted) || said.contains(bytes), "{event}: {said}");
                }
            })
        })
        .collect();
    let mut writer = Talk::new(&socket);
    let filler = "x".repeat(1000);
    for event in 0..EVENTS {
        // One at a time: who does nothing but read keeps up.
        assert_eq!(writer.ask(&format!("PUBLISH news \"event {event} {filler}\"")), "OK");
    }
    for reader in readers {
        reader.join().expect("nothing was lost");
    }
    let grown = memory(server.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < 160 << 20, "the server grew by {} MiB", grown >> 20);
    let last = slow[0].rest();
    let last = String::from_utf8_lossy(&last);
    let last = last.lines().last().unwrap_or_default();
    assert!(last.starts_with("ERROR: too slow: "), "{last}");
    loop {
        match slow[1].frame() {
            (0x05, _) => {}
            (status, reason) => {
                let reason = String::from_utf8_lossy(&reason).into_owned();
                assert!(status == 0x01 && reason.starts_with("too slow: "), "{reason}");
                break;
            }
        }
    }
    let last = slow[2].rest();
    let last = String::from_utf8_lossy(&last[last.len().saturating_sub(200)..]).into_owned();
    assert!(last.contains("-ERR too slow: "), "{last}");
    server.stop();
}

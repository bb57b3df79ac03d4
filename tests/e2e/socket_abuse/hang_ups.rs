//! Clients that go in the middle of anything, at a server that has SIGPIPE as every process has it.

use otto_e2e::linear::wire::resp;
use otto_e2e::talk::{Talk, frame};
use otto_e2e::{Place, Random, figures, seed, times};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A server within a Python program that has left SIGPIPE alone.
const HOST: &str = "
import signal, sys, otto
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
with otto.serve() as server:
    print(server.socket, flush=True)
    sys.stdin.read()
print('ended', flush=True)
";

#[test]
fn abrupt_closes_end_nobody() {
    let seed = seed();
    let mut random = Random(seed);
    let place = Place::new();
    let mut host = place.job("python3").args(["-c", HOST]).interactive().start();
    let socket = host.line();
    let mut other = Talk::new(&socket);
    assert_eq!(other.ask(&format!("SET big \"{}\"", "x".repeat(300_000))), "OK");
    let requests: [Vec<u8>; 9] = [
        b"GET big\n".repeat(20),
        b"SUBSCRIBE *\n".to_vec(),
        b"WAIT none 100\n".to_vec(),
        b"LOCK l 1 100\n".to_vec(),
        b"BARRIER b 2 100\n".to_vec(),
        frame(0x02, b"big").repeat(20),
        frame(0x05, b"*"),
        resp(&["GET", "big"]).repeat(20),
        [resp(&["SUBSCRIBE", "big"]), resp(&["PING"])].concat(),
    ];
    let closes = times(10_000);
    for number in 0..closes {
        let mut stream = UnixStream::connect(&socket).expect("the server is there");
        let request = &requests[random.below(9) as usize];
        let cut = match random.below(3) {
            0 => random.below(request.len() as u64 + 1) as usize,
            _ => request.len(),
        };
        stream.write_all(&request[..cut]).expect("taken");
        if random.below(3) == 0 && cut > 20 {
            // The reply is on its way, and some of it here: the rest meets a closed socket.
            stream.set_nonblocking(true).expect("a socket");
            let _ = stream.read(&mut [0; 100]);
        }
        drop(stream);
        if number % 10 == 0 {
            // Whoever subscribed or waits and has gone is written to.
            assert_eq!(other.ask("SET none 1"), "OK", "OTTO_SEED={seed}, close {number}");
            assert_eq!(other.ask("DELETE none"), "OK", "OTTO_SEED={seed}, close {number}");
        }
    }
    otto_e2e::wait_for("all are forgotten", || {
        let figures = other.ask("STATS");
        let nobody = ["\"clients\":1,", "\"waiting\":0,", "\"subscriptions\":0,"];
        nobody.iter().all(|figure| figures.contains(figure)).then_some(())
    });
    figures(format_args!("abrupt-close: seed {seed}, {closes} closes, 0 deaths, SIGPIPE default"));
    host.end_input();
    assert!(host.finish_from_now().ok().stdout.ends_with("ended\n"));
}

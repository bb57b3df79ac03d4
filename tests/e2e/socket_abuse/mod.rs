//! What anybody may throw at the socket: an error or a closed connection, never a larger server.

mod bombs;
mod crowds;
mod hang_ups;
mod splits;
mod starts;

use otto_e2e::talk::{frame, memory};
use otto_e2e::{DEADLINE, Place, Server};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// More than the server may grow by in any of these tests, in bytes: one line or frame in full.
const GROWTH_MAX: u64 = 160 << 20;

/// Sends `bytes`, closes the sending side, and returns everything that comes back.
fn throw(socket: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).expect("the server is there");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    let mut sender = stream.try_clone().expect("a second handle");
    let bytes = bytes.to_vec();
    // The server may close while we still send.
    let sending = std::thread::spawn(move || {
        let _ = sender.write_all(&bytes);
        let _ = sender.shutdown(Shutdown::Write);
    });
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    sending.join().expect("it only sends");
    reply
}

fn text(socket: &str, line: &str) -> String {
    String::from_utf8(throw(socket, line.as_bytes())).expect("replies are UTF-8")
}

#[test]
fn bad_input_is_answered_or_hung_up_on() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let before = memory(server.pid(), "VmHWM");

    // Lines: an error each, and the connection stays usable.
    for line in [
        "NONSENSE",
        "",
        "SET",
        "SET k",
        "SET k {",
        "SET k \"\\ud800\"",
        "SET k NaN",
        "GET",
        "GET a b",
        "INCR k one",
        "WAIT k soon",
        "CAS k x 1",
        "GET \u{1}",
        "SET k [1,2",
        "PUBLISH",
    ] {
        let reply = text(&socket, &format!("{line}\nPING\n"));
        let lines: Vec<&str> = reply.lines().collect();
        assert_eq!(lines.len(), 2, "{line:?}: {reply:?}");
        assert!(lines[0].starts_with("ERROR: "), "{line:?}: {reply:?}");
        assert!(!lines[1].starts_with("ERROR"), "{line:?}: {reply:?}");
    }
    // Bytes that are no text.
    for bytes in [&b"SET k \"\xff\xfe\"\nPING\n"[..], b"\xff\xfe\xfd\n", b"GET \xc3\x28\n"] {
        let reply = String::from_utf8_lossy(&throw(&socket, bytes)).into_owned();
        assert!(reply.is_empty() || reply.starts_with("ERROR: "), "{bytes:?}: {reply}");
    }
    // A first byte that is none of the dialects', and Redis's with what is no request of its.
    let _ = throw(&socket, b"\x80\x00\x00\x00");
    let reply = throw(&socket, b"*1\r\n:4\r\nPING\r\n");
    assert!(reply.len() < 200, "{reply:?}");

    // Frames: lengths that promise 4 GiB, nothing, or more than there is; unknown commands; keys
    // longer than their payload; values that are no JSON.
    for bytes in [
        vec![0x08, 0, 0, 1, 0x01],
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 9, 0x02, b'k'],
        frame(0x7f, b""),
        frame(0x01, b"\xff\xffk1"),
        frame(0x01, b"\x00\x01k{"),
        frame(0x01, b""),
        frame(0x02, b"\xff"),
        frame(0x07, b"\x00\x01k\x00"),
        frame(0x06, b"\x00\x01k"),
        frame(0x09, b"\x00\x01k\x00\x00"),
        frame(0x0c, b"no json"),
    ] {
        let reply = throw(&socket, &bytes);
        assert!(reply.is_empty() || reply.get(4) == Some(&0x01), "{bytes:?}: {reply:?}");
    }

    // Deep nesting: refused or kept, never a crash.
    let deep = format!("SET deep {}{}\n", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let _ = text(&socket, &deep);

    assert!(text(&socket, "PING\n").len() > 1, "the server still serves");
    let grown = memory(server.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the server grew by {} MiB", grown >> 20);
    server.stop();
}

#[test]
fn a_line_or_a_frame_without_end_is_not_kept() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let before = memory(server.pid(), "VmHWM");
    for start in [&b"SET k \""[..], b"\x07\xff\xff\xff\x01", b"\x08\x00\x00\x00\x01\x00\x01k\""] {
        let mut stream = UnixStream::connect(&socket).expect("the server is there");
        stream.set_write_timeout(Some(DEADLINE)).expect("a time limit");
        let _ = stream.write_all(start);
        let chunk = vec![b'x'; 1 << 20];
        // Twice the longest frame. The server may hang up, or read on and keep nothing.
        let _ = (0..256).try_for_each(|_| stream.write_all(&chunk));
    }
    let grown = memory(server.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the server grew by {} MiB", grown >> 20);
    assert!(text(&socket, "PING\n").len() > 1, "the server still serves");
    server.stop();
}

/// Lengths are promises: sixty-four of them at the limit must cost nothing until bytes come.
#[test]
fn promised_lengths_cost_nothing() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let before = memory(server.pid(), "VmHWM");
    let held: Vec<UnixStream> = (0..64)
        .map(|_| {
            let mut stream = UnixStream::connect(&socket).expect("the server is there");
            stream.write_all(b"\x07\xff\xff\xff\x01\x00\x01k").expect("taken");
            stream
        })
        .collect();
    assert!(text(&socket, "PING\n").len() > 1, "the server still serves");
    let grown = memory(server.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < 16 << 20, "the server grew by {} MiB", grown >> 20);
    drop(held);
    server.stop();
}

/// A client that asks and never reads: the server's memory stays bounded, others are served.
#[test]
fn a_client_that_never_reads_costs_a_bounded_amount() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let big = format!("SET big \"{}\"\n", "x".repeat(1 << 20));
    assert_eq!(text(&socket, &big), "OK\n");
    let before = memory(server.pid(), "VmHWM");
    let held: Vec<UnixStream> = (0..10)
        .map(|_| {
            let mut stream = UnixStream::connect(&socket).expect("the server is there");
            let _ = stream.write_all("GET big\n".repeat(500).as_bytes());
            stream
        })
        .collect();
    for _ in 0..20 {
        assert!(text(&socket, "PING\n").len() > 1, "the server still serves");
    }
    let grown = memory(server.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the server grew by {} MiB", grown >> 20);
    drop(held);
    server.stop();
}

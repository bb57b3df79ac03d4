//! Promises of much to come: refused, or believed only as far as something comes.

use otto_e2e::linear::wire::Reply;
use otto_e2e::talk::{Talk, forget_peak, memory};
use otto_e2e::{Place, Server, figures};

/// What all of them together may cost, in bytes.
const GROWTH_MAX: u64 = 1 << 20;

/// Lengths of 4 GiB, a million arguments, nesting without end, in every dialect.
#[test]
fn promises_are_refused_and_cost_nothing() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let bombs: [(&str, Vec<u8>); 20] = [
        ("a frame of 4 GiB", b"\x08\xff\xff\xff\x01".to_vec()),
        ("a frame of 128 MiB and one byte", b"\x08\x00\x00\x01\x01\x00\x01k".to_vec()),
        ("a key longer than its frame", b"\0\0\0\x05\x01\xff\xffk1".to_vec()),
        ("arrays in arrays, text", format!("SET k {}\n", "[".repeat(100_000)).into_bytes()),
        ("objects in objects", format!("SET k {}\n", "{\"a\":".repeat(20_000)).into_bytes()),
        ("a batch of nesting", format!("BATCH {}\n", "[".repeat(100_000)).into_bytes()),
        ("a pattern of stars", format!("LIST {}\n", "*".repeat(100_000)).into_bytes()),
        ("a key without end", format!("GET {}\n", "k".repeat(100_000)).into_bytes()),
        ("a wait without end", b"WAIT k 1e999\n".to_vec()),
        ("a lock with all slots", b"LOCK l 99999999999999999999 0\n".to_vec()),
        ("a barrier of billions", b"BARRIER b 99999999999999999999 0\n".to_vec()),
        ("a million arguments", b"*1000001\r\n".to_vec()),
        ("2^31 arguments", b"*2147483648\r\n".to_vec()),
        ("2^63 arguments", b"*9223372036854775807\r\n".to_vec()),
        ("more arguments than fit a number", b"*99999999999999999999\r\n".to_vec()),
        ("an argument of 4 GiB", b"*2\r\n$3\r\nGET\r\n$4294967295\r\n".to_vec()),
        ("an argument of 2^63 bytes", b"*2\r\n$3\r\nGET\r\n$9223372036854775807\r\n".to_vec()),
        ("an argument of less than nothing", b"*2\r\n$3\r\nGET\r\n$-5\r\n".to_vec()),
        ("arrays in arrays, RESP", b"*1\r\n".repeat(20_000)),
        ("a length without end", [&b"*"[..], &b"9".repeat(100_000)].concat()),
    ];
    // Once for what is allocated once.
    for (_, bomb) in &bombs {
        let mut talk = Talk::new(&socket);
        talk.send(bomb);
        talk.end();
        let _ = talk.rest();
    }
    forget_peak(server.pid());
    let before = memory(server.pid(), "VmRSS");
    for (what, bomb) in &bombs {
        let mut talk = Talk::new(&socket);
        talk.send(bomb);
        talk.end();
        let said = String::from_utf8_lossy(&talk.rest()).into_owned();
        let refused = said.contains("ERR") || said.as_bytes().get(4) == Some(&0x01);
        // An unfinished request whose sender has gone need not be answered.
        assert!(refused || said.is_empty(), "{what}: {said:?}");
        assert!(said.len() < 2000, "{what}: {} bytes of reply", said.len());
    }
    // Promises that are within the limits, and kept waiting.
    let held: Vec<Talk> = (0..30)
        .map(|number| {
            let mut talk = Talk::new(&socket);
            talk.send(match number % 3 {
                0 => &b"\x00\xff\xff\xff\x01\0\x01k\""[..],
                1 => b"*1024\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\nxx",
                _ => b"SET k \"xx",
            });
            talk
        })
        .collect();
    assert_eq!(Talk::new(&socket).ask("PING"), "OK");
    let grown = memory(server.pid(), "VmHWM").saturating_sub(before);
    figures(format_args!("length-bomb: {} KiB for all of them", grown >> 10));
    assert!(grown < GROWTH_MAX, "the server grew by {} KiB", grown >> 10);
    drop(held);
    server.stop();
}

/// A million arguments that do come: what they take is given back.
#[test]
fn a_million_arguments_that_come_are_given_back() {
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let mut talk = Talk::new(&socket);
    assert_eq!(talk.ask_resp(&["PING"]), Reply::Line("PONG".into()));
    let before = memory(server.pid(), "VmRSS");
    let mut bomb = b"*1000000\r\n".to_vec();
    bomb.extend_from_slice(&b"$1\r\nx\r\n".repeat(1_000_000));
    talk.send(&bomb);
    talk.end();
    let said = String::from_utf8_lossy(&talk.rest()).into_owned();
    assert!(said.starts_with("-ERR"), "{said:?}");
    let kept = memory(server.pid(), "VmRSS").saturating_sub(before);
    assert!(kept < 4 << 20, "the server kept {} KiB", kept >> 10);
    assert_eq!(Talk::new(&socket).ask("PING"), "OK");
    server.stop();
}

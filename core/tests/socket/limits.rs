//! What is above a limit: refused in one line that says what to do, before memory is taken for it.

use crate::wire::{DEADLINE, Serving, frame, keyed, resident};
use otto_core::socket::{Client, Operation, Options};
use otto_core::{Condition, ErrorKind, Json, Key, Values};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::thread;

fn small() -> Serving {
    Serving::with(Options { value_bytes_max: 1000, ..Options::default() })
}

#[test]
fn a_value_above_the_limit_names_datasets_and_the_connection_stays() {
    let serving = small();
    let mut text = serving.wire();
    let value = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    // At the limit, a little above it, and far above it.
    assert_eq!(text.ask(&format!("SET a {}", value(1000))), "OK");
    for bytes in [1001, 2000, 300_000, 5 << 20] {
        for verb in ["SET", "SETNX", "PUBLISH"] {
            let reply = text.ask(&format!("{verb} b {}", value(bytes)));
            assert!(reply.starts_with("ERROR: value of ") && reply.contains("dataset"), "{reply}");
            assert_eq!(text.ask("GET b"), "null");
        }
    }
    let mut binary = serving.wire();
    let set = |bytes: usize| keyed("b", value(bytes).as_bytes());
    for bytes in [1001, 2000, 300_000, 5 << 20] {
        let (status, message) = binary.ask_frame(0x01, &set(bytes));
        let message = String::from_utf8(message).unwrap();
        assert!(status == 1 && message.contains("dataset"), "{status} {message}");
        assert_eq!(binary.ask_frame(0x02, b"b"), (2, Vec::new()));
    }
    // White space between tokens counts for the request, not for the value.
    assert_eq!(text.ask(&format!("SET a [1, {:500}2]", "")), "OK");
    let mut client = Client::connect(serving.path()).unwrap();
    let key = Key::parse("b").unwrap();
    let error = client.set(&key, &Json::string(&"x".repeat(1 << 20)), Condition::Always);
    assert!(error.unwrap_err().to_string().contains("dataset"));
    assert_eq!(client.get(&key).unwrap(), None);
}

/// The wire has one status for all that is wrong, and the limits are the server's.
#[test]
fn what_is_above_a_limit_is_told_from_what_failed() {
    let serving = small();
    let mut client = Client::connect(serving.path()).unwrap();
    let (key, list) = (Key::parse("a").unwrap(), Key::parse("l").unwrap());
    let large = Json::string(&"x".repeat(1000));
    let deep = Json::parse(&format!("{}{}", "[".repeat(128), "]".repeat(128))).unwrap();
    let one = Operation::increment(&key, 1);
    let (set, append) = (Operation::set(&key, &large), Operation::append(&list, &deep));
    let many: Vec<_> = (0..16_385).map(|_| Operation::delete(&key)).collect();
    let mut kind = |operations: &[Operation]| client.batch(operations).unwrap_err().kind();
    assert_eq!(kind(&[one.clone(), set]), ErrorKind::TooLarge);
    assert_eq!(kind(&[one, append]), ErrorKind::Usage);
    let serving = Serving::start();
    let mut client = Client::connect(serving.path()).unwrap();
    assert_eq!(client.batch(&many).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(client.append(&list, &deep).unwrap_err().kind(), ErrorKind::Usage);
    let large = Json::string(&"x".repeat(16 << 20));
    let refused = [
        client.set(&key, &large, Condition::Always),
        client.publish(&key, &large),
        client.append(&list, &large).map(drop),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    }
    client.set(&key, &Json::string("text"), Condition::Always).unwrap();
    assert_eq!(client.increment(&key, 1).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(client.append(&key, &Json::number(1)).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn increments_and_keys_are_bounded_too() {
    let serving = small();
    let mut wire = serving.wire();
    let key = "k".repeat(512);
    assert_eq!(wire.ask(&format!("INCR {key}")), "1");
    assert!(wire.ask(&format!("GET k{key}")).contains("at most 512"));
    assert!(wire.ask(&format!("LIST {key}*")).contains("at most 512"));
    let deep = format!("SET a {}{}", "[".repeat(129), "]".repeat(129));
    assert!(wire.ask(&deep).starts_with("ERROR: "));
    assert_eq!(wire.ask("PING"), "OK");
}

/// The server would close the connection: what it never takes is not sent at all.
#[test]
fn what_no_frame_holds_is_refused_by_the_client() {
    let serving = Serving::start();
    let mut client = Client::connect(serving.path()).unwrap();
    let name = Key::parse("db").unwrap();
    client.lock(&name, 1, None, &mut || Ok(())).unwrap();
    let (key, large) = (Key::parse("a").unwrap(), Json::string(&"x".repeat(128 << 20)));
    let refused = [
        client.set(&key, &large, Condition::Always),
        client.publish(&key, &large),
        client.append(&key, &large).map(drop),
        client.batch(&[Operation::set(&key, &large)]).map(drop),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(error.to_string().contains("at most 134217728"), "{error}");
    }
    assert_eq!(client.get(&key).unwrap(), None);
    // On the same connection still.
    client.unlock(&name).unwrap();
}

/// A server that reads no further has its last word, and the next request a connection of its own.
#[test]
fn a_connection_that_ended_within_a_request_is_not_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        first.read_exact(&mut [0; 5]).unwrap();
        first.write_all(&frame(0x01, b"no more")).unwrap();
        first.shutdown(Shutdown::Read).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        second.read_exact(&mut [0; 5]).unwrap();
        second.write_all(&frame(0x00, b"")).unwrap();
        first
    });
    let mut client = Client::connect(&path).unwrap();
    client.set_reply_limit(Some(DEADLINE));
    let large = Json::string(&"x".repeat(8 << 20));
    let error = client.set(&Key::parse("a").unwrap(), &large, Condition::Always).unwrap_err();
    assert_eq!(error.to_string(), "no more");
    client.ping().unwrap();
    server.join().unwrap();
}

/// A length is a promise: it costs nothing until bytes come, and none is believed above the limit.
#[test]
fn lengths_of_gigabytes_cost_nothing() {
    let serving = Serving::alone(Options::default());
    let before = resident();
    for length in [u32::MAX, 0x0800_0001] {
        let mut wire = serving.wire();
        wire.send([0x00]);
        wire.send([0, 0, 1, 0x0b]);
        assert_eq!(wire.frame(), (0, Vec::new()));
        wire.send(length.to_be_bytes());
        let (status, message) = wire.frame();
        assert!(status == 1 && String::from_utf8(message).unwrap().contains("at most 134217728"));
        assert_eq!(wire.rest(), b"");
    }
    let mut held: Vec<_> = (0..100).map(|_| serving.wire()).collect();
    for wire in &mut held {
        wire.send([0x01, 0, 0, 0, 0x01, 0, 1, b'k']);
    }
    assert_eq!(serving.wire().ask("PING"), "OK");
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{} MiB", grown >> 20);
}

#[test]
fn a_line_without_end_is_cut_off() {
    let serving = Serving::alone(Options { value_bytes_max: 1000, ..Options::default() });
    let before = resident();
    let mut wire = serving.wire();
    wire.send("SET k \"");
    let chunk = vec![b'x'; 1 << 20];
    let taken = { (0..1024).take_while(|_| wire.stream.write_all(&chunk).is_ok()).count() };
    assert!((128..=136).contains(&taken), "{taken} MiB were taken");
    let words = wire.last_words();
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(lines.len(), 2, "{words}");
    assert!(lines[0].contains("dataset") && lines[1].starts_with("ERROR: line without end"));
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{} MiB", grown >> 20);
    // A line that ends in time leaves the connection as it was.
    let mut wire = serving.wire();
    for _ in 0..20 {
        wire.send(&chunk);
    }
    assert!(wire.ask("x").contains("dataset"));
    assert_eq!(wire.ask("PING"), "OK");
}

#[test]
fn the_first_byte_tells_the_dialect() {
    let serving = Serving::start();
    for first in 0..=0x08u8 {
        let mut wire = serving.wire();
        wire.send([first]);
        // Not a line: a line feed changes nothing until the length is whole.
        wire.send([b'\n', 0, 0]);
        if first == 0 {
            wire.send(vec![b'x'; 0x0a_0000]);
            assert!(wire.frame().0 == 1);
        }
    }
    for first in [b'\t', b'\r', b'A', b' ', b'{', 0x7f, 0x80, 0xff] {
        let mut wire = serving.wire();
        wire.send([first, b'\n']);
        assert!(wire.line().starts_with("ERROR: "), "{first}");
        assert_eq!(wire.ask("PING"), "OK");
    }
    // The latch holds: frames on a text connection are lines, lines on a binary one are frames.
    let mut wire = serving.wire();
    assert_eq!(wire.ask("PING"), "OK");
    wire.send(frame(0x0b, b""));
    assert!(wire.ask("").starts_with("ERROR: "));
    let mut wire = serving.wire();
    assert_eq!(wire.ask_frame(0x0b, b""), (0, Vec::new()));
    wire.send("PING\n");
    assert_eq!(wire.frame().0, 1);
    assert_eq!(wire.rest(), b"");
}

#[test]
fn a_broken_request_of_a_redis_client_is_the_last() {
    let serving = Serving::start();
    let mut wire = serving.wire();
    wire.send("*1\r\n$4\r\nPING\r\n*1\r\n:4\r\n");
    assert_eq!(wire.line(), "+PONG\r");
    let words = wire.last_words();
    assert!(words.starts_with("-ERR Protocol error") && words.ends_with("\r\n"), "{words}");
    assert_eq!(words.lines().count(), 1);
}

#[test]
fn figures_are_json_and_progress_is_checked() {
    let serving = Serving::start();
    let mut wire = serving.wire();
    for record in [&b""[..], b"1", b"nope", b"{\"task\":1}", b"{\"total\":-1}", b"\xff", b"{"] {
        let (status, message) = wire.ask_frame(0x0c, record);
        let message = String::from_utf8(message).unwrap();
        assert!(status == 1 && !message.is_empty() && !message.contains('\n'), "{message}");
    }
    let record = br#"{"task":"t\"\u0007","id":"b","current":1e3,"total":null,"message":"x\ny"}"#;
    assert_eq!(wire.ask_frame(0x0c, record), (0, Vec::new()));
    assert_eq!(wire.ask_frame(0x0c, br#"{"current":1,"new":[]}"#), (0, Vec::new()));
    let (status, stats) = wire.ask_frame(0x0d, b"");
    let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
    assert_eq!((status, stats["clients"].as_u64(), stats["seq"].as_u64()), (0, Some(1), Some(0)));
    assert_eq!(stats["progress"].as_array().unwrap().len(), 2);
    assert_eq!(stats["progress"][1]["message"], "x y");
}

#[test]
fn the_store_as_a_whole_is_bounded() {
    let options = Options { store_bytes_max: 10_000, ..Options::default() };
    let serving = Serving::with(options);
    let mut wire = serving.wire();
    let value = "7".repeat(1000);
    let taken = (0..20).take_while(|n| wire.ask(&format!("SET k{n} {value}")) == "OK").count();
    assert!((8..10).contains(&taken), "{taken}");
    assert!(wire.ask(&format!("SET more {value}")).contains("store is full"));
    assert_eq!(wire.ask("DELETE k0"), "OK");
    assert_eq!(wire.ask(&format!("SET more {value}")), "OK");
}

#[test]
fn patterns_of_one_client_and_clients_are_bounded() {
    let serving = Serving::with(Options { clients_max: 3, ..Options::default() });
    let mut wire = serving.wire();
    for n in 0..1024 {
        assert_eq!(wire.ask_frame(0x05, format!("k{n}").as_bytes()).0, 0);
    }
    assert_eq!(wire.ask_frame(0x05, b"one.more").0, 1);
    let mut others = [serving.wire(), serving.wire()];
    for other in &mut others {
        assert_eq!(other.ask("PING"), "OK");
    }
    assert!(serving.wire().last_words().starts_with("ERROR: 3 clients are connected"));
    let error = Client::connect(serving.path()).unwrap().ping().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("3 clients are connected"), "{error}");
    let [first, _second] = others;
    drop(first);
    crate::wire::until("a place is free", || {
        Client::connect(serving.path()).unwrap().ping().is_ok()
    });
}

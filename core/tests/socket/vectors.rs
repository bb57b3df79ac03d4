//! The golden bytes of all dialects, whole, in every two pieces, byte by byte, and all at once.

use crate::wire::Serving;
use std::path::Path;

/// One request and its reply, as they stand on the wire.
struct Exchange {
    request: Vec<u8>,
    reply: Vec<u8>,
}

/// Reads a file of vectors: `>` lines are sent, the `<` lines behind them come back. Text lines
/// end with a line feed; a binary line is hexadecimal with blanks, and `'...'` for ASCII. `#`
/// begins a comment line.
fn read(name: &str, decode: impl Fn(&str) -> Vec<u8>) -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in text.lines() {
        if let Some(request) = line.strip_prefix("> ") {
            exchanges.push(Exchange { request: decode(request), reply: Vec::new() });
        } else if let Some(reply) = line.strip_prefix("< ") {
            exchanges.last_mut().unwrap().reply.extend(decode(reply));
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{name}: {line}");
        }
    }
    assert!(exchanges.len() > 20, "{name} has too few of them");
    exchanges
}

fn line(text: &str) -> Vec<u8> {
    let text = text.replace("\\t", "\t").replace("\\r", "\r");
    format!("{text}\n").into_bytes()
}

fn binary(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (place, part) in text.split('\'').enumerate() {
        if place % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        for hex in part.split_whitespace() {
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
        }
    }
    bytes
}

/// `\r`, `\n`, `\\` and `\xff` stand for bytes, everything else for itself.
fn resp(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = text.split('\\');
    bytes.extend_from_slice(parts.next().unwrap().as_bytes());
    while let Some(part) = parts.next() {
        let (byte, rest) = match part.as_bytes().first() {
            Some(b'r') => (b'\r', &part[1..]),
            Some(b'n') => (b'\n', &part[1..]),
            Some(b'x') => (u8::from_str_radix(&part[1..3], 16).unwrap(), &part[3..]),
            None => (b'\\', parts.next().unwrap()),
            other => panic!("{other:?}"),
        };
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

fn files() -> [Vec<Exchange>; 3] {
    [
        read("socket-text.txt", line),
        read("socket-binary.txt", binary),
        read("socket-resp.txt", resp),
    ]
}

#[track_caller]
fn same(got: &[u8], wanted: &[u8], what: &dyn std::fmt::Debug) {
    let show = String::from_utf8_lossy;
    assert!(got == wanted, "{what:?}\ngot    {}\nwanted {}", show(got), show(wanted));
}

#[test]
fn every_reply_has_its_bytes() {
    for exchanges in files() {
        let serving = Serving::start();
        let mut wire = serving.wire();
        for Exchange { request, reply } in &exchanges {
            wire.send(request);
            let got = wire.exactly(reply.len());
            same(&got, reply, &String::from_utf8_lossy(request));
        }
        wire.silent();
    }
}

#[test]
fn all_requests_at_once_get_the_same_replies() {
    for exchanges in files() {
        let serving = Serving::start();
        let mut wire = serving.wire();
        let all = |part: fn(&Exchange) -> &Vec<u8>| -> Vec<u8> {
            exchanges.iter().flat_map(part).copied().collect()
        };
        wire.send(all(|exchange| &exchange.request));
        let replies = all(|exchange| &exchange.reply);
        same(&wire.exactly(replies.len()), &replies, &"at once");
        wire.silent();
    }
}

#[test]
fn a_byte_at_a_time_gets_the_same_replies() {
    for exchanges in files() {
        let serving = Serving::start();
        let mut wire = serving.wire();
        for Exchange { request, reply } in &exchanges {
            for byte in request {
                wire.send([*byte]);
            }
            same(&wire.exactly(reply.len()), reply, &String::from_utf8_lossy(request));
        }
    }
}

/// The server sees the first piece on its own: it answers a second connection in between.
#[test]
fn every_two_pieces_get_the_same_replies() {
    for exchanges in files() {
        let longest = exchanges.iter().map(|exchange| exchange.request.len()).max().unwrap();
        for at in 1..longest {
            let serving = Serving::start();
            let (mut wire, mut other) = (serving.wire(), serving.wire());
            for Exchange { request, reply } in &exchanges {
                let at = at.min(request.len());
                wire.send(&request[..at]);
                assert_eq!(other.ask("PING"), "OK");
                wire.send(&request[at..]);
                same(&wire.exactly(reply.len()), reply, &(at, String::from_utf8_lossy(request)));
            }
        }
    }
}

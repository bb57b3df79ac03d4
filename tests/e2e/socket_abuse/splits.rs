//! However a request is cut on its way, and whatever comes with it, the replies are the same.

use otto_e2e::linear::wire::{Dialect, resp};
use otto_e2e::talk::{Talk, frame};
use otto_e2e::{Place, Random, Server, seed};

/// One of everything that answers the same each time it is asked.
fn conversation(dialect: Dialect) -> Vec<Vec<u8>> {
    match dialect {
        Dialect::Text => [
            "DELETE s.a",
            "set  s.a  {\"x\": [1, \"\u{e9}\"]}",
            "GET s.a\r",
            "GETREV s.none",
            "SETNX s.a 1",
            "CAS s.a 1 2",
            "",
            "NONSENSE \u{1f600}",
            "SET s.a {",
            "INCR s.n 5",
            "DELETE s.n",
            "APPEND s.l \"x\"",
            "DELETE s.l",
            "BATCH [{\"key\":\"s.b\",\"incr\":2},{\"key\":\"s.b\",\"delete\":true}]",
            "TTL s.a",
            "WAIT s.a 1",
            "WAIT s.none 0",
            "LIST s.*",
            "PUBLISH s.c 1",
            "PING",
        ]
        .iter()
        .map(|line| format!("{line}\n").into_bytes())
        .chain([b"GET \xff\xfe\n".to_vec(), b"GET s.a".to_vec()])
        .collect(),
        Dialect::Binary => {
            let keyed = |key: &str, rest: &[u8]| {
                let length = u16::try_from(key.len()).expect("short").to_be_bytes();
                [&length, key.as_bytes(), rest].concat()
            };
            vec![
                frame(0x03, b"s.a"),
                frame(0x01, &keyed("s.a", "{\"x\": \"\u{e9}\"}".as_bytes())),
                frame(0x02, b"s.a"),
                frame(0x0e, b"s.none"),
                frame(0x08, &keyed("s.a", b"1")),
                frame(0x09, &keyed("s.a", b"\0\0\0\0\0\0\0\x011")),
                frame(0x07, &keyed("s.n", b"\0\0\0\0\0\0\0\x05")),
                frame(0x03, b"s.n"),
                frame(0x10, &keyed("s.l", b"\"x\"")),
                frame(0x03, b"s.l"),
                frame(0x0f, b"[{\"key\":\"s.b\",\"incr\":2},{\"key\":\"s.b\",\"delete\":true}]"),
                frame(0x11, b"s.a"),
                frame(0x06, &keyed("s.a", b"\0\0\0\x01")),
                frame(0x06, &keyed("s.none", b"\0\0\0\0")),
                frame(0x04, b"s.*"),
                frame(0x7f, b"what"),
                frame(0x01, b"\xff"),
                frame(0x01, &keyed("s.a", b"{")),
                vec![0, 0, 0, 0],
                frame(0x0a, &keyed("s.c", b"1")),
                frame(0x0b, b""),
            ]
        }
        Dialect::Resp => {
            let commands: [&[&str]; 22] = [
                &["DEL", "s.a", "s.l", "s.n"],
                &["SET", "s.a", "a b\r\n\u{e9}"],
                &["get", "s.a"],
                &["STRLEN", "s.a"],
                &["SETNX", "s.a", "x"],
                &["INCRBY", "s.n", "5"],
                &["INCR", "s.a"],
                &["RPUSH", "s.l", "1", "2"],
                &["LRANGE", "s.l", "0", "-1"],
                &["LPOP", "s.l"],
                &["GET", "s.l"],
                &["MGET", "s.a", "s.none"],
                &["EXISTS", "s.a"],
                &["TTL", "s.a"],
                &["NONSENSE", "x"],
                &["GET"],
                &["MULTI"],
                &["INCR", "s.n"],
                &["EXEC"],
                &["EXEC"],
                &["PUBLISH", "s.c", "x"],
                &["PING"],
            ];
            let mut all: Vec<Vec<u8>> = commands.iter().map(|words| resp(words)).collect();
            all.insert(2, b"*0\r\n".to_vec());
            all.push(resp(&[&b"SET"[..], b"s.a", b"\xff\0\xfe"]));
            all.push(resp(&[&b"GET"[..], b"s.a"]));
            all
        }
    }
}

/// Sends the pieces one by one, each only once the server has seen the one before.
fn told(socket: &str, witness: &mut Talk, pieces: &[&[u8]]) -> String {
    let mut talk = Talk::new(socket);
    for piece in pieces {
        talk.send(piece);
        // What this asks comes after what was there: the server does one thing at a time.
        assert_eq!(witness.ask("PING"), "OK");
    }
    talk.end();
    String::from_utf8_lossy(&talk.rest()).into_owned()
}

/// A request split at every byte, at every byte at once, and at any others is the same request.
#[test]
fn replies_do_not_depend_on_how_requests_arrive() {
    let seed = seed();
    let mut random = Random(seed);
    let place = Place::new();
    let server = Server::start(&place);
    let socket = server.socket();
    let mut witness = Talk::new(&socket);
    for dialect in Dialect::ALL {
        let requests = conversation(dialect);
        let one_by_one: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        let at_once = requests.concat();
        // The first time there was nothing to be removed.
        let _ = told(&socket, &mut witness, &[&at_once]);
        let replies = told(&socket, &mut witness, &one_by_one);
        assert!(replies.len() > 100, "{dialect:?}: {replies}");
        assert_eq!(told(&socket, &mut witness, &[&at_once]), replies, "{dialect:?} coalesced");
        for at in 0..at_once.len() {
            let (first, second) = at_once.split_at(at);
            let came = told(&socket, &mut witness, &[first, second]);
            assert_eq!(came, replies, "{dialect:?} split at {at}");
        }
        let bytes: Vec<&[u8]> = at_once.chunks(1).collect();
        assert_eq!(told(&socket, &mut witness, &bytes), replies, "{dialect:?} byte by byte");
        for _ in 0..20 {
            let (mut rest, mut pieces) = (&at_once[..], Vec::new());
            while !rest.is_empty() {
                let (piece, next) = rest.split_at((1 + random.below(40) as usize).min(rest.len()));
                pieces.push(piece);
                rest = next;
            }
            let came = told(&socket, &mut witness, &pieces);
            assert_eq!(came, replies, "{dialect:?}, OTTO_SEED={seed}");
        }
    }
    server.stop();
}

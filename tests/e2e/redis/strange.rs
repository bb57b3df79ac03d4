//! What only our server says: where it differs from redis-server on purpose, and what redis-server
//! says of itself alone.

use super::Both;
use super::wire::{Wire, elements, request, shown};
use otto_e2e::{Place, Server};

fn text(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).into_owned()
}

#[test]
fn what_clients_look_for_is_there() {
    let place = Place::new();
    let both = Both::start(&place);
    let [mut ours, mut theirs] = both.connect();
    for line in
        ["redis_version:7.0.15\r\n", "loading:0\r\n", "role:master\r\n", "connected_clients:"]
    {
        let info = [&mut ours, &mut theirs].map(|wire| text(&wire.ask("INFO")));
        assert!(info.iter().all(|info| info.contains(line)), "{line} {}", info[0]);
    }
    for wire in [&mut ours, &mut theirs] {
        wire.ask("SET k v EX 1000");
        wire.ask("SET l v");
        let keyspace = text(&wire.ask("INFO keyspace"));
        assert!(keyspace.contains("# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl="), "{keyspace}");
        assert!(text(&wire.ask("INFO memory")).contains("used_memory:"));
        let hello = elements(&wire.ask("HELLO 2 SETNAME me"));
        assert_eq!(hello.len(), 14);
        assert_eq!(shown(&hello[3]), "$6\\r\\n7.0.15\\r\\n");
        assert!(text(&wire.ask("CLIENT LIST")).contains(" name=me "));
        assert!(text(&wire.ask("CLIENT INFO")).contains(" name=me "));
        let id = text(&wire.ask("CLIENT ID"));
        assert!(id.starts_with(':') && id.trim() != ":0", "{id}");
    }
    // What COMMAND says of a command begins alike.
    for name in ["get", "mset", "blpop", "publish", "flushall"] {
        let told = [&mut ours, &mut theirs].map(|wire| {
            let told = elements(&elements(&wire.ask(&format!("COMMAND INFO {name}")))[0]);
            told[..6].to_vec()
        });
        assert_eq!(told[0], told[1], "{name}");
    }
    let all = elements(&ours.ask("COMMAND"));
    assert_eq!(text(&ours.ask("COMMAND COUNT")), format!(":{}\r\n", all.len()));
    assert_eq!(elements(&ours.ask("COMMAND DOCS")).len(), 2 * all.len());
    both.ours.stop();
}

#[test]
fn what_is_refused_is_said_in_a_line() {
    let place = Place::new();
    let server = Server::start(&place);
    let mut wire = Wire::connect(server.socket().as_ref());
    for (args, says) in [
        (&[&b"HELLO"[..], b"3"][..], "-NOPROTO unsupported protocol version"),
        (&[b"SET", b"two words", b"x"], "-ERR invalid key: "),
        (&[b"GET", b""], "-ERR invalid key: "),
        (&[b"GET", b"\xff"], "-ERR invalid key: "),
        (&[b"MSET", b"good", b"1", b"b d", b"2"], "-ERR invalid key: "),
        (&[b"DEL", b"good", b"b d"], "-ERR invalid key: "),
        (&[b"PUBLISH", b"two words", b"x"], "-ERR invalid channel: "),
        (
            &[b"HSET", b"h", b"f", b"v"],
            "-ERR unknown command 'HSET', with args beginning with: 'h' ",
        ),
        (&[b"EVAL", b"return 1", b"0"], "-ERR unknown command 'EVAL', "),
        (&[b"CLIENT", b"KILL", b"ID", b"1"], "-ERR unknown subcommand 'KILL'. Try CLIENT HELP."),
        (&[b"CONFIG", b"SET", b"save", b""], "-ERR unknown subcommand 'SET'. Try CONFIG HELP."),
    ] {
        wire.send(&request(args));
        let reply = text(&wire.receive());
        assert!(reply.starts_with(says) && reply.ends_with("\r\n"), "{reply}");
    }
    assert_eq!(wire.ask("EXISTS good"), b":0\r\n", "none of several is all or none");
    let long = "*".repeat(513);
    for words in
        [format!("KEYS {long}"), format!("SCAN 0 MATCH {long}"), format!("PSUBSCRIBE {long}")]
    {
        let reply = text(&wire.ask(&words));
        assert!(reply.starts_with("-ERR pattern of 513 bytes: at most 512 are allowed"), "{reply}");
    }
    // Far too long to be a number, and so never read as one.
    wire.send(&request(&[&b"SET"[..], b"digits", &vec![b'1'; 10 << 20]]));
    let _ = wire.receive();
    assert!(text(&wire.ask("INCR digits")).starts_with("-ERR value is not an integer"));
    assert!(text(&wire.ask("INCRBYFLOAT digits 1")).starts_with("-ERR value is not a valid float"));
    // Above the limit: told so, and the connection goes on.
    let large = vec![b'x'; 17 << 20];
    wire.send(&request(&[&b"SET"[..], b"large", &large]));
    let reply = text(&wire.receive());
    assert!(reply.starts_with("-ERR value of 17825792 bytes: at most 16777216"), "{reply}");
    assert_eq!(wire.ask("GET large"), b"$-1\r\n");
    // It spoils a transaction.
    wire.ask("MULTI");
    wire.send(&request(&[&b"SET"[..], b"large", &large]));
    let _ = wire.receive();
    assert!(text(&wire.ask("EXEC")).starts_with("-EXECABORT "));
    server.stop();
}

/// One small request can ask for very much.
#[test]
fn replies_are_bounded() {
    let place = Place::new();
    let server = Server::start(&place);
    let mut wire = Wire::connect(server.socket().as_ref());
    let value = vec![b'x'; 8 << 20];
    wire.send(&request(&[&b"SET"[..], b"k", &value]));
    assert_eq!(wire.receive(), b"+OK\r\n");
    let many = vec!["k"; 100].join(" ");
    let reply = text(&wire.ask(&format!("MGET {many}")));
    assert!(reply.starts_with("-ERR the reply takes more than 134217728 bytes"), "{reply}");
    wire.ask("MULTI");
    for _ in 0..20 {
        wire.ask("GET k");
    }
    wire.ask("SET after 1");
    let replies = elements(&wire.ask("EXEC"));
    assert_eq!(replies.len(), 21);
    assert_eq!(replies[0].len(), value.len() + "$8388608\r\n\r\n".len());
    assert!(text(&replies[19]).starts_with("-ERR the replies of this transaction"));
    assert_eq!(wire.ask("GET after"), b"$1\r\n1\r\n");
    server.stop();
}

//! Redis's dialect beside the others, on one server.

use crate::wire::{Serving, Wire, forget_the_peak, peak, resident};
use otto_core::socket::Options;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn request(words: &str) -> Vec<u8> {
    let words: Vec<&str> = words.split(' ').collect();
    let mut out = format!("*{}\r\n", words.len());
    for word in words {
        out += &format!("${}\r\n{word}\r\n", word.len());
    }
    out.into_bytes()
}

/// Sends a request of RESP and insists on its reply.
#[track_caller]
fn gets(wire: &mut Wire, words: &str, reply: &str) {
    wire.send(request(words));
    comes(wire, reply);
}

#[track_caller]
fn comes(wire: &mut Wire, reply: &str) {
    let got = wire.exactly(reply.len());
    assert_eq!(String::from_utf8_lossy(&got), reply);
}

#[test]
fn values_are_the_same_in_every_dialect() {
    let serving = Serving::start();
    let (mut resp, mut text) = (serving.wire(), serving.wire());
    gets(&mut resp, "SET a 1.10", "+OK\r\n");
    assert_eq!(text.ask("GET a"), "\"1.10\"");
    gets(&mut resp, "INCR n", ":1\r\n");
    assert_eq!(text.ask("INCR n 6"), "7");
    gets(&mut resp, "INCRBYFLOAT n 0.25", "$4\r\n7.25\r\n");
    assert_eq!(text.ask("GET n"), "7.25");
    resp.send(b"*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$2\r\n\xff\"\r\n");
    comes(&mut resp, "+OK\r\n");
    assert_eq!(text.ask("GET b"), "{\"$bytes\":\"/yI=\"}");
    resp.send(request("GET b"));
    assert_eq!(resp.exactly(8), b"$2\r\n\xff\"\r\n");
    for (json, read) in [
        ("true", "$4\r\ntrue\r\n"),
        ("null", "$4\r\nnull\r\n"),
        ("{\"x\": [1.10]}", "$12\r\n{\"x\":[1.10]}\r\n"),
        ("\"\\u00e9\\n\"", "$3\r\n\u{e9}\n\r\n"),
    ] {
        assert_eq!(text.ask(&format!("SET v {json}")), "OK");
        gets(&mut resp, "GET v", read);
    }
    assert_eq!(text.ask("SET list [1,\"two\",{\"three\":3},[4]]"), "OK");
    gets(&mut resp, "TYPE list", "+list\r\n");
    let all = "*4\r\n$1\r\n1\r\n$3\r\ntwo\r\n$11\r\n{\"three\":3}\r\n$3\r\n[4]\r\n";
    gets(&mut resp, "LRANGE list 0 -1", all);
    gets(&mut resp, "RPUSH list five", ":5\r\n");
    gets(&mut resp, "LPOP list", "$1\r\n1\r\n");
    assert_eq!(text.ask("GET list"), "[\"two\",{\"three\":3},[4],\"five\"]");
    gets(&mut resp, "RENAME list other", "+OK\r\n");
    assert_eq!(text.ask("GET other"), "[\"two\",{\"three\":3},[4],\"five\"]");
    // A list that is empty is one all the same.
    assert_eq!(text.ask("SET empty []"), "OK");
    gets(&mut resp, "LLEN empty", ":0\r\n");
    gets(&mut resp, "BLPOP empty 0.001", "*-1\r\n");
    gets(&mut resp, "RENAME empty moved", "+OK\r\n");
    gets(&mut resp, "RPUSH moved x", ":1\r\n");
}

/// However many go at once, and however long that takes: nobody sees one of them any more.
#[test]
fn keys_that_are_due_at_once_are_gone_at_once() {
    const KEYS: usize = 40_000;
    let serving = Serving::start();
    let (mut resp, mut text) = (serving.wire(), serving.wire());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let due = (now + Duration::from_secs(2)).as_millis();
    for start in (0..KEYS).step_by(1000) {
        let keys = start..start + 1000;
        let requests = keys.map(|key| request(&format!("SET key:{key} x PXAT {due}")));
        resp.send(requests.collect::<Vec<_>>().concat());
        comes(&mut resp, &"+OK\r\n".repeat(1000));
    }
    gets(&mut resp, "SET key:stays 1", "+OK\r\n");
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut found = String::new();
    while found != "*1\r" {
        assert!(Instant::now() < deadline, "{found}");
        resp.send(request("KEYS key:*"));
        found = resp.line();
        let keys: usize = found[1..found.len() - 1].parse().unwrap();
        (0..2 * keys).for_each(|_| drop(resp.line()));
    }
    // Of what is due some is still there, mostly.
    gets(&mut resp, "KEYS key:*", "*1\r\n$9\r\nkey:stays\r\n");
    gets(
        &mut resp,
        "SCAN 0 MATCH key:* COUNT 1000000",
        "*2\r\n$1\r\n0\r\n*1\r\n$9\r\nkey:stays\r\n",
    );
    gets(&mut resp, "GET key:39998", "$-1\r\n");
    gets(&mut resp, "EXISTS key:39997 key:39996 key:stays", ":1\r\n");
    gets(&mut resp, "SETNX key:39995 1", ":1\r\n");
    gets(&mut resp, "RPUSH key:39994 1", ":1\r\n");
    gets(&mut resp, "RENAME key:stays key:39993", "+OK\r\n");
    gets(&mut resp, "PTTL key:39993", ":-1\r\n");
    gets(&mut resp, "MGET key:39992 key:39993", "*2\r\n$-1\r\n$1\r\n1\r\n");
    assert_eq!(text.ask("LIST key:*"), r#"["key:39993","key:39994","key:39995"]"#);
    gets(&mut resp, "MULTI", "+OK\r\n");
    gets(&mut resp, "INCR key:39991", "+QUEUED\r\n");
    gets(&mut resp, "EXEC", "*1\r\n:1\r\n");
    let mut keys = String::new();
    while keys != ":4\r" {
        assert!(Instant::now() < deadline, "{keys}");
        resp.send(request("DBSIZE"));
        keys = resp.line();
    }
}

/// A longer name takes room, too: without it the list stays where it is.
#[test]
fn a_list_is_not_lost_by_another_name() {
    let serving = Serving::with(Options { store_bytes_max: 230, ..Options::default() });
    let mut resp = serving.wire();
    gets(&mut resp, "RPUSH l 1 2 3", ":3\r\n");
    resp.send(request(&format!("RENAME l {}", "x".repeat(50))));
    assert!(resp.line().starts_with('-'));
    gets(&mut resp, "LRANGE l 0 -1", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    gets(&mut resp, "RENAME l list", "+OK\r\n");
    gets(&mut resp, "LLEN list", ":3\r\n");
    gets(&mut resp, "EXISTS l", ":0\r\n");
}

#[test]
fn waits_end_by_writes_of_every_dialect() {
    let serving = Serving::start();
    let (mut resp, mut text) = (serving.wire(), serving.wire());
    for (push, element) in [
        ("APPEND q 7", "7"),
        ("SET q [\"x\",\"y\"]", "x"),
        ("BATCH [{\"key\":\"q\",\"append\":\"z\"}]", "y"),
    ] {
        resp.send(request("BLPOP none q 0"));
        // What was left over from before is there at once.
        if element != "y" {
            serving.until("waiting", 1);
        }
        let _ = text.ask(push);
        comes(&mut resp, &format!("*2\r\n$1\r\nq\r\n$1\r\n{element}\r\n"));
    }
    // From within the server's process, too.
    gets(&mut resp, "DEL q", ":1\r\n");
    resp.send(request("BRPOP q 0"));
    serving.until("waiting", 1);
    let key = otto_core::Key::parse("q").unwrap();
    serving.handle().set(&key, &otto_core::Json::parse("[1,2]").unwrap()).unwrap();
    comes(&mut resp, "*2\r\n$1\r\nq\r\n$1\r\n2\r\n");
    // And the other way: a write of RESP ends a wait.
    text.send("WAIT w 30\n");
    serving.until("waiting", 1);
    gets(&mut resp, "SET w done", "+OK\r\n");
    assert_eq!(text.line(), "\"done\"");
}

#[test]
fn messages_cross_dialects() {
    let serving = Serving::start();
    let (mut listener, mut resp) = (serving.wire(), serving.wire());
    let (mut events, mut text) = (serving.wire(), serving.wire());
    gets(&mut listener, "SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    gets(&mut listener, "PSUBSCRIBE n*", "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:2\r\n");
    assert_eq!(events.ask("SUBSCRIBE n*"), "OK");
    // Two subscriptions there, one here.
    gets(&mut resp, "PUBLISH news x\"y", ":3\r\n");
    let message = "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\nx\"y\r\n";
    let matched = "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$3\r\nx\"y\r\n";
    comes(&mut listener, message);
    comes(&mut listener, matched);
    assert_eq!(events.line(), r#"{"seq":1,"event":"publish","key":"news","value":"x\"y"}"#);
    assert_eq!(text.ask("PUBLISH news [1, 2]"), "OK");
    comes(&mut listener, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\n[1,2]\r\n");
    comes(&mut listener, "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$5\r\n[1,2]\r\n");
    assert_eq!(events.line(), r#"{"seq":2,"event":"publish","key":"news","value":[1,2]}"#);
    // Writes are events there, no messages here.
    gets(&mut resp, "RPUSH news a b", ":2\r\n");
    assert_eq!(events.line(), r#"{"seq":3,"event":"append","key":"news","value":["a","b"]}"#);
    listener.silent();
}

/// Whoever stops reading is told why it is disconnected; the others go on.
#[test]
fn a_subscriber_that_does_not_read_is_disconnected() {
    let serving = Serving::start();
    let (mut listener, mut resp) = (serving.wire(), serving.wire());
    gets(&mut listener, "SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    let large = request(&format!("PUBLISH news {}", "x".repeat(1 << 20)));
    for sent in 0.. {
        assert!(sent < 100, "it is still served");
        resp.send(&large);
        if resp.exactly(4) == b":0\r\n" {
            break;
        }
    }
    let words = listener.last_words();
    let last = words.rsplit("\r\n").nth(1).unwrap();
    assert!(last.starts_with("-ERR too slow: "), "{last}");
}

/// Each request is more than a turn: the client gets as many turns as it takes, also when all of its
/// requests have been read, and when no more can come.
#[test]
fn work_that_takes_many_turns_is_finished() {
    let serving = Serving::start();
    let mut wire = serving.wire();
    gets(&mut wire, &format!("SET k {}", "x".repeat(4 << 20)), "+OK\r\n");
    let replies = |from: usize| -> String {
        (from..from + 10).map(|n| format!(":{}\r\n", (4 << 20) + n)).collect()
    };
    wire.send(request("APPEND k y").repeat(10));
    comes(&mut wire, &replies(1));
    wire.send(request("APPEND k y").repeat(10));
    wire.end();
    assert_eq!(String::from_utf8_lossy(&wire.rest()), replies(11));
}

/// What a transaction makes in between was never there: as for a batch.
#[test]
fn whoever_waits_gets_what_a_transaction_has_made() {
    let serving = Serving::start();
    let (mut resp, mut whole, mut never) = (serving.wire(), serving.wire(), serving.wire());
    whole.send("WAIT whole 60\n");
    never.send("WAIT never 60\n");
    serving.until("waiting", 2);
    gets(&mut resp, "SET never x PXAT 1", "+OK\r\n");
    gets(&mut resp, "MULTI", "+OK\r\n");
    for words in ["SET whole half", "SET whole all", "SET never x", "DEL never"] {
        gets(&mut resp, words, "+QUEUED\r\n");
    }
    gets(&mut resp, "EXEC", "*4\r\n+OK\r\n+OK\r\n+OK\r\n:1\r\n");
    assert_eq!(whole.line(), "\"all\"");
    assert_eq!(serving.figure("waiting"), 1);
    gets(&mut resp, "SET never now", "+OK\r\n");
    assert_eq!(never.line(), "\"now\"");
}

/// However much one transaction has others be told: who does not read it is sent away before all of
/// it is there.
#[test]
fn a_transaction_costs_no_more_memory_than_a_subscriber_may() {
    let serving = Serving::alone(Options::default());
    let (mut resp, mut listener, mut channel) = (serving.wire(), serving.wire(), serving.wire());
    assert_eq!(listener.ask("SUBSCRIBE large"), "OK");
    gets(&mut channel, "SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    let text = "x".repeat(8 << 20);
    assert_eq!(serving.wire().ask(&format!("SET large \"{text}\"")), "OK");
    gets(&mut resp, "MULTI", "+OK\r\n");
    for _ in 0..40 {
        gets(&mut resp, "APPEND large y", "+QUEUED\r\n");
        gets(&mut resp, "APPEND large z", "+QUEUED\r\n");
    }
    forget_the_peak();
    let before = resident();
    resp.send(request("EXEC"));
    assert_eq!(resp.line(), "*80\r");
    (0..80).for_each(|_| drop(resp.line()));
    let grown = peak() - before;
    // Without a bound: 640 MiB.
    assert!(grown < 250 << 20, "{} MiB", grown >> 20);
    assert!(listener.last_words().contains("too slow"));
    gets(&mut resp, "PUBLISH c still", ":1\r\n");
}

#[test]
fn every_redis_client_is_listed() {
    let serving = Serving::start();
    let mut clients: Vec<Wire> = (0..4).map(|_| serving.wire()).collect();
    clients.iter_mut().for_each(|client| gets(client, "PING", "+PONG\r\n"));
    clients[0].send(request("CLIENT LIST"));
    let length: usize = clients[0].line()[1..].trim_end().parse().unwrap();
    let list = String::from_utf8(clients[0].exactly(length + 2)).unwrap();
    assert_eq!(list.matches("id=").count(), 4, "{list}");
}

#[test]
fn what_is_out_of_range_is_refused_in_redis_words() {
    let serving = Serving::start();
    let mut resp = serving.wire();
    let range = "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n";
    gets(&mut resp, "SELECT 2147483648", range);
    gets(&mut resp, "SELECT -99999999999", range);
    gets(&mut resp, "SELECT 2147483647", "-ERR DB index is out of range\r\n");
    gets(&mut resp, "SELECT x", "-ERR value is not an integer or out of range\r\n");
    resp.send(request(&format!("CONFIG GET {}", "*".repeat(513))));
    assert_eq!(resp.line(), "-ERR pattern of 513 bytes: at most 512 are allowed\r");
}

/// An array that the store has no room to take apart can be read, and not taken from.
#[test]
fn a_blocking_pop_says_why_it_gets_nothing() {
    let serving = Serving::with(Options { store_bytes_max: 200, ..Options::default() });
    let (mut resp, mut waiting) = (serving.wire(), serving.wire());
    waiting.send(request("BLPOP l 0"));
    serving.until("waiting", 1);
    assert_eq!(serving.wire().ask("SET l [1,2,3,4,5,6]"), "OK");
    assert!(waiting.line().starts_with("-ERR the store is full"));
    resp.send(request("BLPOP l 0"));
    assert!(resp.line().starts_with("-ERR the store is full"));
    gets(&mut resp, "LLEN l", ":6\r\n");
}

//! Channels, with several connections: the same messages in the same order from both servers.

use super::Both;
use super::wire::{Wire, shown};
use otto_e2e::Place;
use std::path::Path;

/// What happens, as it is seen by those it happens to.
fn scenario(socket: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    let mut note = |who: &str, reply: Vec<u8>| seen.push(format!("{who}: {}", shown(&reply)));
    let [mut one, mut two, mut three] = [(); 3].map(|()| Wire::connect(socket));

    one.tell("SUBSCRIBE news sport");
    note("one", one.receive());
    note("one", one.receive());
    one.tell("PSUBSCRIBE n* [a-m]* nobody");
    for _ in 0..3 {
        note("one", one.receive());
    }
    note("two", two.ask("PSUBSCRIBE n*"));
    note("three", three.ask("PUBLISH news hello"));
    for _ in 0..2 {
        note("one", one.receive());
    }
    note("two", two.receive());
    note("three", three.ask("PUBLISH games x"));
    note("one", one.receive());
    note("three", three.ask("PUBLISH elsewhere nobody"));

    // What the subscriber may still do, between messages.
    note("one", one.ask("PING"));
    note("one", one.ask("PING word"));
    note("one", one.ask("GET x"));
    note("one", one.ask("MULTI"));
    note("one", one.ask("EXEC"));
    note("one", one.ask("UNSUBSCRIBE news"));
    note("one", one.ask("UNSUBSCRIBE never"));
    note("three", three.ask("PUBLISH news again"));
    note("one", one.receive());
    note("two", two.receive());
    one.tell("PUNSUBSCRIBE");
    for _ in 0..3 {
        note("one", one.receive());
    }
    note("one", one.ask("SET x 1"));
    note("one", one.ask("UNSUBSCRIBE"));
    note("one", one.ask("SET x 1"));
    note("one", one.ask("UNSUBSCRIBE"));

    // One's own messages, from within a transaction.
    for words in ["MULTI", "SUBSCRIBE self", "PUBLISH self 1", "PSUBSCRIBE s*", "PUBLISH self 2"] {
        note("three", three.ask(words));
    }
    three.tell("EXEC");
    // As many replies as commands and messages: the count before them says the first.
    note("three", three.receive());
    for _ in 0..3 {
        note("three", three.receive());
    }
    note("three", three.ask("RESET"));
    note("three", three.ask("PUBLISH self 3"));

    // Whoever has gone is no receiver any more.
    note("two", two.ask("QUIT"));
    assert_eq!(two.rest(), b"");
    note("three", three.ask("PUBLISH news last"));
    note("three", three.ask("QUIT"));
    seen
}

#[test]
fn messages_come_as_from_redis() {
    let place = Place::new();
    let both = Both::start(&place);
    let [ours, theirs] = both.sockets().map(|socket| scenario(&socket));
    assert_eq!(ours, theirs);
    both.ours.stop();
}

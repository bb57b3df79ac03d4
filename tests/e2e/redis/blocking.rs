//! Waiting for an element of a list: who gets what, in which order, as from redis-server.

use super::Both;
use super::wire::{Wire, request, shown};
use otto_e2e::{Place, wait_for};
use std::path::Path;

/// Connections that wait, and one that does not and is asked how many wait.
struct Scene {
    wires: Vec<Wire>,
    asker: Wire,
    seen: Vec<String>,
}

impl Scene {
    fn new(socket: &Path) -> Scene {
        let wires = (0..4).map(|_| Wire::connect(socket)).collect();
        Scene { wires, asker: Wire::connect(socket), seen: Vec::new() }
    }

    /// Has connection `who` wait, and goes on once the server knows of `waiting` that do.
    fn waits(&mut self, who: usize, words: &str, waiting: usize) {
        self.wires[who].tell(words);
        self.until_waiting(waiting);
    }

    fn until_waiting(&mut self, waiting: usize) {
        let line = format!("blocked_clients:{waiting}\r\n");
        let asker = &mut self.asker;
        wait_for(&line, || {
            String::from_utf8_lossy(&asker.ask("INFO clients")).contains(&line).then_some(())
        });
    }

    fn asks(&mut self, words: &str) {
        let reply = self.asker.ask(words);
        self.seen.push(format!("{words}: {}", shown(&reply)));
    }

    fn gets(&mut self, who: usize) {
        let reply = self.wires[who].receive();
        self.seen.push(format!("{who} gets {}", shown(&reply)));
    }
}

fn scenario(socket: &Path) -> Vec<String> {
    let mut scene = Scene::new(socket);
    // First come, first served; what is left stays.
    scene.waits(0, "BLPOP q 0", 1);
    scene.waits(1, "BRPOP q 0", 2);
    scene.asks("RPUSH q a b c");
    scene.gets(0);
    scene.gets(1);
    scene.asks("LRANGE q 0 -1");
    scene.asks("DEL q");

    // Several lists: the first that gets something.
    scene.waits(0, "BLPOP x y z x 0", 1);
    scene.asks("RPUSH y 1");
    scene.gets(0);
    scene.waits(0, "BLPOP x y 0", 1);
    for words in ["MULTI", "RPUSH y 2", "RPUSH x 3", "EXEC"] {
        scene.asks(words);
    }
    scene.gets(0);
    scene.asks("EXISTS x y");
    scene.asks("DEL x y");

    // What a transaction takes back nobody has seen.
    scene.waits(0, "BLPOP q 0", 1);
    for words in ["MULTI", "LPUSH q a", "DEL q", "EXEC"] {
        scene.asks(words);
    }
    for words in ["SET q text", "DEL q", "LPUSH other moved", "RENAME other q"] {
        scene.asks(words);
    }
    scene.gets(0);

    // A type that doesn't fit is no reason to stop waiting; the right one is none to wait.
    scene.asks("SET t text");
    scene.wires[0].tell("BLPOP t q 0");
    scene.gets(0);
    scene.asks("LPUSH q here");
    scene.wires[0].tell("BLPOP q t 0");
    scene.gets(0);

    // Time passes: no array. What stands behind the wait comes behind it.
    let batch: Vec<u8> =
        ["BLPOP q 0.02", "GET t", "ECHO end"].iter().flat_map(|words| as_request(words)).collect();
    scene.wires[1].send(&batch);
    for _ in 0..3 {
        scene.gets(1);
    }

    // Who has gone is not served.
    scene.waits(2, "BLPOP q 0", 1);
    scene.waits(3, "BLPOP q 0", 2);
    drop(scene.wires.remove(2));
    scene.until_waiting(1);
    scene.asks("RPUSH q first second");
    scene.gets(2);
    scene.asks("LRANGE q 0 -1");
    scene.asks("BLPOP q -1");
    scene.seen
}

fn as_request(words: &str) -> Vec<u8> {
    request(&words.split_whitespace().collect::<Vec<&str>>())
}

#[test]
fn those_who_wait_are_served_as_by_redis() {
    let place = Place::new();
    let both = Both::start(&place);
    let [ours, theirs] = both.sockets().map(|socket| scenario(&socket));
    assert_eq!(ours, theirs);
    both.ours.stop();
}

//! Relays of random shape, with readers and writers of random habits: every line arrives where it
//! belongs, in order, and nothing hangs.

use super::*;
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How many shapes; soak tests take twenty times as many.
fn rounds() -> u64 {
    if std::env::var_os("OTTO_SOAK").is_some() { 800 } else { 40 }
}

/// A generator whose seed is told when something fails.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// What a source carries: `<source>:<number>:<noise>` a line, the last perhaps without its end.
fn lines_of(source: usize, dice: &mut Dice) -> Vec<Vec<u8>> {
    let longest = [30, 500, 9_000, 100_000, 1_300_000][dice.below(5) as usize];
    let total = 200_000 + dice.below(3_000_000) as usize;
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while bytes < total && lines.len() < 20_000 {
        let length = 1 + dice.below(longest) as usize;
        let mut line = format!("{source}:{}:", lines.len()).into_bytes();
        line.extend(noise(dice.0, length));
        bytes += line.len();
        lines.push(line);
    }
    lines
}

struct Shape {
    sources: Vec<Vec<Vec<u8>>>,
    ends_with_newline: Vec<bool>,
    sharded: Vec<bool>,
    /// The sources of each sink.
    sinks: Vec<Vec<usize>>,
    quits: Vec<bool>,
}

fn shape(dice: &mut Dice) -> Shape {
    let sources: Vec<_> = (0..1 + dice.below(4) as usize).map(|n| lines_of(n, dice)).collect();
    let count = 1 + dice.below(5) as usize;
    let mut sinks = vec![Vec::new(); count];
    for source in 0..sources.len() {
        for sink in &mut sinks {
            if dice.one_in(2) {
                sink.push(source);
            }
        }
        if sinks.iter().all(|sink| !sink.contains(&source)) {
            sinks[dice.below(count as u64) as usize].push(source);
        }
    }
    sinks.retain(|sink| !sink.is_empty());
    Shape {
        ends_with_newline: sources.iter().map(|_| dice.one_in(2)).collect(),
        sharded: sources.iter().map(|_| dice.one_in(3)).collect(),
        quits: sinks.iter().map(|_| dice.one_in(8)).collect(),
        sources,
        sinks,
    }
}

/// Reads to the end, or quits in the midst of it.
fn consume(from: OwnedFd, mut dice: Dice, quits: bool) -> Vec<u8> {
    let mut from = File::from(from);
    let mut all = Vec::new();
    let mut buffer = vec![0; 1 + dice.below(200_000) as usize];
    loop {
        if dice.one_in(50) {
            thread::yield_now();
        }
        if quits && all.len() > 100_000 {
            return all;
        }
        match from.read(&mut buffer).unwrap() {
            0 => return all,
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

fn try_one(seed: u64) {
    let mut dice = Dice(seed);
    let shape = shape(&mut dice);
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::new();
    let quota = Quota::new([0, 300_000, 1 << 30][dice.below(3) as usize]);
    relay.spill(Spill::new(folder.path().to_owned(), Arc::clone(&quota)));
    let mut writes = Vec::new();
    let sources: Vec<_> = (0..shape.sources.len())
        .map(|source| {
            let from = pipe().unwrap();
            writes.push(from.write);
            let id = relay.source(from.read).unwrap();
            if shape.sharded[source] {
                relay.set_delivery(id, Delivery::Shard);
            }
            id
        })
        .collect();
    let mut readers = Vec::new();
    for (place, of) in shape.sinks.iter().enumerate() {
        let to = pipe().unwrap();
        let sink = relay.sink(to.write).unwrap();
        of.iter().for_each(|source| relay.connect(sources[*source], sink));
        let (dice, quits) = (Dice(seed ^ place as u64), shape.quits[place]);
        readers.push(thread::spawn(move || consume(to.read, dice, quits)));
    }
    let control = relay.control().unwrap();
    let relay = run(relay);
    let look = pipe().unwrap();
    if dice.one_in(2) {
        control.tap(&sources, Sampling::Every(1 + dice.below(20)), look.write);
        thread::spawn(move || drop(reader(look.read).join()));
    }
    for (source, write) in writes.into_iter().enumerate() {
        let mut text = shape.sources[source].join(&b'\n');
        if shape.ends_with_newline[source] {
            text.push(b'\n');
        }
        let piece = 1 + dice.below(100_000) as usize;
        thread::spawn(move || {
            let mut write = File::from(write);
            // The end is early where all its readers quit.
            text.chunks(piece).all(|piece| write.write_all(piece).is_ok())
        });
    }
    let got: Vec<Vec<u8>> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    relay.join().unwrap();
    assert_eq!(quota.used(), 0);
    check(&shape, &got);
}

fn check(shape: &Shape, got: &[Vec<u8>]) {
    let mut sharded: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
    for (sink, bytes) in got.iter().enumerate() {
        if shape.quits[sink] {
            continue;
        }
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let mut found: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            found.entry(usize::from(line[0] - b'0')).or_default().push(line.to_vec());
        }
        for &source in &shape.sinks[sink] {
            let lines = found.remove(&source).unwrap_or_default();
            if shape.sharded[source] {
                sharded.entry(source).or_default().extend(lines);
            } else {
                assert!(lines == shape.sources[source], "sink {sink} of source {source}");
            }
        }
        assert!(found.is_empty(), "sink {sink} got what is not for it");
        if let [source] = shape.sinks[sink][..]
            && !shape.sharded[source]
        {
            let newline = bytes.ends_with(b"\n");
            assert_eq!(newline, shape.ends_with_newline[source], "the end of sink {sink}");
        }
    }
    for (source, mut lines) in sharded {
        let number = |line: &Vec<u8>| {
            let text = String::from_utf8_lossy(line);
            text.split(':').nth(1).and_then(|number| number.parse::<usize>().ok()).unwrap()
        };
        lines.sort_by_key(number);
        lines.dedup();
        let all_stayed =
            (0..got.len()).all(|sink| !shape.sinks[sink].contains(&source) || !shape.quits[sink]);
        if all_stayed {
            assert!(lines == shape.sources[source], "shards of source {source}");
        } else {
            let known = |line: &Vec<u8>| shape.sources[source].get(number(line)) == Some(line);
            assert!(lines.iter().all(known), "a damaged shard of source {source}");
        }
    }
}

#[test]
fn any_shape_carries_every_line_and_ends() {
    for seed in 0..rounds() {
        let (done, ended) = mpsc::channel();
        let one = thread::spawn(move || {
            try_one(seed);
            let _ = done.send(());
        });
        let begun = Instant::now();
        match ended.recv_timeout(Duration::from_secs(60)) {
            Ok(()) => {}
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("seed {seed} hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                panic!("seed {seed} fails after {:?}: {:?}", begun.elapsed(), one.join().is_err())
            }
        }
    }
}

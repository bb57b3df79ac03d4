//! A relay between threads that write and read.

mod control;
mod random;
mod shards;
mod stalls;

use super::*;
use crate::fifo::{Pipe, pipe};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::thread;

/// A relay from one source to `sinks`, and what their tasks have of them.
fn forked(sinks: usize) -> (Relay, File, Vec<OwnedFd>) {
    let Pipe { read, write } = pipe().unwrap();
    let mut relay = Relay::new();
    let source = relay.source(read).unwrap();
    let reads = (0..sinks)
        .map(|_| {
            let out = pipe().unwrap();
            let sink = relay.sink(out.write).unwrap();
            relay.connect(source, sink);
            out.read
        })
        .collect();
    (relay, write.into(), reads)
}

/// A relay that merges two sources.
fn merged() -> (Relay, [File; 2], OwnedFd) {
    let [a, b, out] = [(); 3].map(|()| pipe().unwrap());
    let mut relay = Relay::new();
    let sources = [a.read, b.read].map(|read| relay.source(read).unwrap());
    let sink = relay.sink(out.write).unwrap();
    sources.iter().for_each(|source| relay.connect(*source, sink));
    (relay, [a.write, b.write].map(File::from), out.read)
}

fn reader(from: OwnedFd) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        File::from(from).read_to_end(&mut all).unwrap();
        all
    })
}

fn run(relay: Relay) -> thread::JoinHandle<Vec<Event>> {
    thread::spawn(move || {
        let stop = pipe().unwrap();
        let mut events = Vec::new();
        relay.run(&stop.read, |event| events.push(event)).unwrap();
        events
    })
}

/// Pseudo-random bytes without newlines, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        b'a' + ((state >> 33) % 26) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn every_consumer_gets_every_byte() {
    let (relay, mut write, reads) = forked(4);
    let readers: Vec<_> = reads.into_iter().map(reader).collect();
    let relay = run(relay);
    let sent = noise(1, 5_000_000);
    write.write_all(&sent).unwrap();
    drop(write);
    for reader in readers {
        assert!(reader.join().unwrap() == sent);
    }
    assert!(matches!(
        relay.join().unwrap()[..],
        [Event::Closed(SourceId(0)), Event::Drained(SourceId(0))]
    ));
}

#[test]
fn a_slow_consumer_does_not_hide_that_the_producer_has_left() {
    let Pipe { read, write } = pipe().unwrap();
    let mut relay = Relay::new();
    let source = relay.source(read).unwrap();
    let out = pipe().unwrap();
    let sink = relay.sink(out.write).unwrap();
    relay.connect(source, sink);
    let (news, heard) = std::sync::mpsc::channel();
    let stop = pipe().unwrap();
    let relay = thread::spawn(move || {
        relay.run(&stop.read, |event| news.send(format!("{event:?}")).unwrap()).unwrap();
    });
    // As much as both pipes hold: nobody reads a byte of it yet.
    let mut sent = Vec::new();
    let mut writer = File::from(write);
    while sent.len() < 1_900_000 {
        let piece = noise(sent.len() as u64, 50_000);
        writer.write_all(&piece).unwrap();
        sent.extend(piece);
    }
    drop(writer);
    assert_eq!(heard.recv().unwrap(), "Closed(SourceId(0))");
    assert!(reader(out.read).join().unwrap() == sent);
    assert_eq!(heard.recv().unwrap(), "Drained(SourceId(0))");
    relay.join().unwrap();
}

#[test]
fn a_consumer_that_leaves_holds_up_nobody() {
    let Pipe { read, write } = pipe().unwrap();
    let mut relay = Relay::new();
    let source = relay.source(read).unwrap();
    let (stays, leaves) = (pipe().unwrap(), pipe().unwrap());
    for to in [stays.write, leaves.write] {
        let sink = relay.sink(to).unwrap();
        relay.connect(source, sink);
    }
    let stays = reader(stays.read);
    let relay = run(relay);
    let sent = noise(2, 4_000_000);
    let mut writer = File::from(write);
    writer.write_all(&sent[..100_000]).unwrap();
    drop(leaves.read);
    writer.write_all(&sent[100_000..]).unwrap();
    drop(writer);
    assert!(stays.join().unwrap() == sent);
    assert!(relay.join().unwrap().iter().any(|event| matches!(event, Event::Gone(SinkId(1)))));
}

#[test]
fn the_producer_learns_that_all_have_left_even_while_it_says_nothing() {
    let Pipe { read, write } = pipe().unwrap();
    let mut relay = Relay::new();
    let source = relay.source(read).unwrap();
    let outs = [pipe().unwrap(), pipe().unwrap()];
    let outs = outs.map(|out| {
        let sink = relay.sink(out.write).unwrap();
        relay.connect(source, sink);
        out.read
    });
    let relay = run(relay);
    drop(outs);
    let events = relay.join().unwrap();
    assert!(matches!(events.last(), Some(Event::Drained(_))), "{events:?}");
    let error = File::from(write).write_all(b"x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn producers_are_merged_by_whole_lines_whatever_their_length() {
    const LENGTHS: [usize; 6] = [1, 100, 4096, 70_000, 1_000_000, 3_000_000];
    let mut relay = Relay::new();
    let out = pipe().unwrap();
    let sink = relay.sink(out.write).unwrap();
    let mut expected: HashMap<u8, Vec<Vec<u8>>> = HashMap::new();
    let mut writers = Vec::new();
    for name in b'0'..b'6' {
        let Pipe { read, write } = pipe().unwrap();
        let source = relay.source(read).unwrap();
        relay.connect(source, sink);
        let lines: Vec<Vec<u8>> = (0..12)
            .map(|n| {
                let seed = u64::from(name) * 1000 + n;
                let length = LENGTHS[(seed % LENGTHS.len() as u64) as usize];
                [&[name], &noise(seed, length)[..]].concat()
            })
            .collect();
        // The last line has no newline: it must not run into somebody else's.
        let text = lines.join(&b'\n');
        expected.insert(name, lines);
        writers.push(thread::spawn(move || {
            let mut write = File::from(write);
            for piece in text.chunks(50_000) {
                write.write_all(piece).unwrap();
            }
        }));
    }
    let relay = run(relay);
    let mut found: HashMap<u8, Vec<Vec<u8>>> = HashMap::new();
    for line in BufReader::new(File::from(out.read)).split(b'\n') {
        let line = line.unwrap();
        found.entry(line[0]).or_default().push(line);
    }
    assert!(found == expected);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(relay.join().unwrap().len(), 12);
}

#[test]
fn a_full_disk_is_reported_and_frees_the_producer() {
    let Pipe { read, write } = pipe().unwrap();
    let mut relay = Relay::new();
    let source = relay.source(read).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let sink = relay.sink(full.into()).unwrap();
    relay.connect(source, sink);
    let relay = run(relay);
    let _ = File::from(write).write_all(&noise(3, 3_000_000));
    let events = relay.join().unwrap();
    let failed = events.iter().find_map(|event| match event {
        Event::Failed(_, error) => Some(error.kind()),
        _ => None,
    });
    assert_eq!(failed, Some(ErrorKind::Full));
}

#[test]
fn why_nobody_reads_is_told_before_the_producer_can_know() {
    let Pipe { read, write } = pipe().unwrap();
    let mut relay = Relay::new();
    let source = relay.source(read).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let sink = relay.sink(full.into()).unwrap();
    relay.connect(source, sink);
    File::from(write.try_clone().unwrap()).write_all(b"x").unwrap();
    let (stop, mut told) = (pipe().unwrap(), Vec::new());
    let hears = |event| {
        let mut fds = [PollFd::new(&write, PollFlags::empty())];
        let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        told.push((matches!(event, Event::Failed(..)), fds[0].revents()));
    };
    relay.run(&stop.read, hears).unwrap();
    assert_eq!(told[0], (true, PollFlags::empty()));
    assert_eq!(told[1..], [(false, PollFlags::ERR); 2]);
}

#[test]
fn it_stops_when_told_although_somebody_still_writes() {
    let Pipe { read, write: _keeper } = pipe().unwrap();
    let mut relay = Relay::new();
    let source = relay.source(read).unwrap();
    let out = pipe().unwrap();
    let sink = relay.sink(out.write).unwrap();
    relay.connect(source, sink);
    let Pipe { read: stop, write: stopper } = pipe().unwrap();
    let relay = thread::spawn(move || relay.run(&stop, |_| {}));
    drop(stopper);
    relay.join().unwrap().unwrap();
}

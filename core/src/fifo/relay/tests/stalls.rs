//! Streams that wait for each other.

use super::*;
use std::sync::mpsc;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(30);

/// One source, two sinks and a quota; events go to the receiver.
struct Fork {
    write: File,
    reads: [OwnedFd; 2],
    control: Control,
    events: mpsc::Receiver<Event>,
    relay: thread::JoinHandle<()>,
    quota: std::sync::Arc<Quota>,
    _stop: Pipe,
    _folder: tempfile::TempDir,
}

fn fork(quota: u64) -> Fork {
    let folder = tempfile::tempdir().unwrap();
    let quota = Quota::new(quota);
    let (mut relay, write, reads) = forked(2);
    relay.spill(Spill::new(folder.path().to_owned(), std::sync::Arc::clone(&quota)));
    let control = relay.control().unwrap();
    let (news, events) = mpsc::channel();
    let stop = pipe().unwrap();
    let watched = stop.read.try_clone().unwrap();
    let relay = thread::spawn(move || {
        let _ = relay.run(&watched, |event| drop(news.send(event)));
    });
    let reads = reads.try_into().unwrap();
    Fork { write, reads, control, events, relay, quota, _stop: stop, _folder: folder }
}

#[test]
fn a_consumer_that_waits_for_its_sibling_stops_nobody() {
    let fork = fork(64 << 20);
    let sent = noise(5, 30_000_000);
    let [first, second] = fork.reads;
    let first = reader(first);
    let (mut write, bytes) = (fork.write, sent.clone());
    let writer = thread::spawn(move || write.write_all(&bytes).unwrap());
    // The second reads nothing before the first has read all.
    assert!(first.join().unwrap() == sent);
    writer.join().unwrap();
    let event = fork.events.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(event, Event::Spilling(SourceId(0), SinkId(1))), "{event:?}");
    let edges = fork.control.edges();
    assert!(edges[1].spilled > 20_000_000 && edges[1].motion == Motion::Full, "{edges:?}");
    assert!(fork.quota.used() >= edges[1].spilled);
    assert!(reader(second).join().unwrap() == sent);
    fork.relay.join().unwrap();
    assert_eq!(fork.quota.used(), 0);
}

#[test]
fn a_consumer_that_somebody_waits_for_elsewhere_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (mut relay, mut write, mut reads) = forked(1);
    relay.spill(Spill::new(folder.path().to_owned(), Quota::new(64 << 20)));
    relay.control().unwrap().set_waited_for(true);
    let relay = run(relay);
    let sent = noise(6, 10_000_000);
    write.write_all(&sent).unwrap();
    drop(write);
    assert!(reader(reads.remove(0)).join().unwrap() == sent);
    assert!(matches!(relay.join().unwrap()[0], Event::Spilling(..)));
}

#[test]
fn a_stall_beyond_the_quota_is_reported_and_ends_when_somebody_reads() {
    let fork = fork(3 << 20);
    let sent = noise(7, 20_000_000);
    let [first, second] = fork.reads;
    let first = reader(first);
    let (mut write, bytes) = (fork.write, sent.clone());
    let writer = thread::spawn(move || write.write_all(&bytes).unwrap());
    let spilling = fork.events.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(spilling, Event::Spilling(..)), "{spilling:?}");
    let event = fork.events.recv_timeout(DEADLINE).unwrap();
    let Event::Stalled(stall) = event else { panic!("{event:?}") };
    assert_eq!(stall.full, [(SourceId(0), SinkId(1))]);
    assert_eq!(stall.starved, [(SourceId(0), SinkId(0))]);
    assert_eq!(fork.quota.used(), 3 << 20);
    assert!(reader(second).join().unwrap() == sent);
    assert!(first.join().unwrap() == sent);
    writer.join().unwrap();
    fork.relay.join().unwrap();
}

#[test]
fn a_long_line_of_a_diamond_does_not_stop_it() {
    // s feeds a and b, j merges them. The line of a is longer than the relay's memory, so j has
    // to wait for its end while b, whose turn it is not, takes nothing more from s.
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::new();
    relay.spill(Spill::new(folder.path().to_owned(), Quota::new(64 << 20)));
    let [s, a, b] = [(); 3].map(|()| pipe().unwrap());
    let [a_in, b_in, j_in] = [(); 3].map(|()| pipe().unwrap());
    let sources = [s.read, a.read, b.read].map(|read| relay.source(read).unwrap());
    let sinks = [a_in.write, b_in.write, j_in.write].map(|write| relay.sink(write).unwrap());
    for (source, sink) in [(0, 0), (0, 1), (1, 2), (2, 2)] {
        relay.connect(sources[source], sinks[sink]);
    }
    let relay = run(relay);
    let copy = |from: OwnedFd, to: OwnedFd, ends: &'static [u8]| {
        thread::spawn(move || {
            let (mut from, mut to) = (File::from(from), File::from(to));
            let mut buffer = vec![0; 64 << 10];
            loop {
                let count = from.read(&mut buffer).unwrap();
                if count == 0 {
                    return to.write_all(ends).unwrap();
                }
                // Lines of b are short, a's only one is as long as all of the stream.
                buffer[..count].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| {
                    if !ends.is_empty() {
                        *byte = b' ';
                    }
                });
                to.write_all(&buffer[..count]).unwrap();
            }
        })
    };
    let tasks = [copy(a_in.read, a.write, b"\n"), copy(b_in.read, b.write, b"")];
    let out = reader(j_in.read);
    let mut write = File::from(s.write);
    let line = [&noise(8, 99)[..], b"\n"].concat();
    for _ in 0..80_000 {
        write.write_all(&line).unwrap();
    }
    drop(write);
    let out = out.join().unwrap();
    assert_eq!(out.len(), 2 * 8_000_000 + 1);
    let mut lengths: Vec<usize> = out.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths.len(), 80_002);
    assert_eq!((lengths[1], lengths[80_000], lengths[80_001]), (99, 99, 8_000_000));
    tasks.into_iter().for_each(|task| task.join().unwrap());
    relay.join().unwrap();
}

/// Moves what moves until `done`, and looks then as if nothing had moved for long.
fn look_long_after(mut relay: Relay, done: impl Fn(&Relay) -> bool) -> Option<Stall> {
    let (mut watch, stop, begin) = (Watch::new(), pipe().unwrap(), Instant::now());
    relay.prepare();
    while !done(&relay) {
        assert!(begin.elapsed() < DEADLINE);
        if relay.turn() {
            watch.moved(Instant::now());
        } else {
            relay.look(&mut watch, Instant::now(), &mut |_| {});
            relay.wait(&stop.read, Some(Duration::from_millis(5))).unwrap();
        }
    }
    let long = Instant::now() + Duration::from_secs(60);
    watch.look(long, &relay.sources, &relay.sinks, relay.spill.as_ref()).stall
}

#[test]
fn a_producer_with_nothing_more_to_say_is_held_up_by_nobody() {
    let Pipe { read, write } = pipe().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Relay::new();
    relay.spill(Spill::new(folder.path().to_owned(), Quota::new(64 << 20)));
    let source = relay.source(read).unwrap();
    let [first, _second] = [(); 2].map(|()| {
        let out = pipe().unwrap();
        let sink = relay.sink(out.write).unwrap();
        relay.connect(source, sink);
        out.read
    });
    relay.control().unwrap().set_waited_for(true);
    let (sent, mut writer) = (noise(9, 5_000_000), File::from(write.try_clone().unwrap()));
    let writer = thread::spawn(move || writer.write_all(&sent).unwrap());
    let first = reader(first);
    let stall = look_long_after(relay, |relay| {
        relay.sinks[0].edges[0].bytes == 5_000_000 && relay.sinks[0].waiting() == 0
    });
    assert_eq!(stall, None);
    writer.join().unwrap();
    drop((write, first));
}

#[test]
fn a_slow_step_that_others_share_is_no_stall() {
    let [from, slow, idle] = [(); 3].map(|()| pipe().unwrap());
    let mut relay = Relay::new();
    let source = relay.source(from.read).unwrap();
    for to in [slow.write, idle.write] {
        let sink = relay.sink(to).unwrap();
        relay.connect(source, sink);
    }
    relay.set_delivery(source, Delivery::Shard);
    // The first takes no more of its record than its pipe holds.
    let line = [&noise(10, 20_000)[..], b"\n"].concat();
    File::from(from.write.try_clone().unwrap()).write_all(&line.repeat(2)).unwrap();
    let idle = reader(idle.read);
    let stall = look_long_after(relay, |relay| {
        relay.sinks[1].edges[0].bytes == line.len() as u64 && relay.sinks[1].waiting() == 0
    });
    assert_eq!(stall, None);
    assert_eq!(idle.join().unwrap(), line);
    drop((from.write, slow.read));
}

#[test]
fn who_waits_for_its_turn_may_write_on_where_somebody_waits_for_it() {
    // The reader takes all there is; what holds up b is the line that a has begun.
    let folder = tempfile::tempdir().unwrap();
    let (mut relay, [mut a, mut b], out) = merged();
    relay.spill(Spill::new(folder.path().to_owned(), Quota::new(64 << 20)));
    relay.control().unwrap().set_waited_for(true);
    let relay = run(relay);
    let out = reader(out);
    a.write_all(&noise(11, 3_000_000)).unwrap();
    let (done, written) = mpsc::channel();
    thread::spawn(move || {
        let line = [&noise(12, 999)[..], b"\n"].concat();
        done.send(b.write_all(&line.repeat(9_000))).unwrap();
    });
    written.recv_timeout(DEADLINE).unwrap().unwrap();
    a.write_all(b"\n").unwrap();
    drop(a);
    let out = out.join().unwrap();
    let mut lengths: Vec<usize> = out.split(|byte| *byte == b'\n').map(<[u8]>::len).collect();
    lengths.sort_unstable();
    assert_eq!((lengths.len(), lengths[9_000], lengths[9_001]), (9_002, 999, 3_000_000));
    relay.join().unwrap();
}

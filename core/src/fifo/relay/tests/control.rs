//! What other threads ask of a relay that runs.

use super::*;

/// One source and sinks, with a hold on it; it ends when the pipe does.
fn held(sinks: usize) -> (File, Vec<OwnedFd>, Control, thread::JoinHandle<()>, Pipe) {
    let (mut relay, write, reads) = forked(sinks);
    let control = relay.control().unwrap();
    let stop = pipe().unwrap();
    let watched = stop.read.try_clone().unwrap();
    let relay = thread::spawn(move || relay.run(&watched, |_| {}).unwrap());
    (write, reads, control, relay, stop)
}

fn lines(from: OwnedFd) -> impl Iterator<Item = String> {
    BufReader::new(File::from(from)).lines().map(std::result::Result::unwrap)
}

#[test]
fn a_failed_producer_ends_only_those_who_are_told() {
    let (mut write, mut reads, control, relay, stop) = held(2);
    write.write_all(b"half of it").unwrap();
    let untold = File::from(reads.pop().unwrap());
    let told = reader(reads.pop().unwrap());
    // The writing end stays open all the while, as otto-run's keeper does.
    control.fail(SourceId(0), &[SinkId(0)]);
    assert_eq!(told.join().unwrap(), b"half of it");
    let mut buffer = [0; 64];
    assert_eq!((&untold).read(&mut buffer).unwrap(), 10);
    let mut fds = [PollFd::new(&untold, PollFlags::IN)];
    let soon = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    assert_eq!(poll(&mut fds, Some(&soon)).unwrap(), 0, "an end is seen");
    assert!(!relay.is_finished());
    drop(stop.write);
    relay.join().unwrap();
    drop(write);
}

#[test]
fn a_merged_stream_ends_for_who_is_told_after_what_the_failed_one_wrote() {
    let (mut relay, [mut a, b], out) = merged();
    let control = relay.control().unwrap();
    let relay = run(relay);
    a.write_all(b"of a\ntorn").unwrap();
    control.fail(SourceId(0), &[SinkId(0)]);
    // b lives and says nothing.
    let got = String::from_utf8(reader(out).join().unwrap()).unwrap();
    assert_eq!(got, "of a\n");
    drop(b);
    relay.join().unwrap();
}

#[test]
fn half_a_record_of_a_failed_producer_is_no_record_of_a_merged_stream() {
    let (mut relay, [mut a, mut b], out) = merged();
    let control = relay.control().unwrap();
    let stop = pipe().unwrap();
    let watched = stop.read.try_clone().unwrap();
    let relay = thread::spawn(move || relay.run(&watched, |_| {}).unwrap());
    a.write_all(b"of a\ntorn").unwrap();
    let mut out = BufReader::new(File::from(out));
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    control.fail(SourceId(0), &[]);
    // Asked behind that, answered after it.
    assert_eq!(control.edges().len(), 2);
    b.write_all(b"of b\n").unwrap();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "of a\nof b\n");
    drop(stop.write);
    relay.join().unwrap();
}

#[test]
fn states_tell_who_waits_and_how_much_is_queued() {
    let (mut write, reads, control, relay, _stop) = held(1);
    let until = |wanted: &dyn Fn(&EdgeState) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let edge = control.edges().remove(0);
            if wanted(&edge) {
                return edge;
            }
            assert!(Instant::now() < deadline, "{edge:?}");
        }
    };
    until(&|edge| edge.motion == Motion::Starved && edge.queued == 0);
    let writer = thread::spawn(move || write.write_all(&noise(9, 3_000_000)).unwrap());
    let full = until(&|edge| edge.motion == Motion::Full && edge.queued == 2 << 20);
    assert_eq!(full.records, None);
    assert_eq!(reader(reads.into_iter().next().unwrap()).join().unwrap().len(), 3_000_000);
    writer.join().unwrap();
    relay.join().unwrap();
    let ended = control.edges().remove(0);
    assert_eq!((ended.bytes, ended.queued, ended.motion), (3_000_000, 0, Motion::Ended));
}

#[test]
fn records_are_counted_where_they_are_seen() {
    let (mut relay, [mut a, mut b], _out) = merged();
    let control = relay.control().unwrap();
    a.write_all(b"1\n2\n3").unwrap();
    b.write_all(b"4\n").unwrap();
    drop((a, b));
    run(relay).join().unwrap();
    let records: Vec<_> = control.edges().into_iter().map(|edge| edge.records).collect();
    assert_eq!(records, [Some(3), Some(1)]);
}

#[test]
fn every_nth_record_while_the_stream_goes_on() {
    let (mut write, reads, control, relay, _stop) = held(1);
    let out = reader(reads.into_iter().next().unwrap());
    let look = pipe().unwrap();
    control.tap(&[SourceId(0)], Sampling::Every(10), look.write);
    // Answered after the tap was set: from here on it sees all.
    assert_eq!(control.edges().len(), 1);
    for n in 1..=1000 {
        writeln!(write, "{n}").unwrap();
    }
    drop(write);
    let seen: Vec<String> = lines(look.read).collect();
    let expected: Vec<String> = (1..=100).map(|n| (n * 10).to_string()).collect();
    assert_eq!(seen, expected);
    assert_eq!(out.join().unwrap().iter().filter(|byte| **byte == b'\n').count(), 1000);
    relay.join().unwrap();
}

#[test]
fn the_last_few_on_their_way_stay_on_their_way() {
    let (mut write, reads, control, relay, _stop) = held(2);
    let text: String = (0..200_000).map(|n| format!("{n}\n")).collect();
    write.write_all(text.as_bytes()).unwrap();
    let look = pipe().unwrap();
    control.tap(&[SourceId(0)], Sampling::Last(3), look.write);
    assert_eq!(lines(look.read).collect::<Vec<_>>(), ["199997", "199998", "199999"]);
    drop(write);
    for read in reads.into_iter().map(reader).collect::<Vec<_>>() {
        assert_eq!(read.join().unwrap().iter().filter(|byte| **byte == b'\n').count(), 200_000);
    }
    relay.join().unwrap();
}

#[test]
fn who_looks_and_does_not_read_holds_up_nobody() {
    let (mut write, reads, control, relay, _stop) = held(1);
    let out = reader(reads.into_iter().next().unwrap());
    let look = pipe().unwrap();
    control.tap(&[SourceId(0)], Sampling::Every(1), look.write);
    let line = [&noise(10, 999)[..], b"\n"].concat();
    for _ in 0..10_000 {
        write.write_all(&line).unwrap();
    }
    drop(write);
    assert_eq!(out.join().unwrap().len(), 10_000_000);
    drop(look.read);
    relay.join().unwrap();
}

#[test]
fn a_consumer_that_left_is_left_although_somebody_has_its_pipe_open() {
    let (mut write, reads, control, relay, _stop) = held(1);
    let writer = thread::spawn(move || write.write_all(&noise(1, 5_000_000)).unwrap_err());
    control.leave(SinkId(0));
    assert_eq!(writer.join().unwrap().kind(), std::io::ErrorKind::BrokenPipe);
    relay.join().unwrap();
    drop(reads);
}

#[test]
fn a_hold_on_a_relay_that_has_ended_holds_no_descriptor() {
    let (write, _reads, control, relay, _stop) = held(1);
    drop(write);
    relay.join().unwrap();
    assert!(!control.has_descriptor());
    assert_eq!(control.edges()[0].motion, Motion::Ended);
}

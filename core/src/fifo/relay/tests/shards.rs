//! One of several sinks for each record.

use super::*;

/// A relay of one sharded source, its reading ends.
fn sharded(sinks: usize) -> (Relay, File, Vec<OwnedFd>) {
    let (mut relay, write, reads) = forked(sinks);
    relay.set_delivery(SourceId(0), Delivery::Shard);
    (relay, write, reads)
}

#[test]
fn every_record_reaches_one_sink_whole() {
    let (relay, mut write, reads) = sharded(4);
    let readers: Vec<_> = reads.into_iter().map(reader).collect();
    let relay = run(relay);
    // Among them some that neither a page nor the relay's memory holds.
    let lengths = [1, 20, 300, 5000, 1_500_000, 70_000, 3];
    let lines: Vec<Vec<u8>> =
        (0..300).map(|n| noise(n, lengths[n as usize % 61 % lengths.len()])).collect();
    // The last has no newline.
    write.write_all(&lines.join(&b'\n')).unwrap();
    drop(write);
    let got: Vec<Vec<u8>> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert!(got.iter().all(|bytes| !bytes.is_empty()), "somebody got nothing");
    let mut found: Vec<Vec<u8>> = Vec::new();
    for bytes in got {
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        found.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    }
    let mut lines = lines;
    lines.sort();
    found.sort();
    assert!(found == lines);
    relay.join().unwrap();
}

#[test]
fn the_idle_one_gets_the_next() {
    let (relay, mut write, reads) = sharded(3);
    let relay = run(relay);
    let mut reads: Vec<_> =
        reads.into_iter().map(|read| BufReader::new(File::from(read))).collect();
    let mut line = String::new();
    // One record for each at first; then only the second takes any.
    for n in 0..50 {
        writeln!(write, "{n}").unwrap();
    }
    for expected in ["1", "3", "4", "5", "6"] {
        line.clear();
        reads[1].read_line(&mut line).unwrap();
        assert_eq!(line.trim(), expected);
    }
    drop(write);
    for (place, first) in [(0, "0"), (2, "2")] {
        line.clear();
        reads[place].read_line(&mut line).unwrap();
        assert_eq!(line.trim(), first);
    }
    let rest: Vec<_> = reads.into_iter().map(|read| reader(read.into_inner().into())).collect();
    rest.into_iter().for_each(|reader| drop(reader.join().unwrap()));
    relay.join().unwrap();
}

#[test]
fn a_record_half_written_to_one_that_goes_is_handed_to_another() {
    let (relay, mut write, reads) = sharded(2);
    let relay = run(relay);
    // Longer than a page: the first gets a part of it.
    let record = noise(1, 20_000);
    write.write_all(&[&record[..], b"\n"].concat()).unwrap();
    let mut reads = reads.into_iter().map(File::from);
    let (mut first, second) = (reads.next().unwrap(), reads.next().unwrap());
    first.read_exact(&mut [0; 100]).unwrap();
    drop(first);
    let second = reader(second.into());
    drop(write);
    assert!(second.join().unwrap() == [&record[..], b"\n"].concat());
    assert!(relay.join().unwrap().iter().any(|event| matches!(event, Event::Gone(SinkId(0)))));
}

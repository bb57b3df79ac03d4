//! Progress by lines in a FIFO.

use crate::wire::{DEADLINE, Serving, frame};
use otto_core::progress::Record;
use otto_core::socket::Options;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

/// A writer of the kind that a shell's `1<>` opens.
fn writer(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn report(fifo: &TempDir, line: &str) {
    writer(&fifo.path().join("progress")).write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// A server that has just read a report, `a` 1 of 9, and so lets the FIFO rest; the FIFO's folder
/// and what is told.
fn resting() -> (Serving, TempDir, Receiver<Record>) {
    let folder = tempfile::tempdir().unwrap();
    let (told, records) = channel();
    let serving = Serving::with(Options {
        progress_fifo: Some(folder.path().join("progress")),
        on_progress: Some(Box::new(move |record| told.send(record).unwrap())),
        ..Options::default()
    });
    report(&folder, "a\t\t1\t9\t");
    assert_eq!(records.recv_timeout(DEADLINE).unwrap().current, 1.0);
    (serving, folder, records)
}

#[test]
fn a_bars_last_line_is_always_told() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("progress");
    let (told, records) = channel();
    let serving = Serving::with(Options {
        progress_fifo: Some(fifo.clone()),
        on_progress: Some(Box::new(move |record| told.send(record).unwrap())),
        ..Options::default()
    });
    let count = 100_000;
    let writers: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|task| {
            let fifo = fifo.clone();
            std::thread::spawn(move || {
                for n in 1..=count {
                    let line = format!("{task}\t\t{n}\t-\tmessage {n}\n");
                    writer(&fifo).write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    let (mut last, mut told) = (std::collections::BTreeMap::new(), 0);
    while last.values().filter(|current| **current == f64::from(count)).count() < 2 {
        let record = records.recv_timeout(DEADLINE).unwrap();
        assert_eq!(record.message, format!("message {}", record.current));
        let before = last.insert(record.task, record.current).unwrap_or_default();
        assert!(before < record.current);
        told += 1;
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert!(told < count, "{told} of {count} were told one by one");
    assert!(serving.wire().ask("STATS").contains(r#""task":"a""#));
    drop(serving);
    assert!(!fifo.exists());
}

#[test]
fn what_was_reported_before_the_servers_end_is_told() {
    for _ in 0..20 {
        let (serving, folder, records) = resting();
        report(&folder, "a\t\t2\t9\tlast");
        drop(serving);
        assert_eq!(records.try_iter().map(|r| r.current).collect::<Vec<_>>(), [2.0]);
    }
}

/// Who waits for the end gets what was reported up to then, in both dialects.
#[test]
fn the_last_figures_come_at_the_servers_end() {
    let (serving, folder, records) = resting();
    let (mut text, mut binary, mut gone) = (serving.wire(), serving.wire(), serving.wire());
    text.send("STATS end\n");
    binary.send(frame(0x19, b""));
    gone.send("STATS end\n");
    serving.until("clients", 4);
    drop(gone);
    serving.until("clients", 3);
    text.silent();
    assert_eq!(serving.wire().ask_frame(0x19, b"x").0, 1);
    assert!(serving.wire().ask("STATS at").starts_with("ERROR: "));
    report(&folder, "a\t\t2\t9\t");
    drop(serving);
    assert_eq!(records.try_iter().last().unwrap().current, 2.0);
    let line = text.line();
    assert!(line.contains("\"current\":2"), "{line}");
    assert_eq!(binary.frame(), (0, line.into_bytes()));
    assert!(text.rest().is_empty() && binary.rest().is_empty());
}

/// A report over the socket follows what was written into the FIFO before it.
#[test]
fn reports_of_both_ways_are_told_in_their_order() {
    for _ in 0..20 {
        let (serving, folder, records) = resting();
        report(&folder, "a\t\t2\t9\t");
        let record = br#"{"task":"a","current":3,"total":9}"#;
        assert_eq!(serving.wire().ask_frame(0x0c, record), (0, Vec::new()));
        assert!(serving.wire().ask("STATS").contains("\"current\":3"));
        // Nor do figures lag behind the FIFO.
        report(&folder, "a\t\t4\t9\t");
        assert!(serving.wire().ask("STATS").contains("\"current\":4"));
        drop(serving);
        assert_eq!(records.try_iter().map(|r| r.current).collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
    }
}

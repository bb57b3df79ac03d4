//! Progress by lines in a FIFO.

use crate::wire::{DEADLINE, Serving};
use otto_core::socket::Options;
use std::fs::File;
use std::io::Write;
use std::sync::mpsc::channel;

/// A writer of the kind that a shell's `1<>` opens.
fn writer(path: &std::path::Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
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

//! Many at once: who makes a document, and whose change is kept.

use crate::roles::{Report, assigned, figures, scaled, start};
use crate::{own_run, task};
use otto_core::region::{Document, DocumentStore, SIZE_DEFAULT};
use otto_core::run::RunId;
use otto_core::{Json, Key, Values};
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// Adds `count` ones to `t.count` in the documents of the run that its place names.
#[test]
fn role_document_counter() {
    let Some((run, count)) = assigned("races::role_document_counter") else { return };
    let run = RunId::parse(run.to_str().unwrap()).unwrap();
    let mut store = DocumentStore::open(run);
    for _ in 0..count {
        store.increment(&Key::parse("t.count").unwrap(), 1).unwrap();
    }
}

#[test]
fn eight_processes_lose_no_update_and_make_one_document() {
    let own = own_run();
    let count = scaled(50, 1000);
    let place = own.run.id().to_string();
    // Nobody has made the document: all eight try to.
    let counters: Vec<_> =
        (0..8).map(|_| start("races::role_document_counter", Path::new(&place), count)).collect();
    for mut counter in counters {
        assert!(counter.wait().unwrap().success());
    }
    let mut store = DocumentStore::open(own.run.id());
    let total = store.get(&Key::parse("t.count").unwrap()).unwrap().unwrap();
    assert_eq!(total, Json::number(8 * count as i64));
}

/// One key of a megabyte, which readers find whole meanwhile.
#[test]
fn eight_processes_lose_no_update_of_a_large_document() {
    let own = own_run();
    let (run, count) = (own.run.id(), scaled(10, 200));
    let pad = "p".repeat(1 << 20);
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    document.write(format!(r#"{{"pad":"{pad}","count":0}}"#).as_bytes()).unwrap();
    let (place, start_of_all) = (run.to_string(), Instant::now());
    let mut counters: Vec<_> =
        (0..8).map(|_| start("races::role_document_counter", Path::new(&place), count)).collect();
    let (mut last, mut reads) = (0, 0);
    while counters.iter_mut().any(|counter| counter.try_wait().unwrap().is_none()) {
        let json = document.snapshot().unwrap();
        let count =
            json.strip_prefix(br#"{"pad":""#).and_then(|rest| rest.strip_prefix(pad.as_bytes()));
        let count = count.expect("a torn document").strip_prefix(br#"","count":"#).unwrap();
        let count = str::from_utf8(count).unwrap().trim_end_matches('}').parse().unwrap();
        assert!(last <= count, "{count} after {last}");
        last = count;
        reads += 1;
    }
    for mut counter in counters {
        assert!(counter.wait().unwrap().success());
    }
    let mut store = DocumentStore::open(run);
    let total = store.get(&Key::parse("t.count").unwrap()).unwrap().unwrap();
    assert_eq!(total, Json::number(8 * count as i64));
    figures(format_args!(
        "lost-update: 8 processes, {count} times one key of 1 MiB each, 0 lost; {reads} reads, 0 torn, \
         {:?}",
        start_of_all.elapsed()
    ));
}

#[test]
fn handles_of_one_process_exclude_each_other_and_never_deadlock() {
    let own = own_run();
    let mut one = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    let mut two = Document::open(own.run.id(), &task("t")).unwrap();
    for n in 0..100 {
        one.write(format!("{{\"n\":{n}}}").as_bytes()).unwrap();
        two.update(|object| {
            object.set("two", Json::number(n));
            Ok(())
        })
        .unwrap();
        assert_eq!(one.read().unwrap(), format!("{{\"n\":{n},\"two\":{n}}}").into_bytes());
    }
    // Through many handles in many threads at once, each made while others write.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut document =
                        Document::create(own.run.id(), &task("u"), SIZE_DEFAULT).unwrap();
                    document
                        .update(|object| {
                            let n = otto_core::incremented(object.get("n"), 1)?;
                            object.set("n", Json::number(n));
                            Ok(())
                        })
                        .unwrap();
                }
            });
        }
    });
    let mut document = Document::open(own.run.id(), &task("u")).unwrap();
    assert_eq!(document.read().unwrap(), br#"{"n":400}"#);
}

/// The inode numbers of the two files of a document.
fn inodes(run: RunId, name: &str) -> [u64; 2] {
    [run.document_path(&task(name)), run.control_path(&task(name))]
        .map(|path| fs::metadata(path).unwrap().ino())
}

/// How many of the creators are threads of one process.
const THREADS: u64 = 8;

/// Round after round, as the file `go` beside its place says, makes the document of that name with
/// all its threads at once, and reports what it found to be wrong.
#[test]
fn role_creators() {
    let Some((place, run)) = assigned("races::role_creators") else { return };
    let (report, go) = (Report::at(&place), Report::at(&place.with_file_name("go")));
    let barrier = Barrier::new(THREADS as usize);
    for round in 1.. {
        go.wait_above(round - 1);
        let name = format!("t{round}");
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    let mut document =
                        Document::create(RunId(run), &task(&name), SIZE_DEFAULT).unwrap();
                    // Half made it would be neither empty nor an object.
                    let before = inodes(RunId(run), &name);
                    let found = document.read().unwrap();
                    assert!(found.is_empty() || found.starts_with(b"{\"n\":"), "{found:?}");
                    document
                        .update(|object| {
                            let n = otto_core::incremented(object.get("n"), 1)?;
                            object.set("n", Json::number(n));
                            Ok(())
                        })
                        .unwrap();
                    assert_eq!(before, inodes(RunId(run), &name), "made twice");
                });
            }
        });
        report.set(round);
    }
}

#[test]
fn of_many_creators_all_have_the_same_whole_document() {
    let own = own_run();
    let (run, rounds, processes) = (own.run.id(), scaled(50, 1000), 64 / THREADS);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let go = Report::at(&folder.path().join("go"));
    let places: Vec<_> = (0..processes).map(|n| folder.path().join(n.to_string())).collect();
    let mut creators: Vec<_> =
        places.iter().map(|place| start("races::role_creators", place, run.0)).collect();
    let start = Instant::now();
    for round in 1..=rounds {
        go.set(round);
        for (place, creator) in places.iter().zip(&mut creators) {
            assert!(Report::at(place).rises_above(round - 1, creator), "a creator has failed");
        }
        // One document: each change of each creator is in it.
        let name = format!("t{round}");
        let mut document = Document::open(run, &task(&name)).unwrap();
        let expected = format!("{{\"n\":{}}}", processes * THREADS);
        assert_eq!(document.read().unwrap(), expected.as_bytes(), "round {round}");
        Document::remove(run, &task(&name)).unwrap();
    }
    for creator in &mut creators {
        creator.kill().unwrap();
        creator.wait().unwrap();
    }
    let left: HashSet<_> = Document::list(run).unwrap().into_iter().collect();
    assert!(left.is_empty(), "{left:?}");
    figures(format_args!(
        "create-race: {} creators, {rounds} rounds, 0 bad, {:?}",
        processes * THREADS,
        start.elapsed()
    ));
}

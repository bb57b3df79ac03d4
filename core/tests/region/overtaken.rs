//! What others do between two steps of a reader, a waiter or a remover.

use crate::roles::{assigned, in_namespace, scaled};
use crate::torn::commit_only;
use crate::traced::{self, Traced};
use crate::{own_run, task};
use nix::fcntl::{Flock, FlockArg};
use nix::libc::{SYS_flock, SYS_pread64};
use otto_core::region::{Dataset, Document, DocumentStore, Publisher, Spill};
use otto_core::run::RunId;
use otto_core::{Condition, Json, Key, Values};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn text(n: usize, size: usize) -> String {
    format!("[{},\"{}\"]", n % 10, "x".repeat(size))
}

fn lock(path: &Path) -> Option<Flock<File>> {
    Flock::lock(File::open(path).ok()?, FlockArg::LockExclusiveNonblock).ok()
}

/// Reads the document `t` again and again, each time between two marks, and tells what it found.
#[test]
fn role_reader() {
    let Some((place, run)) = assigned("overtaken::role_reader") else { return };
    loop {
        traced::begin();
        let found = Document::open(RunId(run), &task("t")).and_then(|mut document| document.read());
        traced::end();
        let told =
            found.map_or_else(|error| error.to_string(), |json| format!("ok {}", json.len()));
        fs::write(&place, told).unwrap();
    }
}

/// Lets the reader finish, and returns what it found.
fn rest(reader: &Traced, place: &Path, ended: bool) -> String {
    if !ended {
        while reader.enter_call() {}
    }
    let _ = fs::remove_file(place);
    while reader.enter_call() {}
    fs::read_to_string(place).unwrap()
}

/// A reader that stands at any instruction, beside a writer that has committed and not copied; this
/// one ends, and another comes.
#[test]
fn a_reader_may_be_overtaken_at_any_instruction() {
    let own = own_run();
    let run = own.run.id();
    let (public, control) = (run.document_path(&task("t")), run.control_path(&task("t")));
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("found");
    let mut document = Document::create(run, &task("t"), 16).unwrap();
    document.write(b"[1]").unwrap();
    commit_only(run, b"[2]");
    let committed = [&public, &control].map(|path| (path, fs::read(path).unwrap()));
    let reader = Traced::start("overtaken::role_reader", &place, run.0);
    let (mut steps, mut ended) = (0, false);
    while !ended {
        for (path, bytes) in &committed {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(bytes, 0).unwrap();
        }
        let held = lock(&control).unwrap();
        // The look at the numbers comes after the journal has been read.
        let reads_journal = |call: (i64, Vec<u64>)| call.0 == SYS_pread64 && call.1[3] == 0x1000;
        while !reader.call().is_some_and(reads_journal) {
            assert!(reader.enter_call(), "the journal is not read");
        }
        assert!(reader.leave_call());
        ended = !(0..steps).all(|_| reader.step());
        drop(held);
        document.write(b"[3]").unwrap();
        assert_eq!(rest(&reader, &place, ended), "ok 3", "after {steps} instructions");
        steps += scaled(211, 41);
    }
}

/// What holds still can be read, whoever has the lock.
#[test]
fn a_reader_that_was_overtaken_waits_for_no_stopped_writer() {
    let own = own_run();
    let run = own.run.id();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("found");
    let mut document = Document::create(run, &task("t"), 65_536).unwrap();
    document.write(text(1, 6000).as_bytes()).unwrap();
    let reader = Traced::start("overtaken::role_reader", &place, run.0);
    let mut stops = 0;
    while {
        assert!(reader.enter_call(), "it ended after {stops} stops");
        reader.call().is_none_or(|call| call.0 != SYS_flock)
    } {
        document.write(text(stops, 6000).as_bytes()).unwrap();
        stops += 1;
    }
    assert!(stops > 64, "it asks for the lock after {stops} stops");
    let _held = lock(&run.control_path(&task("t"))).unwrap();
    let start = Instant::now();
    assert_eq!(rest(&reader, &place, false), format!("ok {}", text(1, 6000).len()));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Beside a writer at work the old document may be what a waiter finds: the wake-up that follows
/// is for the new one.
#[test]
fn a_waiter_that_found_the_old_document_beside_a_writer_looks_when_it_is_woken() {
    let own = own_run();
    let run = own.run.id();
    for turn in 1..20 {
        let mut document = Document::create(run, &task("t"), 4096).unwrap();
        document.write(text(turn, 3000).as_bytes()).unwrap();
        let mut held = lock(&run.control_path(&task("t")));
        assert!(held.is_some());
        commit_only(run, text(turn + 1, 3000).as_bytes());
        assert_eq!(document.read().unwrap(), text(turn, 3000).as_bytes());
        let mut ticks = 0;
        let found = document.wait(Some(Instant::now() + Duration::from_secs(30)), &mut || {
            ticks += 1;
            if held.take().is_some() {
                // Dead now: whoever reads finishes its work, and wakes the waiters.
                let json = Document::open(run, &task("t"))?.read()?;
                assert_eq!(json, text(turn + 1, 3000).as_bytes());
            }
            Ok(())
        });
        assert_eq!(found.unwrap(), text(turn + 1, 3000).as_bytes());
        assert_eq!(ticks, 1, "it slept on");
    }
}

#[test]
fn role_remover() {
    let Some((_, run)) = assigned("overtaken::role_remover") else { return };
    traced::begin();
    Document::remove(RunId(run), &task("t")).unwrap();
    traced::end();
}

/// Who waited to remove a document that was removed meanwhile has no right to its successor but by
/// that one's lock: a writer that got in between would write to nowhere.
#[test]
fn a_successor_is_removed_under_its_own_lock() {
    for first in ["another remover", "a script"] {
        let own = own_run();
        let run = own.run.id();
        let (public, control) = (run.document_path(&task("t")), run.control_path(&task("t")));
        drop(Document::create(run, &task("t"), 4096).unwrap());
        let held = lock(&control).unwrap();
        if first == "a script" {
            // It left the public file.
            fs::remove_file(&control).unwrap();
        }
        let remover = Traced::start("overtaken::role_remover", Path::new(first), run.0);
        while first == "another remover" && remover.call().is_none_or(|call| call.0 != SYS_flock) {
            assert!(remover.enter_call(), "it takes no lock");
        }
        if first == "another remover" {
            fs::remove_file(&public).unwrap();
            fs::remove_file(&control).unwrap();
            let key = Key::parse("t.x").unwrap();
            DocumentStore::open(run).set(&key, &Json::null(), Condition::Always).unwrap();
        }
        drop(held);
        while remover.enter_call() {
            if !public.exists() && control.exists() {
                assert!(lock(&control).is_none(), "removed under no lock; {first} was first");
            }
        }
        assert!(!public.exists() && !control.exists());
    }
}

/// Opens the dataset `d` again and again, each time between two marks, and tells what it found.
#[test]
fn role_opener() {
    let Some((place, run)) = assigned("overtaken::role_opener") else { return };
    loop {
        traced::begin();
        let found = Dataset::open(RunId(run), &task("d"));
        traced::end();
        let told = found.map_or_else(
            |error| error.to_string(),
            |dataset| format!("{} {}", dataset.info().offset, dataset.info().about.as_str()),
        );
        fs::write(&place, told).unwrap();
    }
}

fn publish(run: RunId, name: &str, size: usize) -> PathBuf {
    let about = Json::number(size as i64);
    let name = task(name);
    let publisher = Publisher::new(run, &name).about(&about).header(&[7; 64]);
    publisher.spill(Spill::WhenFull).bytes(&vec![0; size]).unwrap();
    fs::canonicalize(run.dataset_path(&name)).unwrap()
}

fn label_of(run: RunId, name: &str, data: &Path) -> PathBuf {
    let found = fs::metadata(data).unwrap();
    let label = format!(".otto-{run}.ds-{name}.{:x}-{:x}", found.dev(), found.ino());
    data.with_file_name(label)
}

/// A publisher dies when its dataset has the name, before it has removed the former one from disk;
/// the next one is about to, and has removed the label already.
#[test]
fn role_half_swept() {
    let Some((place, _)) = assigned("overtaken::role_half_swept") else { return };
    let own = own_run();
    let run = own.run.id();
    let report = place.join("found");
    let reader = Traced::start("overtaken::role_opener", &report, run.0);
    let (mut calls, mut ended) = (0, false);
    while !ended {
        let former = publish(run, "d", 3_000_000);
        assert!(former.starts_with("/var/tmp"), "not on disk");
        ended = !(0..calls).all(|_| reader.enter_call());
        let new = publish(run, "e", 5000);
        fs::rename(label_of(run, "e", &new), label_of(run, "d", &new)).unwrap();
        fs::rename(&new, run.dataset_path(&task("d"))).unwrap();
        fs::remove_file(label_of(run, "d", &former)).unwrap();
        let found = rest(&reader, &report, ended);
        assert!(found == "64 3000000" || found == "64 5000", "{found}, after {calls} calls");
        calls += 1;
    }
}

#[test]
fn a_dataset_that_loses_its_label_is_not_taken_for_another_program_s() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=2m none /dev/shm &&
        mount -t tmpfs -o size=64m none /var/tmp && shift && exec \"$@\"";
    in_namespace(script, "overtaken::role_half_swept", folder.path());
}

//! A document is whole at any moment: whoever is killed, stopped or in a hurry, and whatever is
//! full, cut short or removed.

use crate::roles::{
    Random, Report, assigned, checked_object, in_namespace, kill_after, number_of, scaled, start,
};
use crate::{own_run, task};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use otto_core::region::{Document, DocumentStore, SIZE_DEFAULT};
use otto_core::run::RunId;
use otto_core::{Condition, ErrorKind, Json, Key, Object, Values};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Replaces the document `t` of run `count` for ever, counting on from what it holds.
#[test]
fn role_document_writer() {
    let Some((folder, run)) = assigned("faults::role_document_writer") else { return };
    let report = Report::at(&folder.join("report"));
    let mut document = Document::open(RunId(run), &task("t")).unwrap();
    loop {
        let n = document.update(|object| {
            let n = object.get("n").map_or(0, |n| n.as_str().parse::<u64>().unwrap()) + 1;
            *object = Object::parse(checked_object(n).as_bytes())?;
            Ok(n)
        });
        report.set(n.unwrap());
    }
}

/// The same without a journal: straight into the public file. The test of the test.
#[test]
fn role_writer_without_journal() {
    let Some((folder, run)) = assigned("faults::role_writer_without_journal") else { return };
    let report = Report::at(&folder.join("report"));
    let public = OpenOptions::new().write(true).open(RunId(run).document_path(&task("t"))).unwrap();
    let mut n = report.get();
    loop {
        n += 1;
        let json = checked_object(n).into_bytes();
        let mut image = (json.len() as u32).to_le_bytes().to_vec();
        image.extend(json);
        image.extend(crc32fast::hash(&image).to_le_bytes());
        public.write_all_at(&image, 0).unwrap();
        report.set(n);
    }
}

#[test]
fn killed_writers_tear_nothing_and_lose_nothing() {
    let own = own_run();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let report = Report::at(&folder.path().join("report"));
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut random = Random(0xD0C5);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut document = Document::open(own.run.id(), &task("t")).unwrap();
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let json = document.snapshot().unwrap();
                if json.is_empty() {
                    continue;
                }
                let n = number_of(json).expect("a torn document");
                assert!(n >= last, "{n} after {last}");
                last = n;
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..scaled(500, 10_000) {
            let before = report.get();
            let writer = start("faults::role_document_writer", folder.path(), own.run.id().0);
            report.wait_above(before);
            kill_after(writer, Duration::from_micros(random.below(1000)));
            let (acknowledged, n) = (report.get(), number_of(document.snapshot().unwrap()));
            let n = n.expect("a torn document");
            assert!(n == acknowledged || n == acknowledged + 1, "{n}, told {acknowledged}");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(reads.load(Ordering::Relaxed) > 1000);
    document.write(b"[]").unwrap();
    assert_eq!(document.read().unwrap(), b"[]");
}

#[test]
fn without_a_journal_the_same_kills_tear() {
    let own = own_run();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let report = Report::at(&folder.path().join("report"));
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    let mut random = Random(0xD0C5);
    let torn = (0..500).find(|_| {
        let before = report.get();
        let writer = start("faults::role_writer_without_journal", folder.path(), own.run.id().0);
        report.wait_above(before);
        kill_after(writer, Duration::from_micros(random.below(1000)));
        document.snapshot().map_or(None, number_of).is_none()
    });
    assert!(torn.is_some(), "500 kills and nothing torn: the kill test above shows nothing");
}

/// Adds `count` ones to `t.count` in the documents of the run that its place names.
#[test]
fn role_document_counter() {
    let Some((run, count)) = assigned("faults::role_document_counter") else { return };
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
        (0..8).map(|_| start("faults::role_document_counter", Path::new(&place), count)).collect();
    for mut counter in counters {
        assert!(counter.wait().unwrap().success());
    }
    let mut store = DocumentStore::open(own.run.id());
    let total = store.get(&Key::parse("t.count").unwrap()).unwrap().unwrap();
    assert_eq!(total, Json::number(8 * count as i64));
}

#[test]
fn a_stopped_writer_holds_up_no_reader() {
    let own = own_run();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let report = Report::at(&folder.path().join("report"));
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    for _ in 0..20 {
        let before = report.get();
        let mut writer = start("faults::role_document_writer", folder.path(), own.run.id().0);
        report.wait_above(before);
        let pid = Pid::from_raw(writer.id() as i32);
        kill(pid, Signal::SIGSTOP).unwrap();
        let start = Instant::now();
        number_of(document.snapshot().unwrap()).expect("a torn document");
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
}

#[test]
fn a_lock_that_is_never_released_is_an_error_that_says_so() {
    // A run of nobody's, so that the other tests need not wait for this long one.
    let run = RunId((1 << 40) + u64::from(std::process::id()));
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    document.write(b"1").unwrap();
    let control = File::open(run.control_path(&task("t"))).unwrap();
    let held = Flock::lock(control, FlockArg::LockExclusive).unwrap();
    let error = document.write(b"2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert_eq!(document.read().unwrap(), b"1");
    drop(held);
    document.write(b"3").unwrap();
    fs::remove_file(run.control_path(&task("t"))).unwrap();
    fs::remove_file(run.document_path(&task("t"))).unwrap();
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

#[test]
fn a_document_grows_under_its_readers() {
    let own = own_run();
    let mut document = Document::create(own.run.id(), &task("t"), 16).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut document = Document::open(own.run.id(), &task("t")).unwrap();
                while !done.load(Ordering::Relaxed) {
                    let json = document.snapshot().unwrap();
                    assert!(json.iter().all(|byte| *byte == b' ' || *byte == b'1'));
                }
            });
        }
        let mut size = 1;
        while size <= 64 << 20 {
            let mut json = vec![b' '; size];
            json[size / 2] = b'1';
            document.write(&json).unwrap();
            assert_eq!(document.snapshot().unwrap().len(), size);
            size *= 2;
        }
        done.store(true, Ordering::Relaxed);
    });
    // It never shrinks in place.
    document.write(b"1").unwrap();
    assert!(fs::metadata(document.path()).unwrap().len() > 64 << 20);
}

#[test]
fn role_in_a_full_memory() {
    if assigned("faults::role_in_a_full_memory").is_none() {
        return;
    }
    let own = own_run();
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    document.write(checked_object(1).as_bytes()).unwrap();
    for size in [1 << 20, 100 << 10, 90 << 10] {
        let mut json = vec![b' '; size];
        json[0] = b'1';
        let error = document.write(&json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        assert_eq!(number_of(document.snapshot().unwrap()), Some(1), "the old document");
    }
    // Room for the image, none for the journal: what was taken for either is given back.
    document.write(&[b'1'; 20_000]).unwrap();
    let free = || nix::sys::statvfs::statvfs("/dev/shm").unwrap().blocks_available();
    let before = free();
    let error = document.write(&[b'2'; 32_000]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.to_string().contains(".ctl"), "{error}");
    assert!(free() >= before, "{} after {before}", free());
    assert_eq!(document.snapshot().unwrap(), [b'1'; 20_000]);
    document.write(checked_object(1).as_bytes()).unwrap();
    let name = task("d");
    let error = otto_core::region::Dataset::publish(
        own.run.id(),
        &name,
        &mut &[0; 300_000][..],
        Some(300_000),
        &Json::null(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("300000"), "{error}");
    assert!(otto_core::region::Dataset::list(own.run.id()).unwrap().is_empty());
}

#[test]
fn a_full_memory_is_one_clear_line_and_the_old_document_stays() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=64k none /dev/shm && shift && exec \"$@\"";
    in_namespace(script, "faults::role_in_a_full_memory", folder.path());
}

#[test]
fn damage_is_a_typed_error_and_never_a_signal() {
    let own = own_run();
    let (public, control) =
        (own.run.id().document_path(&task("t")), own.run.id().control_path(&task("t")));
    let mut random = Random(0xBAD);
    for turn in 0..scaled(50, 1000) {
        let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
        document.write(checked_object(random.below(100)).as_bytes()).unwrap();
        let length = random.below(70_000);
        match turn % 4 {
            0 => OpenOptions::new().write(true).open(&public).unwrap().set_len(length).unwrap(),
            1 => {
                let garbage: Vec<u8> = (0..200).map(|_| random.below(256) as u8).collect();
                let file = OpenOptions::new().write(true).open(&public).unwrap();
                file.write_all_at(&garbage, 0).unwrap();
            }
            2 => {
                let file = OpenOptions::new().write(true).open(&control).unwrap();
                file.set_len(length % 4096).unwrap();
            }
            _ => fs::remove_file(if turn % 8 == 3 { &public } else { &control }).unwrap(),
        }
        for _ in 0..3 {
            match document.read() {
                Ok(json) => assert!(number_of(&json).is_some(), "neither old nor an error"),
                Err(error) => {
                    // A removed one may also be said to be just that.
                    let removed = turn % 4 == 3 && error.kind() == ErrorKind::NotFound;
                    assert!(removed || error.kind() == ErrorKind::Corrupt, "{error}");
                    assert_eq!(error.to_string().lines().count(), 1, "{error}");
                }
            }
        }
        let _ = document.update(|object| {
            object.set("x", Json::null());
            Ok(())
        });
        if control.metadata().is_ok_and(|found| found.len() < 4096) {
            fs::remove_file(&control).unwrap();
        }
        // Whatever was done to it, a document can be made and written anew.
        let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
        document.write(checked_object(7).as_bytes()).unwrap();
        assert_eq!(number_of(&document.read().unwrap()), Some(7));
    }
}

#[test]
fn a_removed_document_is_not_found_and_can_be_made_again() {
    let own = own_run();
    let key = Key::parse("t.a").unwrap();
    let (mut one, mut two) = (DocumentStore::open(own.run.id()), DocumentStore::open(own.run.id()));
    for removed in ["both", "public"] {
        one.set(&key, &Json::number(1), Condition::Always).unwrap();
        assert_eq!(two.get(&key).unwrap(), Some(Json::number(1)));
        fs::remove_file(own.run.id().document_path(&task("t"))).unwrap();
        if removed == "both" {
            fs::remove_file(own.run.id().control_path(&task("t"))).unwrap();
        }
        assert_eq!(
            Document::open(own.run.id(), &task("t")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        one.set(&Key::parse("t.b").unwrap(), &Json::number(2), Condition::Always).unwrap();
        assert_eq!(two.get(&key).unwrap(), None);
        assert_eq!(two.get(&Key::parse("t.b").unwrap()).unwrap(), Some(Json::number(2)));
    }
}

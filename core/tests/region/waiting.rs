//! Waiters are woken by the writer, and never wait for one that was killed before it could.

use crate::roles::{Random, Report, assigned, figures, kill_after, scaled, start};
use crate::{own_run, task};
use otto_core::region::{Document, DocumentStore, SIZE_DEFAULT};
use otto_core::run::RunId;
use otto_core::{Condition, Error, ErrorKind, Json, Key, Result, Values};
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(30))
}

/// Whether thread `id` of this process is asleep in a futex call.
fn sleeps_in_futex(id: i32) -> bool {
    let call = fs::read_to_string(format!("/proc/self/task/{id}/syscall")).unwrap_or_default();
    call.starts_with("202 ")
}

#[test]
fn a_write_wakes_those_who_sleep() {
    let own = own_run();
    let run = own.run.id();
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    document.write(b"0").unwrap();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let waiters = [(); 3].map(|()| {
            let tell = tell.clone();
            scope.spawn(move || {
                let mut document = Document::open(run, &task("t")).unwrap();
                document.read().unwrap();
                let mut told = false;
                let mut ticks = 0;
                let mut tick = || {
                    ticks += 1;
                    if !told {
                        tell.send(nix::unistd::gettid().as_raw()).unwrap();
                        told = true;
                    }
                    Ok(())
                };
                document.wait(soon(), &mut tick).map(|json| (json, ticks))
            })
        });
        let deadline = soon().unwrap();
        for _ in 0..3 {
            let id = told.recv_timeout(Duration::from_secs(30)).unwrap();
            while cfg!(target_arch = "x86_64") && !sleeps_in_futex(id) {
                assert!(Instant::now() < deadline, "the waiter does not sleep in a futex call");
                thread::yield_now();
            }
        }
        document.write(b"1").unwrap();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap().0, b"1");
        }
    });
}

#[test]
fn what_this_handle_knows_is_not_waited_for() {
    let own = own_run();
    let mut writer = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    let mut reader = Document::open(own.run.id(), &task("t")).unwrap();
    let now = || Some(Instant::now());
    let waited = |document: &mut Document| document.wait(now(), &mut || Ok(()));
    let kind = |result: Result<Vec<u8>>| result.unwrap_err().kind();
    assert_eq!(kind(waited(&mut reader)), ErrorKind::TimedOut, "nothing has been written");
    writer.write(b"[1]").unwrap();
    assert_eq!(waited(&mut reader).unwrap(), b"[1]");
    assert_eq!(kind(waited(&mut reader)), ErrorKind::TimedOut);
    assert_eq!(kind(waited(&mut writer)), ErrorKind::TimedOut, "its own write");
    writer.write(b"[1]").unwrap();
    assert_eq!(kind(waited(&mut reader)), ErrorKind::TimedOut, "written again as it was");
    // A script's three lines ring no bell.
    fs::write(writer.path(), b"\x03\0\0\0[2]").unwrap();
    assert_eq!(reader.wait(soon(), &mut || Ok(())).unwrap(), b"[2]");
    let error = reader.wait(None, &mut || Err(Error::new(ErrorKind::Interrupted, "stop")));
    assert_eq!(kind(error), ErrorKind::Interrupted);
}

#[test]
fn a_key_is_waited_for_by_the_document_and_by_the_store() {
    let own = own_run();
    let run = own.run.id();
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    let key = Key::parse("t.ready").unwrap();
    thread::scope(|scope| {
        let by_store = scope.spawn(|| DocumentStore::open(run).wait(&key, soon(), &mut || Ok(())));
        let by_document = scope.spawn(move || {
            let mut document = Document::open(run, &task("t")).unwrap();
            document.wait_for("ready", soon(), &mut || Ok(()))
        });
        let mut store = DocumentStore::open(run);
        store.set(&Key::parse("t.other").unwrap(), &Json::null(), Condition::Always).unwrap();
        store.set(&key, &Json::number(7), Condition::Always).unwrap();
        assert_eq!(by_store.join().unwrap().unwrap(), Json::number(7));
        assert_eq!(by_document.join().unwrap().unwrap(), Json::number(7));
    });
    let error = document.wait_for("never", Some(Instant::now()), &mut || Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    document.write(b"[]").unwrap();
    let error = document.wait_for("ready", soon(), &mut || Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn removal_ends_a_wait() {
    let own = own_run();
    let run = own.run.id();
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    document.write(b"1").unwrap();
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            document.wait(soon(), &mut || {
                let _ = tell.send(());
                Ok(())
            })
        });
        told.recv_timeout(Duration::from_secs(30)).unwrap();
        Document::remove(run, &task("t")).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    });
    let error = Document::remove(run, &task("t")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!run.control_path(&task("t")).exists());
}

/// Writes numbers into the document `t` for ever, reporting each.
#[test]
fn role_counting_writer() {
    let Some((folder, run)) = assigned("waiting::role_counting_writer") else { return };
    let report = Report::at(&folder.join("report"));
    let mut document = Document::open(RunId(run), &task("t")).unwrap();
    loop {
        let n = report.get() + 1;
        document.write(n.to_string().as_bytes()).unwrap();
        report.set(n);
    }
}

/// Between its commit and its wake-up a writer can be killed: nobody sleeps on for that.
#[test]
fn a_killed_writer_s_last_write_is_seen() {
    let own = own_run();
    let run = own.run.id();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let report = Report::at(&folder.path().join("report"));
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    let (seen, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut random = Random(0xBE11);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut document = Document::open(run, &task("t")).unwrap();
            while !done.load(Ordering::Relaxed) {
                let json = document.wait(soon(), &mut || Ok(())).unwrap();
                seen.store(number(&json), Ordering::Relaxed);
            }
        });
        let (kills, mut worst) = (scaled(25, 500), Duration::ZERO);
        for _ in 0..kills {
            let before = report.get();
            let writer = start("waiting::role_counting_writer", folder.path(), run.0);
            report.wait_above(before);
            kill_after(writer, Duration::from_micros(random.below(300)));
            let start = Instant::now();
            let last = number(&document.read().unwrap());
            while seen.load(Ordering::Relaxed) < last {
                assert!(start.elapsed() < Duration::from_secs(1), "the waiter sleeps on");
                thread::yield_now();
            }
            worst = worst.max(start.elapsed());
        }
        figures(format_args!(
            "lost-wake: {kills} kills, what was committed is seen by a waiter after {worst:?} at worst"
        ));
        done.store(true, Ordering::Relaxed);
        document.write(u64::MAX.to_string().as_bytes()).unwrap();
    });
}

fn number(json: &[u8]) -> u64 {
    std::str::from_utf8(json).unwrap().parse().unwrap()
}

#[test]
fn the_last_writer_is_told_with_its_state() {
    let own = own_run();
    let run = own.run.id();
    let mut document = Document::create(run, &task("t"), 4096).unwrap();
    let stat = document.stat().unwrap();
    assert_eq!((stat.size, stat.capacity, stat.generation, stat.writer), (0, 4096, 0, None));
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let report = Report::at(&folder.path().join("report"));
    let writer = start("waiting::role_counting_writer", folder.path(), run.0);
    let id = writer.id();
    report.wait_above(3);
    let stat = document.stat().unwrap();
    assert_eq!((stat.writer, stat.writer_alive), (Some(id), true));
    kill_after(writer, Duration::ZERO);
    let stat = document.stat().unwrap();
    assert_eq!((stat.writer, stat.writer_alive), (Some(id), false));
    assert!(stat.generation >= report.get());
    assert_eq!(stat.size, document.read().unwrap().len() as u64);
}

//! The old file or the new one, never half of one, whoever dies and whatever is full.

use crate::roles::{
    Random, Report, assigned, checked_object, figures, in_namespace, kill_after, number_of, scaled,
    start,
};
use otto_core::files::{self, FileStore};
use otto_core::{Condition, ErrorKind, Json, Key, Object, Values};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Replaces the file for ever, counting on from what stands there.
#[test]
fn role_file_writer() {
    let Some((folder, _)) = assigned("faults::role_file_writer") else { return };
    let path = folder.join("output.t.json");
    let report = Report::at(&folder.join("report"));
    loop {
        let n = files::update(&path, |object| {
            let n = object.get("n").map_or(0, |n| n.as_str().parse::<u64>().unwrap()) + 1;
            *object = Object::parse(checked_object(n).as_bytes())?;
            Ok(n)
        });
        report.set(n.unwrap());
    }
}

#[test]
fn killed_writers_leave_the_old_file_or_the_new_one() {
    // In memory, so that the disk's speed does not choose the moment of death.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = folder.path().join("output.t.json");
    let report = Report::at(&folder.path().join("report"));
    let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut random, kills) = (Random(0x0770), scaled(50, 1000));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let Ok(bytes) = fs::read(&path) else { continue };
                let n = number_of(&bytes).expect("half a file");
                assert!(n >= last, "{n} after {last}");
                last = n;
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..kills {
            let before = report.get();
            let writer = start("faults::role_file_writer", folder.path(), 0);
            report.wait_above(before);
            kill_after(writer, Duration::from_micros(random.below(2000)));
            let (acknowledged, n) = (report.get(), number_of(&fs::read(&path).unwrap()).unwrap());
            assert!(n == acknowledged || n == acknowledged + 1, "{n}, told {acknowledged}");
        }
        done.store(true, Ordering::Relaxed);
    });
    let reads = reads.into_inner();
    figures(format_args!(
        "output files: {kills} kills, {reads} reads, 0 torn, 0 lost, 0 backwards"
    ));
    assert!(reads > 100);
    // What the dead left behind goes with the next write.
    files::update(&path, |object| {
        object.set("last", Json::null());
        Ok(())
    })
    .unwrap();
    assert_eq!(names_in(folder.path()), [".output.t.lock", "output.t.json", "report"]);
}

/// Adds `count` ones, and as many keys of its own.
#[test]
fn role_file_counter() {
    let Some((folder, count)) = assigned("faults::role_file_counter") else { return };
    let mut store = FileStore::open(&folder, None).unwrap();
    for _ in 0..count {
        store.increment(&Key::parse("t.count").unwrap(), 1).unwrap();
    }
}

#[test]
fn eight_processes_lose_no_update() {
    let folder = tempfile::tempdir().unwrap();
    let count = scaled(50, 1000);
    let counters: Vec<_> =
        (0..8).map(|_| start("faults::role_file_counter", folder.path(), count)).collect();
    for mut counter in counters {
        assert!(counter.wait().unwrap().success());
    }
    let mut store = FileStore::open(folder.path(), None).unwrap();
    let total = store.get(&Key::parse("t.count").unwrap()).unwrap().unwrap();
    assert_eq!(total, Json::number(8 * count as i64));
}

#[test]
fn role_on_a_full_disk() {
    let Some((folder, _)) = assigned("faults::role_on_a_full_disk") else { return };
    let mut store = FileStore::open(&folder, None).unwrap();
    let (small, large) = (Key::parse("t.small").unwrap(), Key::parse("t.large").unwrap());
    store.set(&small, &Json::number(1), Condition::Always).unwrap();
    let before = fs::read(folder.join("output.t.json")).unwrap();
    let value = Json::string(&"x".repeat(1 << 20));
    let error = store.set(&large, &value, Condition::Always).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    let message = error.to_string();
    assert!(message.contains("output.t.json") && message.lines().count() == 1, "{message}");
    assert_eq!(fs::read(folder.join("output.t.json")).unwrap(), before);
    assert_eq!(names_in(&folder), [".output.t.lock", "output.t.json"]);
    // Room enough for small ones still.
    assert_eq!(store.increment(&small, 1).unwrap(), 2);
    // To the last byte: even the note in the lock file finds no room.
    let fill = |name: &str| {
        let mut size = 1 << 20;
        while size > 0 {
            if fs::write(folder.join(format!("{name}{size}")), vec![0; size]).is_err() {
                size /= 2;
            } else {
                size -= 1;
            }
        }
    };
    fill("fill");
    let before = fs::read(folder.join("output.t.json")).unwrap();
    let full = store.set(&small, &Json::string(&"y".repeat(8192)), Condition::Always).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    assert_eq!(fs::read(folder.join("output.t.json")).unwrap(), before);
    assert_eq!(store.get(&small).unwrap(), Some(Json::number(2)));
}

#[test]
fn a_full_disk_is_one_clear_line_and_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=64k,nr_inodes=100 none \"$1\" && shift && exec \"$@\"";
    in_namespace(script, "faults::role_on_a_full_disk", folder.path());
}

#[test]
fn role_in_a_read_only_folder() {
    let Some((folder, _)) = assigned("faults::role_in_a_read_only_folder") else { return };
    let mut store = FileStore::open(&folder, None).unwrap();
    let key = Key::parse("t.a").unwrap();
    for path in ["t.a", "new.a"] {
        let key = Key::parse(path).unwrap();
        let error = store.set(&key, &Json::number(2), Condition::Always).unwrap_err();
        assert_eq!(error.exit_status(), 1);
        let message = error.to_string();
        assert!(message.contains("output.") && message.lines().count() == 1, "{message}");
    }
    assert_eq!(store.get(&key).unwrap(), Some(Json::number(1)));
}

#[test]
fn a_read_only_folder_is_one_clear_line_and_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FileStore::open(folder.path(), None).unwrap();
    store.set(&Key::parse("t.a").unwrap(), &Json::number(1), Condition::Always).unwrap();
    let script =
        "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && shift && exec \"$@\"";
    in_namespace(script, "faults::role_in_a_read_only_folder", folder.path());
}

/// What otto-serve saves to: any file of any name, but nothing that is no file.
#[test]
fn a_whole_file_is_written_or_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    fs::write(&path, "old").unwrap();
    std::os::unix::fs::symlink("state", folder.path().join("link")).unwrap();
    files::write(&folder.path().join("link"), b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names_in(folder.path()), ["link", "state"]);
    for (bad, kind) in [("none/state", ErrorKind::Io), (".", ErrorKind::Io)] {
        assert_eq!(files::write(&folder.path().join(bad), b"x").unwrap_err().kind(), kind);
    }
    let error = files::write(Path::new("/dev/null"), b"x").unwrap_err();
    assert!(error.to_string().contains("plain file"), "{error}");
    assert_eq!(names_in(folder.path()), ["link", "state"]);
}

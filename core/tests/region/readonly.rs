//! Readers that may only read: shared memory, or one of a document's files, is mounted for reading.

use crate::killed::{counted_object, counts_of};
use crate::roles::{Report, assigned, command, figures, in_namespace, scaled, start};
use crate::torn::commit_only;
use crate::{own_run, task};
use otto_core::region::{Dataset, Document, DocumentStore, Publisher, SIZE_DEFAULT, SharedMemory};
use otto_core::run::RunId;
use otto_core::{Condition, Error, ErrorKind, Json, Key, Result, Values};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// All of shared memory.
const MEMORY: &str = "/dev/shm";
/// One file of the document `t` of the run that `$1` is named for.
const PUBLIC: &str = "/dev/shm/otto-$(basename \"$1\")-t";
const CONTROL: &str = "/dev/shm/.otto-$(basename \"$1\")-t.ctl";

/// The script for a namespace in which `file` can only be read.
fn only_readable(file: &str) -> String {
    format!(
        "file={file} && mount --bind $file $file &&
        {{ mount -o remount,bind,ro $file || mount -o remount,bind,ro,nosuid,nodev $file; }} &&
        shift && exec \"$@\""
    )
}

/// A folder, outside of shared memory, that tells a role in a namespace which run it is about.
fn place_of(run: RunId) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(run.to_string());
    fs::create_dir(&place).unwrap();
    (folder, place)
}

fn run_of(place: &Path) -> RunId {
    RunId::parse(place.file_name().unwrap().to_str().unwrap()).unwrap()
}

fn is_refused<T: std::fmt::Debug>(what: &str, result: Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{what}: {error}");
    assert_eq!(error.to_string().lines().count(), 1, "{what}: {error}");
}

/// What changes the document `t` fails with an error that says why, and changes nothing.
fn writes_are_refused(run: RunId) {
    let mut document = Document::open(run, &task("t")).unwrap();
    let set = |document: &mut Document| {
        document.update(|object| {
            object.set("x", Json::null());
            Ok(())
        })
    };
    for _ in 0..2 {
        let error: Error = document.write(b"[\"never\"]").unwrap_err();
        assert!(error.to_string().contains("may only be read"), "{error}");
        is_refused("write", document.write(b"[\"never\"]"));
        is_refused("update", set(&mut document));
        counts_of(document.snapshot().unwrap()).expect("a torn document");
    }
    let mut store = DocumentStore::open(run);
    let key = Key::parse("t.never").unwrap();
    is_refused("set", store.set(&key, &Json::null(), Condition::Always));
}

/// The document `t` of a writer that never pauses is whole and never goes back.
fn reads_are_whole(run: RunId) {
    let mut document = Document::open(run, &task("t")).unwrap();
    let (mut last, mut reads, mut changes, begin) = (0, 0, 0, Instant::now());
    while reads < scaled(2000, 40_000) || changes < 20 {
        reads += 1;
        assert!(begin.elapsed() < Duration::from_secs(60), "{changes} changes in {reads} reads");
        let count = counts_of(document.snapshot().unwrap()).expect("a torn document")[0];
        assert!(count >= last, "{count} after {last}");
        changes += u64::from(count > last);
        last = count;
    }
    figures(format_args!(
        "readonly-reader: {reads} reads beside a writer, {changes} of them new, 0 torn, 0 backwards, \
         {:?}",
        begin.elapsed()
    ));
    let stat = document.stat().unwrap();
    assert!(stat.generation > last && stat.writer_alive, "{stat:?}");
}

/// A wait ends with the next write, and at its deadline where there is none.
fn waits_end(run: RunId) {
    let mut document = Document::open(run, &task("t")).unwrap();
    let first = document.read().unwrap();
    let soon = || Some(Instant::now() + Duration::from_secs(20));
    assert_ne!(document.wait(soon(), &mut || Ok(())).unwrap(), first);
    let begin = Instant::now();
    let mut quiet = Document::open(run, &task("quiet")).unwrap();
    quiet.read().unwrap();
    let short = || Some(Instant::now() + Duration::from_millis(120));
    let late = [
        quiet.wait(short(), &mut || Ok(())).unwrap_err(),
        quiet.wait_for("never", short(), &mut || Ok(())).unwrap_err(),
        DocumentStore::open(run)
            .wait(&Key::parse("quiet.never").unwrap(), short(), &mut || Ok(()))
            .unwrap_err(),
        DocumentStore::open(run)
            .wait(&Key::parse("nobody.never").unwrap(), short(), &mut || Ok(()))
            .unwrap_err(),
    ];
    for error in late {
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "four waits of 0.12 s took {took:?}");
}

#[test]
fn role_reader_of_all_memory() {
    let Some((place, _)) = assigned("readonly::role_reader_of_all_memory") else { return };
    let run = run_of(&place);
    reads_are_whole(run);
    writes_are_refused(run);
    waits_end(run);
    is_refused("remove", Document::remove(run, &task("t")));
    is_refused("create", Document::create(run, &task("new"), SIZE_DEFAULT));
    let dataset = Dataset::open(run, &task("d")).unwrap();
    let mut bytes = [0; 3];
    dataset.read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"abc");
    is_refused("publish", Publisher::new(run, &task("d")).bytes(b"def"));
    is_refused("remove a dataset", Dataset::remove(run, &task("d")));
    assert_eq!(SharedMemory::new(4096).unwrap().len(), 4096);
}

#[test]
fn role_reader_of_one_file() {
    let Some((place, _)) = assigned("readonly::role_reader_of_one_file") else { return };
    let run = run_of(&place);
    reads_are_whole(run);
    writes_are_refused(run);
    waits_end(run);
}

fn beside_a_writer(file: &str, role: &str) {
    let own = own_run();
    let run = own.run.id();
    let (_folder, place) = place_of(run);
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    document.write(counted_object(&[0]).as_bytes()).unwrap();
    let mut quiet = Document::create(run, &task("quiet"), SIZE_DEFAULT).unwrap();
    quiet.write(b"{}").unwrap();
    Publisher::new(run, &task("d")).bytes(b"abc").unwrap();
    let report = place.join("0");
    let mut writer = start("killed::role_writer", &report, run.0);
    Report::at(&report).wait_above(0);
    in_namespace(&only_readable(file), role, &place);
    writer.kill().unwrap();
    writer.wait().unwrap();
    counts_of(document.snapshot().unwrap()).expect("a torn document");
    // It is as it was for those who may write.
    document.write(b"[1]").unwrap();
    assert_eq!(document.read().unwrap(), b"[1]");
}

#[test]
fn where_memory_may_only_be_read_documents_are_read() {
    beside_a_writer(MEMORY, "readonly::role_reader_of_all_memory");
}

#[test]
fn where_a_control_file_may_only_be_read_its_document_is_read() {
    beside_a_writer(CONTROL, "readonly::role_reader_of_one_file");
}

#[test]
fn where_a_public_file_may_only_be_read_its_document_is_read() {
    beside_a_writer(PUBLIC, "readonly::role_reader_of_one_file");
}

/// Finds the document of a writer that died between its commit and its copy.
#[test]
fn role_reader_after_a_death() {
    let Some((place, _)) = assigned("readonly::role_reader_after_a_death") else { return };
    let run = run_of(&place);
    let mut document = Document::open(run, &task("t")).unwrap();
    for _ in 0..3 {
        assert!(document.read().unwrap() == large(7), "not the new document");
        assert_eq!(document.stat().unwrap().size, large(7).len() as u64);
    }
    is_refused("write", document.write(b"1"));
    assert!(document.read().unwrap() == large(7), "not the new document");
}

/// Too large to prove by itself that it is whole.
fn large(digit: u8) -> Vec<u8> {
    vec![b'0' + digit; 20_000]
}

#[test]
fn what_a_dead_writer_committed_is_read_where_nothing_can_be_mended() {
    for file in [MEMORY, PUBLIC, CONTROL] {
        let own = own_run();
        let run = own.run.id();
        let (_folder, place) = place_of(run);
        let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
        document.write(&large(1)).unwrap();
        commit_only(run, &large(7));
        if in_namespace(&only_readable(file), "readonly::role_reader_after_a_death", &place) {
            let public = fs::read(document.path()).unwrap();
            assert!(public[4..].starts_with(&large(1)), "mended by one who may not");
        }
        assert!(document.read().unwrap() == large(7));
        assert!(fs::read(document.path()).unwrap()[4..].starts_with(&large(7)));
    }
}

/// A small document is its own proof: what is not copied to its public file is never seen.
#[test]
fn role_reader_of_a_small_document() {
    let Some((place, _)) = assigned("readonly::role_reader_of_a_small_document") else { return };
    let run = run_of(&place);
    let mut document = Document::open(run, &task("t")).unwrap();
    for _ in 0..2 {
        is_refused("write", document.write(b"[2]"));
        assert_eq!(document.read().unwrap(), b"[1]");
    }
}

#[test]
fn no_write_is_acknowledged_that_nobody_will_see() {
    for file in [PUBLIC, CONTROL] {
        let own = own_run();
        let run = own.run.id();
        let (_folder, place) = place_of(run);
        let mut document = Document::create(run, &task("t"), 4096).unwrap();
        document.write(b"[0]").unwrap();
        document.write(b"[1]").unwrap();
        in_namespace(&only_readable(file), "readonly::role_reader_of_a_small_document", &place);
        assert_eq!(document.read().unwrap(), b"[1]");
        assert_eq!(document.stat().unwrap().generation, 2);
    }
}

/// Writes under a limit on the size of files, as `ulimit -f` sets it.
#[test]
fn role_limited_writer() {
    let Some((place, _)) = assigned("readonly::role_limited_writer") else { return };
    let run = run_of(&place);
    let (mut document, mut last) = (Document::open(run, &task("t")).unwrap(), b"[1]".to_vec());
    for size in (1..40).map(|n| n * 150) {
        let json = vec![b'1' + (size % 9) as u8; size];
        let result = document.write(&json);
        let mut reader = Document::open(run, &task("t")).unwrap();
        let _ = reader.read().unwrap();
        // This time with one look, if it is a small one.
        let found = reader.read().unwrap();
        match result {
            Ok(()) => assert!(found == json, "{size} bytes were written, {} found", found.len()),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                assert!(found == json || found == last, "{} bytes found", found.len());
            }
        }
        last = found;
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_loses_nothing() {
    // In blocks of 512 bytes, or 1024 by some shells.
    for limit in ["0", "1", "5", "8", "9", "20", "unlimited"] {
        let own = own_run();
        let run = own.run.id();
        let (_folder, place) = place_of(run);
        let mut document = Document::create(run, &task("t"), 4096).unwrap();
        document.write(b"[1]").unwrap();
        let role = command("readonly::role_limited_writer", &place);
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f $1 && shift && exec \"$@\"", "sh", limit]);
        limited.arg(role.get_program()).args(role.get_args()).stdout(Stdio::null());
        limited.envs(role.get_envs().filter_map(|(name, value)| Some((name, value?))));
        assert!(limited.status().unwrap().success(), "limit {limit}");
        document.write(b"[2]").unwrap();
        assert_eq!(document.read().unwrap(), b"[2]");
    }
}

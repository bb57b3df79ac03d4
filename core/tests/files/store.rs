//! Which file a key's value is in, and what is refused.

use otto_core::files::{self, FileStore};
use otto_core::{Condition, ErrorKind, Json, Key, Pattern, TaskName, Values};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn open(folder: &Path, own: &str) -> FileStore {
    FileStore::open(folder, Some(TaskName::parse(own).unwrap())).unwrap()
}

#[test]
fn names_and_modes_are_those_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path(), "own");
    for name in ["own.a", "plain", "other.b"] {
        store.set(&key(name), &Json::string("x"), Condition::Always).unwrap();
    }
    for (file, content) in [
        ("output.own.json", "{\"a\":\"x\"}\n"),
        ("output._.json", "{\"plain\":\"x\"}\n"),
        ("output.other.json", "{\"b\":\"x\"}\n"),
    ] {
        let path = folder.path().join(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn inputs_are_read_through_their_links_and_never_written() {
    let run = tempfile::tempdir().unwrap();
    let (build, test) = (run.path().join("build"), run.path().join("test"));
    fs::create_dir(&build).unwrap();
    fs::create_dir(&test).unwrap();
    symlink("../build/output.build.json", test.join("input.build.json")).unwrap();
    let (mut producer, mut consumer) = (open(&build, "build"), open(&test, "test"));

    assert_eq!(consumer.get(&key("build.v")).unwrap(), None, "a link to a file still to come");
    producer.set(&key("build.v"), &Json::number(1), Condition::Always).unwrap();
    assert_eq!(consumer.get(&key("build.v")).unwrap(), Some(Json::number(1)));
    assert_eq!(consumer.list(&Pattern::all()).unwrap(), ["build.v"]);

    // Setting another task's value reaches that task's own file; the link stays a link.
    consumer.set(&key("build.w"), &Json::number(2), Condition::Always).unwrap();
    assert_eq!(producer.get(&key("build.w")).unwrap(), Some(Json::number(2)));
    assert!(fs::symlink_metadata(test.join("input.build.json")).unwrap().is_symlink());
}

#[test]
fn a_symbolic_link_in_the_place_of_an_output_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "{}").unwrap();
    symlink(&victim, folder.path().join("output.t.json")).unwrap();
    let mut store = FileStore::open(folder.path(), None).unwrap();
    let error = store.set(&key("t.a"), &Json::number(1), Condition::Always).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "{}");

    // And so is one in the place of the lock.
    let path = folder.path().join("output.u.json");
    symlink(&victim, folder.path().join(".output.u.lock")).unwrap();
    files::update(&path, |_| Ok(())).unwrap_err();
    assert!(!path.exists());
}

#[test]
fn what_is_no_object_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("output.t.json");
    let mut store = FileStore::open(folder.path(), None).unwrap();
    for content in ["[1]", "{\"a\":", "\u{0}\u{1}", "no json\n", "{\"a\":1}{\"b\":2}"] {
        fs::write(&path, content).unwrap();
        for error in [
            store.get(&key("t.a")).unwrap_err(),
            store.set(&key("t.a"), &Json::number(1), Condition::Always).unwrap_err(),
            store.increment(&key("t.a"), 1).unwrap_err(),
            store.delete(&key("t.a")).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            let message = error.to_string();
            assert!(message.contains("output.t.json"), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    // An empty file, as `: > file` makes, is an empty object.
    fs::write(&path, "").unwrap();
    assert_eq!(store.get(&key("t.a")).unwrap(), None);
    assert_eq!(store.increment(&key("t.a"), 1).unwrap(), 1);
}

#[test]
fn a_script_s_file_keeps_its_order_and_texts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("output.t.json");
    fs::write(&path, "{\n  \"z\": 1.10,\n  \"a\": [ 1e2 ],\n  \"two words\": 1\n}\n").unwrap();
    let mut store = FileStore::open(folder.path(), None).unwrap();
    assert_eq!(store.get(&key("t.z")).unwrap().unwrap().as_str(), "1.10");
    store.set(&key("t.m"), &Json::number(2), Condition::Always).unwrap();
    let expected = "{\"z\":1.10,\"a\":[1e2],\"two words\":1,\"m\":2}\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    // A name that can be no key is kept, and not listed.
    assert_eq!(store.list(&Pattern::all()).unwrap(), ["t.a", "t.m", "t.z"]);
}

#[test]
fn things_that_are_no_files_do_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("output.t.json");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    files::read(&path).unwrap_err();
    files::update(&path, |_| Ok(())).unwrap_err();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    files::read(&path).unwrap_err();
    files::update(&path, |_| Ok(())).unwrap_err();
}

#[test]
fn a_missing_task_folder_is_named() {
    let error = FileStore::open(Path::new("/nonexistent/task"), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRun);
    assert!(error.to_string().contains("/nonexistent/task"), "{error}");
}

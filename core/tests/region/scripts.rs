//! Scripts that map the public file and know nothing of the control file, as the first users did.

use crate::{own_run, task};
use otto_core::region::{Document, DocumentStore, SIZE_DEFAULT};
use otto_core::{Condition, Json, Key, Values};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Both functions find the run by their parent process, which is this one.
const FUNCTIONS: &str = include_str!("../../../tests/seed/region.py");

fn python(code: &str) -> String {
    let script = format!("{FUNCTIONS}\n{code}");
    let output = Command::new("python3").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn scripts_read_what_we_write_and_we_read_what_they_write() {
    let own = own_run();
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    assert_eq!(python("print(read_task_data('t'))"), "None");
    document.write(br#"{"a":[1,"x"]}"#).unwrap();
    assert_eq!(python("print(json.dumps(read_task_data('t')))"), r#"{"a": [1, "x"]}"#);

    python("write_task_data('t', {'by': 'script', 'n': 1})");
    assert_eq!(document.read().unwrap(), br#"{"by": "script", "n": 1}"#);
    // Shorter and longer than what stood there, and no object at all.
    python("write_task_data('t', 7)");
    assert_eq!(document.read().unwrap(), b"7");
    python("write_task_data('t', {'n': 41, 'long': 'x' * 50000})");

    // Our next write takes it over: all of it, with a check again.
    let mut store = DocumentStore::open(own.run.id());
    assert_eq!(store.increment(&Key::parse("t.n").unwrap(), 1).unwrap(), 42);
    let image = fs::read(document.path()).unwrap();
    let length = u32::from_le_bytes(*image.first_chunk().unwrap()) as usize;
    let crc = u32::from_le_bytes(*image[4 + length..].first_chunk().unwrap());
    assert_eq!(crc, crc32fast::hash(&image[..4 + length]));
    assert_eq!(python("d = read_task_data('t'); print(d['n'], len(d['long']))"), "42 50000");
}

#[test]
fn a_waiter_sees_what_a_script_maps_and_writes() {
    let own = own_run();
    let mut store = DocumentStore::open(own.run.id());
    store.set(&Key::parse("t.a").unwrap(), &Json::number(1), Condition::Always).unwrap();
    let mut script = None;
    let deadline = Instant::now() + Duration::from_secs(20);
    let found = store.wait(&Key::parse("t.ready").unwrap(), Some(deadline), &mut || {
        if script.is_none() {
            let code = format!("{FUNCTIONS}\nwrite_task_data('t', {{'ready': True}})");
            script = Some(Command::new("python3").args(["-c", &code]).spawn().unwrap());
        }
        Ok(())
    });
    assert_eq!(found.unwrap().as_str(), "true");
    assert!(script.unwrap().wait().unwrap().success());
}

#[test]
fn a_document_that_only_a_script_made_is_taken_as_it_stands() {
    let own = own_run();
    let path = own.run.id().document_path(&task("t"));
    fs::write(&path, b"\x07\0\0\0{\"a\":1}").unwrap();
    let mut store = DocumentStore::open(own.run.id());
    assert_eq!(store.get(&Key::parse("t.a").unwrap()).unwrap(), Some(Json::number(1)));
    assert_eq!(store.increment(&Key::parse("t.a").unwrap(), 1).unwrap(), 2);
    // Made by a script's umask, private from now on.
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
}

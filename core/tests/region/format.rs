//! The format: golden bytes both ways, and the programs of `docs/region-format.md` as they stand.

use crate::{own_run, task};
use otto_core::Json;
use otto_core::region::{Dataset, Document, Publisher, SIZE_DEFAULT};
use otto_core::run::RunId;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

const JSON: &str = r#"{"version":"1.2.3","n":1.10,"größe":"😀"}"#;
const OLD_JSON: &str = r#"{"version":"1.2.3"}"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn vector(name: &str) -> Vec<u8> {
    fs::read(repository().join("tests/vectors").join(name)).unwrap()
}

/// Puts the two files `name.*` of the vectors in place as the document `t`.
fn place(run: RunId, public: &[u8], control: &[u8]) {
    fs::write(run.document_path(&task("t")), public).unwrap();
    fs::write(run.control_path(&task("t")), control).unwrap();
}

#[test]
fn two_writes_make_the_golden_bytes() {
    let own = own_run();
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    document.write(OLD_JSON.as_bytes()).unwrap();
    document.write(JSON.as_bytes()).unwrap();
    let public = fs::read(document.path()).unwrap();
    let golden = vector("document.public");
    assert_eq!(public[..golden.len()], golden);
    assert!(public[golden.len()..].iter().all(|byte| *byte == 0));
    let mut control = fs::read(own.run.id().control_path(&task("t"))).unwrap();
    // What differs each time: random bytes, inode, process.
    assert!(control[0x10..0x28].iter().any(|byte| *byte != 0));
    control[0x10..0x28].fill(0);
    assert_eq!(control[0x100..0x104], std::process::id().to_le_bytes());
    control[0x100..0x104].fill(0);
    let golden = vector("document.control");
    assert_eq!(control[..golden.len()], golden);
    assert!(control[golden.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn golden_bytes_are_read_and_written_on() {
    let own = own_run();
    place(own.run.id(), &vector("document.public"), &vector("document.control"));
    let mut document = Document::open(own.run.id(), &task("t")).unwrap();
    assert_eq!(document.read().unwrap(), JSON.as_bytes());
    document.write(b"2").unwrap();
    assert_eq!(document.read().unwrap(), b"2");
}

#[test]
fn a_dead_writer_s_golden_bytes_are_finished() {
    let own = own_run();
    let (run, control) = (own.run.id(), vector("document-killed.control"));
    let (old, new) = (vector("document-killed.public"), vector("document.public"));
    // Killed after the commit, with any part of the new image in the public file.
    for copied in 0..=new.len() {
        let mut public = old.clone();
        public.resize(public.len().max(copied), 0);
        public[..copied].copy_from_slice(&new[..copied]);
        place(run, &public, &control);
        let mut document = Document::open(run, &task("t")).unwrap();
        if copied % 2 == 0 {
            assert_eq!(document.read().unwrap(), JSON.as_bytes());
        } else {
            // A writer finishes it too, before it changes anything.
            document
                .update(|object| {
                    assert_eq!(object.to_bytes(), JSON.as_bytes());
                    Ok(())
                })
                .unwrap();
        }
        // Whoever finds it finishes it for those who read the public file only.
        assert_eq!(fs::read(run.document_path(&task("t"))).unwrap()[..new.len()], new);
        assert_eq!(document.read().unwrap(), JSON.as_bytes());
    }
    // A damaged journal is told, not guessed at.
    for damaged_at in [0x40, 0xC0, 0xC8, 0xCC, 0x1000, 0x1010] {
        let mut control = control.clone();
        control[damaged_at] ^= 4;
        place(run, &old, &control);
        let mut document = Document::open(run, &task("t")).unwrap();
        let error = document.read().unwrap_err();
        assert_eq!(error.kind(), otto_core::ErrorKind::Corrupt, "{damaged_at:#x}");
        document.write(b"1").unwrap_err();
    }
}

#[test]
fn datasets_are_their_golden_bytes() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    let about = Json::parse(r#"{"dtype":"<f8","shape":[2]}"#).unwrap();
    let (data, mut label) = (vector("dataset"), vector("dataset.label"));
    let payload = &data[64..];
    let info = Publisher::new(run, &name).header(&data[..64]).about(&about).bytes(payload).unwrap();
    assert_eq!((info.offset, info.size, info.generation), (64, 16, 1));
    let path = run.dataset_path(&name);
    assert_eq!(fs::read(&path).unwrap(), data);
    let label_of = |found: &fs::Metadata| {
        let name = format!(".otto-{run}.ds-{name}.{:x}-{:x}", found.dev(), found.ino());
        Path::new("/dev/shm").join(name)
    };
    // What differs: the generation, when the file was last changed, and with these the CRC.
    let fixed = label.len() - 48;
    let found = fs::metadata(&path).unwrap();
    let modified = found.mtime() * 1_000_000_000 + found.mtime_nsec();
    label[fixed + 16..fixed + 24].copy_from_slice(&1_u64.to_le_bytes());
    label[fixed + 24..fixed + 32].copy_from_slice(&modified.to_le_bytes());
    let crc = crc32fast::hash(&label[..fixed + 36]);
    label[fixed + 36..fixed + 40].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(fs::read(label_of(&found)).unwrap(), label);

    Dataset::remove(run, &name).unwrap();
    assert!(!label_of(&found).exists());
    fs::write(&path, &data).unwrap();
    let golden = UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123_456_789);
    File::options().write(true).open(&path).unwrap().set_modified(golden).unwrap();
    fs::write(label_of(&fs::metadata(&path).unwrap()), vector("dataset.label")).unwrap();
    let found = Dataset::stat(run, &name).unwrap();
    assert_eq!((found.offset, found.size, found.generation, found.about), (64, 16, 7, about));
}

/// The Python block of the format page that is marked with `mark`.
pub(crate) fn program(mark: &str) -> String {
    let page = fs::read_to_string(repository().join("docs/region-format.md")).unwrap();
    let start = format!("```python {mark}\n");
    let block = page.split_once(&start).expect("no such block").1;
    block.split_once("```").unwrap().0.to_owned()
}

fn run_program(program: &str, path: &Path) -> String {
    let script =
        format!("import json, sys, zlib\npath = sys.argv[1]\n{program}\nprint(json.dumps(value))");
    let output = Command::new("python3").args(["-c", &script]).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_programs_of_the_page_run() {
    assert_eq!(program("reader").lines().count(), 3);
    assert_eq!(program("checker").lines().count(), 5);
    let own = own_run();
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    for mark in ["reader", "checker"] {
        assert_eq!(run_program(&program(mark), document.path()), "null");
    }
    document.write(JSON.as_bytes()).unwrap();
    for mark in ["reader", "checker"] {
        let expected = r#"{"version": "1.2.3", "n": 1.1, "gr\u00f6\u00dfe": "\ud83d\ude00"}"#;
        assert_eq!(run_program(&program(mark), document.path()), expected);
    }
    document.write(b"{}").unwrap();
    assert_eq!(run_program(&program("checker"), document.path()), "{}");
}

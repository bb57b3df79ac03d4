//! Documents that grow, and memory that is full.

use crate::roles::{assigned, checked_object, figures, in_namespace, number_of, scaled};
use crate::{own_run, task};
use otto_core::limits::DOCUMENT_BYTES_MAX;
use otto_core::region::{Document, SIZE_DEFAULT};
use otto_core::{ErrorKind, Json};
use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

#[test]
fn a_document_grows_under_its_readers() {
    let own = own_run();
    let mut document = Document::create(own.run.id(), &task("t"), 16).unwrap();
    let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let (readers, spaces) = (scaled(2, 8), vec![b' '; 32 << 20]);
    thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                let mut document = Document::open(own.run.id(), &task("t")).unwrap();
                while !done.load(Ordering::Relaxed) {
                    let json = document.snapshot().unwrap();
                    let middle = json.len() / 2;
                    assert!(json.get(middle).is_none_or(|byte| *byte == b'1'), "torn");
                    assert!(json[..middle] == spaces[..middle], "torn");
                    reads.fetch_add(1, Ordering::Relaxed);
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
    figures(format_args!(
        "grow: 16 B to 64 MiB under {readers} readers, {} reads, 0 torn",
        reads.into_inner()
    ));
    // Up to the limit, and no further: 8 bytes of it are not the JSON's.
    let last = document.snapshot().unwrap().len();
    let error = document.write(&vec![b'1'; DOCUMENT_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert_eq!(document.snapshot().unwrap().len(), last);
    if scaled(0, 1) == 1 {
        document.write(&vec![b'1'; DOCUMENT_BYTES_MAX]).unwrap();
        assert_eq!(document.snapshot().unwrap().len(), DOCUMENT_BYTES_MAX);
    }
    // It never shrinks in place.
    document.write(b"1").unwrap();
    assert!(fs::metadata(document.path()).unwrap().len() > 64 << 20);
}

#[test]
fn role_in_a_full_memory() {
    if assigned("space::role_in_a_full_memory").is_none() {
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
    assert!(error.to_string().contains(" bytes free"), "{error}");
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
    // Not even room for a control file.
    let filler = fs::File::create("/dev/shm/filler").unwrap();
    while (&filler).write(&[0; 4096]).is_ok_and(|size| size > 0) {}
    let error = Document::create(own.run.id(), &task("u"), SIZE_DEFAULT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(error.to_string().contains("bytes, /dev/shm has "), "{error}");
    assert_eq!(Document::list(own.run.id()).unwrap(), [task("t")]);
}

#[test]
fn a_full_memory_is_one_clear_line_and_the_old_document_stays() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=64k none /dev/shm && shift && exec \"$@\"";
    in_namespace(script, "space::role_in_a_full_memory", folder.path());
}

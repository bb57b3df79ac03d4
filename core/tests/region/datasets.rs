//! Datasets: put in place whole, valid for those who hold them, gone when removed.

use crate::roles::{Random, assigned, start};
use crate::{own_run, task};
use otto_core::region::{Dataset, Publisher};
use otto_core::run::RunId;
use otto_core::{Error, ErrorKind, Json};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::thread;

fn bytes_of(dataset: &Dataset) -> Vec<u8> {
    let mut out = vec![0; dataset.info().size as usize];
    dataset.read_at(0, &mut out).unwrap();
    out
}

#[test]
fn what_is_published_comes_back() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    let about = Json::parse(r#"{"dtype":"<f8","shape":[3]}"#).unwrap();
    for size in [0, 1, 4095, 4096, 4097, 1_000_000] {
        let bytes: Vec<u8> = (0..size).map(|n: u32| (n * 7 % 251) as u8).collect();
        let info = Dataset::publish(run, &name, &mut &bytes[..], None, &about).unwrap();
        assert_eq!(info.size, u64::from(size));
        let dataset = Dataset::open(run, &name).unwrap();
        assert_eq!((dataset.info(), Dataset::stat(run, &name).unwrap()), (&info, info.clone()));
        assert_eq!(bytes_of(&dataset), bytes);
        assert_eq!(dataset.info().about, about);
        let error = dataset.read_at(u64::from(size), &mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        // The file is the bytes, for any program, and nobody may change it.
        let file = fs::read(run.dataset_path(&name)).unwrap();
        assert_eq!(file, bytes);
        assert_eq!(fs::metadata(run.dataset_path(&name)).unwrap().mode() & 0o777, 0o400);
    }
    assert_eq!(Dataset::stat(run, &name).unwrap().generation, 6);
}

#[test]
fn files_go_in_and_out_through_the_kernel() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    let mut source = tempfile::tempfile().unwrap();
    source.write_all(&vec![5; 10_000_000]).unwrap();
    source.seek(SeekFrom::Start(1)).unwrap();
    let mut told = 0;
    let progress = &mut |done| {
        assert!(told <= done);
        told = done;
        Ok(())
    };
    let info = Publisher::new(run, &name).progress(progress).file(&source).unwrap();
    assert_eq!((info.size, told), (9_999_999, 9_999_999));
    let path = tempfile::NamedTempFile::new().unwrap();
    let mut out = File::create(path.path()).unwrap();
    out.write_all(b"before it").unwrap();
    let dataset = Dataset::open(run, &name).unwrap();
    dataset.copy_to(&out, &mut |_| Ok(())).unwrap();
    let copied = fs::read(path.path()).unwrap();
    assert_eq!((&copied[..9], copied.len()), (&b"before it"[..], 10_000_008));
    assert!(copied[9..].iter().all(|byte| *byte == 5));
    // A log that is appended to, where the kernel copies nothing by itself.
    let log = File::options().append(true).open(path.path()).unwrap();
    dataset.copy_to(&log, &mut |_| Ok(())).unwrap();
    assert_eq!(fs::metadata(path.path()).unwrap().len(), 20_000_007);
    let stop = || Error::new(ErrorKind::Interrupted, "enough");
    let error = dataset.copy_to(&log, &mut |_| Err(stop())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn anything_that_can_be_read_can_be_published() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    // A file that says it is empty and is not.
    let file = File::open("/proc/self/status").unwrap();
    assert!(Publisher::new(run, &name).file(&file).unwrap().size > 100);
    let (read, write) = io::pipe().unwrap();
    let writer = thread::spawn(move || {
        let mut write = write;
        for n in 0..1000_u32 {
            write.write_all(&[n as u8; 777]).unwrap();
        }
    });
    assert_eq!(Publisher::new(run, &name).file(&read).unwrap().size, 777_000);
    writer.join().unwrap();
    let expected: Vec<u8> = (0..1000_u32).flat_map(|n| [n as u8; 777]).collect();
    assert!(bytes_of(&Dataset::open(run, &name).unwrap()) == expected);
    // A plain file gives what it holds now, also while it grows.
    let growing = tempfile::NamedTempFile::new().unwrap();
    fs::write(growing.path(), vec![1; 5_000_000]).unwrap();
    let file = growing.reopen().unwrap();
    let mut appended = File::options().append(true).open(growing.path()).unwrap();
    let mut grow = |_| {
        appended.write_all(&vec![2; 5_000_000]).unwrap();
        Ok(())
    };
    assert_eq!(Publisher::new(run, &name).progress(&mut grow).file(&file).unwrap().size, 5_000_000);
    // One that is cut short meanwhile gives what is left.
    let file = growing.reopen().unwrap();
    let mut cut = |_| {
        file.set_len(1000).unwrap();
        Ok(())
    };
    assert_eq!(Publisher::new(run, &name).progress(&mut cut).file(&file).unwrap().size, 1000);
    let folder = File::open("/").unwrap();
    let error = Publisher::new(run, &name).file(&folder).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn a_replaced_or_removed_dataset_stays_for_its_holders() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    let publish = |text: &[u8]| {
        Dataset::publish(run, &name, &mut &text[..], Some(text.len() as u64), &Json::null())
            .unwrap()
    };
    publish(b"first");
    let first = Dataset::open(run, &name).unwrap();
    publish(b"second, and longer");
    let second = Dataset::open(run, &name).unwrap();
    assert_eq!(Dataset::list(run).unwrap(), std::slice::from_ref(&name));
    Dataset::remove(run, &name).unwrap();
    assert_eq!(bytes_of(&first), b"first");
    assert_eq!(bytes_of(&second), b"second, and longer");
    assert_eq!(Dataset::open(run, &name).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Dataset::remove(run, &name).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(Dataset::list(run).unwrap().is_empty());
}

#[test]
fn a_source_that_fails_publishes_nothing() {
    struct Failing(u32);
    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 < 3 { Ok(out.len()) } else { Err(io::Error::other("the source broke")) }
        }
    }
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    Dataset::publish(run, &name, &mut &b"old"[..], None, &Json::null()).unwrap();
    let error = Dataset::publish(run, &name, &mut Failing(0), None, &Json::null()).unwrap_err();
    assert!(error.to_string().contains("the source broke"), "{error}");
    let error =
        Dataset::publish(run, &name, &mut &b"short"[..], Some(6), &Json::null()).unwrap_err();
    assert!(error.to_string().contains("it ended after 5 of 6 bytes"), "{error}");
    assert_eq!(bytes_of(&Dataset::open(run, &name).unwrap()), b"old");
    let leftovers = fs::read_dir("/dev/shm").unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.starts_with(&format!(".otto-{run}.ds-"))
    });
    assert_eq!(leftovers.count(), 1, "more than the label of what is published");
}

/// Publishes for ever: 100,000 equal bytes.
#[test]
fn role_publisher() {
    let Some((_, run)) = assigned("datasets::role_publisher") else { return };
    for n in 0.. {
        let bytes = vec![n as u8; 100_000];
        Dataset::publish(RunId(run), &task("d"), &mut &bytes[..], Some(100_000), &Json::null())
            .unwrap();
    }
}

#[test]
fn killed_publishers_leave_a_whole_dataset() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    Dataset::publish(run, &name, &mut &[0; 100_000][..], None, &Json::null()).unwrap();
    let mut random = Random(0xDA7A);
    for _ in 0..20 {
        let before = Dataset::stat(run, &name).unwrap().generation;
        let folder = std::env::temp_dir();
        let mut publishers = [(); 2].map(|()| start("datasets::role_publisher", &folder, run.0));
        while Dataset::stat(run, &name).unwrap().generation < before + 10 + random.below(20) {
            let dataset = Dataset::open(run, &name).unwrap();
            let bytes = bytes_of(&dataset);
            assert_eq!(bytes.len(), 100_000);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "half a dataset");
        }
        for publisher in &mut publishers {
            publisher.kill().unwrap();
            publisher.wait().unwrap();
        }
    }
}

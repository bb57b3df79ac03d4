//! Datasets: put in place whole, valid for those who hold them, gone when removed.

use crate::roles::{Random, assigned, start};
use crate::{own_run, task};
use otto_core::region::Dataset;
use otto_core::run::RunId;
use otto_core::{ErrorKind, Json};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;

fn bytes_of(dataset: &mut Dataset) -> Vec<u8> {
    let mut out = Vec::new();
    dataset.copy_to(&mut out).unwrap();
    let mut at = vec![0; out.len()];
    dataset.read_at(0, &mut at).unwrap();
    assert_eq!(out, at);
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
        let mut dataset = Dataset::open(run, &name).unwrap();
        assert_eq!((dataset.info(), Dataset::stat(run, &name).unwrap()), (&info, info.clone()));
        assert_eq!(bytes_of(&mut dataset), bytes);
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
    let mut source = tempfile::tempfile().unwrap();
    source.write_all(&vec![5; 300_000]).unwrap();
    io::Seek::rewind(&mut source).unwrap();
    let size = Some(source.metadata().unwrap().len());
    let name = task("d");
    Dataset::publish(own.run.id(), &name, &mut source, size, &Json::null()).unwrap();
    let path = tempfile::NamedTempFile::new().unwrap();
    let mut out = File::create(path.path()).unwrap();
    Dataset::open(own.run.id(), &name).unwrap().copy_to(&mut out).unwrap();
    assert_eq!(fs::read(path.path()).unwrap(), vec![5; 300_000]);
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
    let mut first = Dataset::open(run, &name).unwrap();
    publish(b"second, and longer");
    let mut second = Dataset::open(run, &name).unwrap();
    assert_eq!(Dataset::list(run).unwrap(), std::slice::from_ref(&name));
    Dataset::remove(run, &name).unwrap();
    assert_eq!(bytes_of(&mut first), b"first");
    assert_eq!(bytes_of(&mut second), b"second, and longer");
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
    assert_eq!(bytes_of(&mut Dataset::open(run, &name).unwrap()), b"old");
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
            let mut dataset = Dataset::open(run, &name).unwrap();
            let bytes = bytes_of(&mut dataset);
            assert_eq!(bytes.len(), 100_000);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "half a dataset");
        }
        for publisher in &mut publishers {
            publisher.kill().unwrap();
            publisher.wait().unwrap();
        }
    }
}

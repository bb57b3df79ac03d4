//! A dataset that somebody has damaged is an error that says so, never a signal or an endless wait;
//! and it can be published anew.

use crate::roles::scaled;
use crate::{own_run, task};
use otto_core::region::{Dataset, DatasetBuilder, Publisher, RegionKind, Spill, regions};
use otto_core::run::{Owner, RunId};
use otto_core::{ErrorKind, Json};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const BYTES: &[u8] = &[7; 10_000];

fn label(run: RunId) -> PathBuf {
    let found = fs::metadata(run.dataset_path(&task("d"))).unwrap();
    let name = format!(".otto-{run}.ds-d.{:x}-{:x}", found.dev(), found.ino());
    Path::new("/dev/shm").join(name)
}

/// Makes the file writable, as who means harm would.
fn writable(path: &Path) -> File {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    File::options().read(true).write(true).open(path).unwrap()
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// What is done to the data file and its label, and what kind of error that is; `None`: it is
/// another program's file then, to be read as it is.
type Damage = (&'static str, fn(&Path, &Path), Option<ErrorKind>);

const DAMAGES: [Damage; 16] = [
    ("label cut", |_, label| writable(label).set_len(30).unwrap(), Some(ErrorKind::Corrupt)),
    ("label empty", |_, label| writable(label).set_len(0).unwrap(), Some(ErrorKind::Corrupt)),
    ("label long", |_, label| writable(label).set_len(1 << 40).unwrap(), Some(ErrorKind::Corrupt)),
    (
        "label noise",
        |_, label| writable(label).write_all_at(b"noise", 10).unwrap(),
        Some(ErrorKind::Corrupt),
    ),
    ("label removed", |_, label| fs::remove_file(label).unwrap(), None),
    (
        "label a FIFO",
        |_, label| fs::remove_file(label).map(|()| fifo(label)).unwrap(),
        Some(ErrorKind::Io),
    ),
    (
        "label a link",
        |data, label| fs::remove_file(label).and_then(|()| symlink(data, label)).unwrap(),
        Some(ErrorKind::Io),
    ),
    (
        "label a folder",
        |_, label| fs::remove_file(label).and_then(|()| fs::create_dir(label)).unwrap(),
        Some(ErrorKind::Io),
    ),
    ("data cut", |data, _| writable(data).set_len(5000).unwrap(), Some(ErrorKind::Corrupt)),
    ("data longer", |data, _| writable(data).set_len(50_000).unwrap(), Some(ErrorKind::Corrupt)),
    (
        "data noise",
        |data, _| writable(data).write_all_at(b"noise", 10).unwrap(),
        Some(ErrorKind::Corrupt),
    ),
    (
        "data another file",
        |data, _| fs::remove_file(data).and_then(|()| fs::write(data, BYTES)).unwrap(),
        None,
    ),
    (
        "data a link",
        |data, _| fs::remove_file(data).and_then(|()| symlink("/etc/hosts", data)).unwrap(),
        Some(ErrorKind::Io),
    ),
    (
        "data a link to nothing of ours",
        |data, _| {
            fs::remove_file(data).and_then(|()| symlink("/var/tmp/otto-0/1/d.0", data)).unwrap();
        },
        Some(ErrorKind::Io),
    ),
    (
        "data a FIFO",
        |data, _| fs::remove_file(data).map(|()| fifo(data)).unwrap(),
        Some(ErrorKind::Io),
    ),
    (
        "data with a second name",
        |data, _| fs::hard_link(data, data.with_extension("ds-e")).unwrap(),
        Some(ErrorKind::Io),
    ),
];

#[test]
fn damage_is_an_error_and_no_obstacle() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    let path = run.dataset_path(&name);
    for _ in 0..scaled(1, 50) {
        for (what, damage, expected) in DAMAGES {
            Publisher::new(run, &name).bytes(BYTES).unwrap();
            let before = Dataset::open(run, &name).unwrap();
            let label = label(run);
            damage(&path, &label);
            for found in
                [Dataset::stat(run, &name), Dataset::open(run, &name).map(|d| d.info().clone())]
            {
                match expected {
                    Some(kind) => assert_eq!(found.unwrap_err().kind(), kind, "{what}"),
                    None => {
                        let found = found.unwrap();
                        assert_eq!((found.size, found.generation), (10_000, 0), "{what}");
                    }
                }
            }
            // Who had it open before finds out, too, at the latest when the bytes are not there.
            let copied = before.copy_to(File::create("/dev/null").unwrap(), &mut |_| Ok(()));
            assert_eq!(
                copied.map_err(|error| error.kind()),
                match what {
                    "data cut" => Err(ErrorKind::Corrupt),
                    _ => Ok(()),
                },
                "{what}"
            );
            assert_eq!(before.read_at(9000, &mut [0; 10]).is_err(), what == "data cut", "{what}");
            assert!(regions().unwrap().iter().any(|region| region.run == run), "{what}");
            // What is none of ours stays until somebody says that it may go.
            let anew = Publisher::new(run, &name).bytes(BYTES);
            if expected == Some(ErrorKind::Io) && what.starts_with("data") {
                assert_eq!(anew.unwrap_err().kind(), ErrorKind::Io, "{what}");
                Dataset::remove(run, &name).unwrap();
                Publisher::new(run, &name).bytes(BYTES).unwrap();
            } else {
                anew.unwrap_or_else(|error| panic!("{what}: {error}"));
            }
            assert_eq!(Dataset::stat(run, &name).unwrap().size, 10_000, "{what}");
            Dataset::remove(run, &name).unwrap();
            let _ = fs::remove_dir(label);
            let _ = fs::remove_file(path.with_extension("ds-e"));
        }
    }
    fs::create_dir(&path).unwrap();
    assert_eq!(Dataset::open(run, &name).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(Publisher::new(run, &name).bytes(BYTES).unwrap_err().kind(), ErrorKind::Io);
    fs::remove_dir(&path).unwrap();
}

#[test]
fn another_user_s_file_is_not_taken() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    let path = run.dataset_path(&name);
    fs::write(&path, BYTES).unwrap();
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    for error in [
        Dataset::open(run, &name).map(drop).unwrap_err(),
        Dataset::stat(run, &name).map(drop).unwrap_err(),
        Publisher::new(run, &name).bytes(b"ours").map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("not a plain file of yours"), "{error}");
    }
    assert!(regions().unwrap().iter().all(|region| region.run != run));
    std::os::unix::fs::chown(&path, Some(0), None).unwrap();
}

#[test]
fn two_gib_and_a_little_come_back() {
    let room = rustix::fs::statvfs("/dev/shm").unwrap();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap();
    let available: u64 = available.trim_matches([' ', 'k', 'B']).parse().unwrap();
    if room.f_bavail * room.f_frsize < 3 << 30 || available < 4 << 20 {
        eprintln!("skipped: this machine has no 3 GiB of shared memory to spare");
        return;
    }
    const SIZE: u64 = (2 << 30) + 4097;
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    let source = tempfile::tempfile().unwrap();
    source.set_len(SIZE).unwrap();
    let marks = [0, (1 << 31) - 1, 1 << 31, SIZE - 1];
    for at in marks {
        source.write_all_at(&[9], at).unwrap();
    }
    let info = Publisher::new(run, &name).spill(Spill::Never).file(&source).unwrap();
    assert_eq!(info.size, SIZE);
    let dataset = Dataset::open(run, &name).unwrap();
    for at in marks {
        let mut bytes = [0; 1];
        dataset.read_at(at, &mut bytes).unwrap();
        assert_eq!(bytes, [9], "at {at}");
    }
    let copy = tempfile::tempfile_in("/dev/shm").unwrap();
    let mut told = 0;
    let mut enough = |done| {
        told = done;
        Ok(())
    };
    dataset.copy_to(&copy, &mut enough).unwrap();
    assert_eq!((copy.metadata().unwrap().len(), told), (SIZE, SIZE));
    for at in marks {
        let mut bytes = [0; 1];
        copy.read_exact_at(&mut bytes, at).unwrap();
        assert_eq!(bytes, [9], "at {at}");
    }
}

#[test]
fn builders_publish_once_and_leave_nothing_otherwise() {
    let own = own_run();
    let (run, name) = (own.run.id(), task("d"));
    for size in [0, 1, 4095, 4096, 4097] {
        for header in [&b""[..], &[b'h'; 64]] {
            drop(DatasetBuilder::new(run, &name, header, size, Spill::Never).unwrap());
            assert_eq!(Dataset::open(run, &name).unwrap_err().kind(), ErrorKind::NotFound);
            let mut builder = DatasetBuilder::new(run, &name, header, size, Spill::Never).unwrap();
            assert_eq!((builder.len() as u64, builder.is_empty()), (size, size == 0));
            assert!(builder.as_mut_ptr().addr().is_multiple_of(64));
            builder.publish(&Json::null()).unwrap();
            let error = builder.publish(&Json::null()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            let file = fs::read(run.dataset_path(&name)).unwrap();
            assert_eq!((&file[..header.len()], file.len()), (header, header.len() + size as usize));
            let dataset = Dataset::open(run, &name).unwrap();
            assert_eq!((dataset.info().offset, dataset.info().size), (header.len() as u64, size));
            assert!(!dataset.as_ptr().is_null());
            Dataset::remove(run, &name).unwrap();
        }
    }
    let error = DatasetBuilder::new(run, &name, b"", u64::MAX, Spill::Never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = DatasetBuilder::new(run, &name, b"", 1 << 60, Spill::WhenFull).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
}

#[test]
fn every_run_s_regions_are_listed_with_their_owner() {
    let own = own_run();
    let (run, unknown) = (own.run.id(), RunId(u64::MAX - u64::from(std::process::id())));
    // Somebody's lock file that nobody holds.
    let dead = RunId(unknown.0 - (1 << 40));
    for run in [run, unknown, dead] {
        Publisher::new(run, &task("d")).bytes(BYTES).unwrap();
    }
    fs::write(dead.lock_path(), "left\n").unwrap();
    let mut document = otto_core::region::Document::create(run, &task("d"), 4096).unwrap();
    document.write(b"[1]").unwrap();
    let found = regions().unwrap();
    let of = |run: RunId| -> Vec<_> {
        let regions = found.iter().filter(|region| region.run == run);
        regions.map(|region| (region.kind, region.size, region.owner)).collect()
    };
    let documents = (RegionKind::Document, 3, Owner::Alive);
    assert_eq!(of(run), [documents, (RegionKind::Dataset, 10_000, Owner::Alive)]);
    assert_eq!(of(unknown), [(RegionKind::Dataset, 10_000, Owner::Unknown)]);
    let was_dead = of(dead);
    // Another test's run may just have begun, and cleaned up.
    if !was_dead.is_empty() {
        assert_eq!(was_dead, [(RegionKind::Dataset, 10_000, Owner::Dead)]);
    }
    assert!(found.is_sorted_by_key(|region| (region.run, region.name.clone(), region.kind)));
    for run in [unknown, dead] {
        let _ = Dataset::remove(run, &task("d"));
    }
    let _ = fs::remove_file(dead.lock_path());
}

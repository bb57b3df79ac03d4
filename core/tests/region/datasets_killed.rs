//! Publishers killed at any moment leave the old dataset or the new one, and nothing that the next
//! publisher does not remove; in memory, and on disk where memory is full.

use crate::roles::{Random, assigned, figures, in_namespace, scaled, start};
use crate::{own_run, task};
use otto_core::region::{Dataset, DatasetBuilder, Publisher, Spill};
use otto_core::run::{Descendants, Run, RunId, clean_dead_runs};
use otto_core::{ErrorKind, Json};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::Instant;

const SMALL: usize = 50_000;
/// More than the memory has in the tests below where it is full.
const LARGE: usize = 3_000_000;

/// Publishes `size` bytes, all of them `byte`, in one of the ways there are.
fn publish(run: RunId, way: u64, byte: u8, size: usize) -> otto_core::Result<()> {
    let (name, bytes) = (task("d"), vec![byte; size]);
    let publisher = Publisher::new(run, &name).spill(Spill::WhenFull);
    match way % 4 {
        0 => drop(publisher.bytes(&bytes)?),
        1 => drop(publisher.header(&[byte; 64]).read(&mut &bytes[..], None)?),
        2 => {
            let (read, mut write) = io::pipe().unwrap();
            let writer = thread::spawn(move || write.write_all(&bytes));
            publisher.file(&read)?;
            writer.join().unwrap().unwrap();
        }
        _ => {
            // Nothing but zeros: a test may not write through an address.
            let size = size as u64;
            let mut builder = DatasetBuilder::new(run, &name, &[0; 64], size, Spill::WhenFull)?;
            builder.publish(&Json::null())?;
        }
    }
    Ok(())
}

/// Publishes for ever, each time in another way and sometimes more than fits into little memory.
#[test]
fn role_publisher_of_all_ways() {
    let Some((place, run)) = assigned("datasets_killed::role_publisher_of_all_ways") else {
        return;
    };
    let seed: u64 = place.to_str().unwrap().parse().unwrap();
    let mut random = Random(seed);
    loop {
        let size = [0, 1, SMALL, LARGE][random.below(4) as usize];
        if let Err(error) = publish(RunId(run), random.below(4), random.below(256) as u8, size) {
            eprintln!("{error}");
            std::process::exit(3);
        }
        if random.below(8) == 0 {
            let _ = Dataset::remove(RunId(run), &task("d"));
        }
    }
}

/// Whether what is published now, if anything is, is whole; its generation.
fn generation(run: RunId) -> u64 {
    match Dataset::open(run, &task("d")) {
        Ok(dataset) => {
            let mut bytes = vec![0; dataset.info().size as usize];
            dataset.read_at(0, &mut bytes).unwrap();
            assert!([0, 1, SMALL, LARGE].contains(&bytes.len()), "{} bytes", bytes.len());
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "half a dataset");
            dataset.info().generation
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            0
        }
    }
}

fn files(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix)).collect()
}

fn spilled(run: RunId) -> PathBuf {
    PathBuf::from(format!("/var/tmp/otto-{}/{run}", nix::unistd::geteuid()))
}

/// One more publisher, and nothing is there but what it published.
fn assert_nothing_is_left(run: RunId) {
    let (shm, hidden) = (Path::new("/dev/shm"), format!(".otto-{run}.ds-d."));
    publish(run, 0, 7, SMALL).unwrap();
    assert_eq!(files(shm, &hidden).len(), 1, "{:?}", files(shm, &hidden));
    assert_eq!(files(&spilled(run), ""), Vec::<PathBuf>::new());
    let label = &files(shm, &hidden)[0];
    Dataset::remove(run, &task("d")).unwrap();
    assert!(!label.exists());
}

fn kill_publishers(run: RunId, kills: u64) {
    let (mut random, mut looks, mut killed, begin) = (Random(0xDA7A), 0, 0, Instant::now());
    for n in 0..kills {
        let publishers: Vec<Child> = (0..1 + random.below(3))
            .map(|which| {
                let seed = (n * 4 + which + 1).to_string();
                start("datasets_killed::role_publisher_of_all_ways", Path::new(&seed), run.0)
            })
            .collect();
        // Somebody has published something: all of them are at it, or about to begin.
        while generation(run) == 0 {}
        let more = random.below(20);
        for _ in 0..more {
            generation(run);
        }
        looks += more + 2;
        for mut publisher in publishers {
            publisher.kill().unwrap();
            let status = publisher.wait().unwrap();
            assert_eq!(status.code(), None, "a publisher has failed");
            killed += 1;
        }
        generation(run);
        assert_nothing_is_left(run);
    }
    figures(format_args!(
        "datasets: {killed} publishers killed, {looks} looks, 0 torn, nothing left, {:?}",
        begin.elapsed()
    ));
}

#[test]
fn killed_publishers_leave_nothing() {
    let own = own_run();
    kill_publishers(own.run.id(), scaled(50, 1000));
}

/// Publishes 30 times.
#[test]
fn role_first_publisher() {
    let Some((_, run)) = assigned("datasets_killed::role_first_publisher") else { return };
    for n in 0..30 {
        publish(RunId(run), n, n as u8, SMALL).unwrap();
    }
}

#[test]
fn of_several_first_publishers_each_is_counted_once() {
    let own = own_run();
    let run = own.run.id();
    for _ in 0..scaled(2, 40) {
        let publishers: Vec<Child> = (0..8)
            .map(|_| start("datasets_killed::role_first_publisher", Path::new(""), run.0))
            .collect();
        for mut publisher in publishers {
            assert!(publisher.wait().unwrap().success());
        }
        assert_eq!(generation(run), 240);
        assert_nothing_is_left(run);
    }
}

/// Memory of its own with 2 MiB in it, and a disk with 64.
fn with_little_memory(role: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=2m none /dev/shm && \
        mount -t tmpfs -o size=64m none /var/tmp && shift && exec \"$@\"";
    in_namespace(script, role, folder.path());
}

/// To the last page.
fn fill_memory() {
    let free = rustix::fs::statvfs("/dev/shm").unwrap();
    let filler = vec![1; (free.f_bavail * free.f_frsize) as usize];
    fs::write("/dev/shm/filler", filler).unwrap();
}

#[test]
fn role_spilling() {
    let Some(_) = assigned("datasets_killed::role_spilling") else { return };
    let own = Run::create(Descendants::Left).unwrap();
    let (run, name) = (own.id(), task("d"));
    for way in 0..4 {
        let byte = if way == 3 { 0 } else { 9 };
        publish(run, way, byte, LARGE).unwrap();
        let dataset = Dataset::open(run, &name).unwrap();
        assert!(dataset.info().on_disk, "way {way}");
        assert_eq!(generation(run), way + 1);
        let mut end = [1];
        dataset.read_at(LARGE as u64 - 1, &mut end).unwrap();
        assert_eq!(end, [byte]);
        // Any program finds it under the same path.
        assert_eq!(
            fs::metadata(dataset.path()).unwrap().len(),
            dataset.info().offset + LARGE as u64
        );
        let (data, labels) = (files(&spilled(run), "d."), files(&spilled(run), "."));
        assert_eq!((data.len(), labels.len()), (1, 1), "{data:?} {labels:?}");
    }
    // A holder keeps what is replaced and removed, on disk too.
    let held = Dataset::open(run, &name).unwrap();
    publish(run, 0, 1, SMALL).unwrap();
    assert!(!Dataset::stat(run, &name).unwrap().on_disk);
    let mut bytes = vec![1; LARGE];
    held.read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
    assert_nothing_is_left(run);

    // What is not to go to disk is refused, and says how much there is.
    publish(run, 0, 5, SMALL).unwrap();
    let large = vec![1; LARGE];
    let refused = [
        Publisher::new(run, &name).bytes(&large),
        Publisher::new(run, &name).read(&mut &large[..], None),
        Dataset::publish(run, &name, &mut &large[..], Some(LARGE as u64), &Json::null()),
        DatasetBuilder::new(run, &name, b"", LARGE as u64, Spill::Never)
            .and_then(|mut builder| builder.publish(&Json::null())),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        let told: Vec<u64> =
            error.to_string().split(' ').filter_map(|word| word.parse().ok()).collect();
        let free = 2 * 1024 * 1024;
        let &[needed, 4096, left] = &told[..] else { panic!("{error}") };
        assert!(needed > free - SMALL as u64 && left > free - 100_000 && left < free, "{error}");
    }
    // The disk is full as well.
    let huge = vec![1; 70 << 20];
    for error in [
        Publisher::new(run, &name).spill(Spill::WhenFull).bytes(&huge).unwrap_err(),
        Publisher::new(run, &name).spill(Spill::WhenFull).read(&mut &huge[..], None).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert!(error.to_string().contains("/var/tmp"), "{error}");
    }
    assert_eq!(generation(run), 1);
    assert_eq!(files(&spilled(run), ""), Vec::<PathBuf>::new());

    // To the last page, where the label has no room any more.
    Dataset::remove(run, &name).unwrap();
    fill_memory();
    for way in 0..4 {
        publish(run, way, 0, SMALL).unwrap();
        assert!(Dataset::stat(run, &name).unwrap().on_disk, "way {way}");
    }
    fs::remove_file("/dev/shm/filler").unwrap();
    Dataset::remove(run, &name).unwrap();

    // One that had its room, before others took all that was left.
    for spill in [Spill::WhenFull, Spill::Never] {
        let size = SMALL as u64;
        let mut builder = DatasetBuilder::new(run, &name, &[0; 64], size, spill).unwrap();
        fill_memory();
        match builder.publish(&Json::null()) {
            Ok(info) => assert!(info.on_disk && spill == Spill::WhenFull),
            Err(error) => assert!(error.kind() == ErrorKind::Full && spill == Spill::Never),
        }
        assert_eq!(generation(run), 1);
        fs::remove_file("/dev/shm/filler").unwrap();
    }
    Dataset::remove(run, &name).unwrap();
    assert_eq!(files(&spilled(run), ""), Vec::<PathBuf>::new());

    kill_publishers(run, scaled(30, 500));
    publish(run, 0, 1, LARGE).unwrap();
    drop(own);
    assert!(!spilled(run).exists());
    assert_eq!(files(Path::new("/dev/shm"), ""), Vec::<PathBuf>::new());
}

#[test]
fn with_a_full_memory_datasets_go_to_disk() {
    with_little_memory("datasets_killed::role_spilling");
}

/// Owns a run, publishes, and is killed.
#[test]
fn role_owner() {
    let Some(_) = assigned("datasets_killed::role_owner") else { return };
    let own = Run::create(Descendants::Left).unwrap();
    publish(own.id(), 0, 1, LARGE).unwrap();
    assert!(Dataset::stat(own.id(), &task("d")).unwrap().on_disk);
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn role_cleaner() {
    let Some((place, _)) = assigned("datasets_killed::role_cleaner") else { return };
    let alive = Run::create(Descendants::Left).unwrap();
    publish(alive.id(), 0, 1, LARGE).unwrap();
    let mut owner = start("datasets_killed::role_owner", &place, 0);
    let dead = RunId(u64::from(owner.id()));
    owner.wait().unwrap();
    // Of unknown state: its lock is not there.
    publish(RunId(1), 0, 2, LARGE).unwrap();
    assert!(spilled(dead).is_dir());
    assert_eq!(clean_dead_runs().unwrap(), [dead]);
    assert!(!spilled(dead).exists() && !dead.dataset_path(&task("d")).exists());
    for run in [alive.id(), RunId(1)] {
        assert_eq!(generation(run), 1, "run {run}");
    }
}

#[test]
fn what_a_killed_run_has_on_disk_goes_with_the_next_start() {
    with_little_memory("datasets_killed::role_cleaner");
}

//! Writers and menders killed at random moments, while others write and read.

use crate::roles::{Random, Report, assigned, figures, scaled, spin, start, start_silently};
use crate::torn::commit_only;
use crate::{own_run, task};
use nix::fcntl::{Flock, FlockArg};
use otto_core::region::{Document, SIZE_DEFAULT};
use otto_core::run::RunId;
use otto_core::{ErrorKind, Json, Object};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// An object that shows whether it is whole: how often each of its writers has written, and padding
/// that follows from the sum.
pub(crate) fn counted_object(counts: &[u64]) -> String {
    let n: u64 = counts.iter().sum();
    let filler = char::from(b'a' + (n % 26) as u8).to_string();
    // Now and then one whose copy takes long enough to be killed in.
    let times = if n.is_multiple_of(4) { 8 } else { 1 };
    let pad = filler.repeat((n * 7919 % 40_000 * times) as usize);
    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
    format!(r#"{{"counts":[{}],"n":{n},"pad":"{pad}"}}"#, counts.join(","))
}

/// The counts of a [`counted_object`]; `None` when it is not whole.
pub(crate) fn counts_of(json: &[u8]) -> Option<Vec<u64>> {
    let text = std::str::from_utf8(json).ok()?;
    let counts = text.strip_prefix(r#"{"counts":["#)?.split_once(']')?.0;
    let counts: Vec<u64> = counts.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    (text == counted_object(&counts)).then_some(counts)
}

/// Within a writer's role: the report at its place, its number, which the file's name ends in, and
/// what follows a dot in it.
pub(crate) fn writer_at(place: &Path) -> (Report, usize, String) {
    let name = place.file_name().unwrap().to_str().unwrap();
    let (number, rest) = name.split_once('.').unwrap_or((name, ""));
    (Report::at(place), number.parse().unwrap(), rest.to_owned())
}

/// Counts its writes of the document `t` of run `count` for ever.
#[test]
fn role_writer() {
    let Some((place, run)) = assigned("killed::role_writer") else { return };
    let (report, own, _) = writer_at(&place);
    let mut document = Document::open(RunId(run), &task("t")).unwrap();
    let mut others = 0;
    loop {
        // Whoever writes without a pause keeps out who looks at the lock once in a millisecond.
        thread::sleep(Duration::from_micros(200 * others));
        let count = document.update(|object| {
            let mut counts = counts_of(&object.to_bytes()).expect("a torn document");
            others = counts.len() as u64 - 1;
            counts[own] += 1;
            *object = Object::parse(counted_object(&counts).as_bytes())?;
            Ok(counts[own])
        });
        report.set(count.unwrap());
    }
}

/// Writers of one document, one of which is killed again and again.
pub(crate) struct Hunt<'a> {
    /// The role of each writer, and what it is told beside its number.
    pub(crate) role: &'a str,
    pub(crate) told: &'a str,
    pub(crate) writers: usize,
    pub(crate) readers: usize,
    pub(crate) kills: u64,
    /// Whether to stop at the first thing that is wrong.
    pub(crate) until_bad: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) kills: u64,
    /// Kills after a commit and before its writer knew.
    pub(crate) midway: u64,
    pub(crate) reads: u64,
    pub(crate) torn: u64,
    pub(crate) lost: u64,
    pub(crate) backwards: u64,
    /// Time from each kill until the lock could be taken.
    pub(crate) lock: Vec<Duration>,
    /// All of it together.
    pub(crate) took: Duration,
}

impl Seen {
    pub(crate) fn bad(&self) -> u64 {
        self.torn + self.lost + self.backwards
    }
}

impl Hunt<'_> {
    fn start(&self, folder: &Path, number: usize, run: RunId) -> (Child, PathBuf) {
        let place = folder.join(format!("{number}.{}", self.told));
        let start = if self.until_bad { start_silently } else { start };
        (start(self.role, &place, run.0), place)
    }

    pub(crate) fn run(&self) -> Seen {
        let own = own_run();
        let (run, begin) = (own.run.id(), Instant::now());
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
        document.write(counted_object(&vec![0; self.writers]).as_bytes()).unwrap();
        let control = File::open(run.control_path(&task("t"))).unwrap();
        let (done, reads) = (AtomicBool::new(false), AtomicU64::new(0));
        let aiming = AtomicBool::new(false);
        let (torn, backwards) = (AtomicU64::new(0), AtomicU64::new(0));
        let mut seen = Seen::default();
        let mut random = Random(0xD0C5);
        thread::scope(|scope| {
            for _ in 0..self.readers {
                scope.spawn(|| {
                    let mut document = Document::open(run, &task("t")).unwrap();
                    let mut last = vec![0; self.writers];
                    while !done.load(Relaxed) {
                        if aiming.load(Relaxed) {
                            // On few cores neither victim nor killer would get to run.
                            thread::sleep(Duration::from_micros(100));
                        }
                        let counts = document.snapshot().map_or(None, counts_of);
                        let Some(counts) = counts else {
                            torn.fetch_add(1, Relaxed);
                            continue;
                        };
                        if counts.iter().zip(&last).any(|(now, before)| now < before) {
                            backwards.fetch_add(1, Relaxed);
                        }
                        last = counts;
                        reads.fetch_add(1, Relaxed);
                    }
                });
            }
            let mut writers: Vec<_> =
                (0..self.writers).map(|number| self.start(folder.path(), number, run)).collect();
            while seen.kills < self.kills && !(self.until_bad && seen.bad() > 0) {
                let victim = random.below(self.writers as u64) as usize;
                let (child, place) = &mut writers[victim];
                let report = Report::at(place);
                let before = report.get();
                // One of a broken kind may have given up: that is a finding, too.
                if !report.rises_above(before, child) {
                    seen.torn += 1;
                }
                if random.below(2) == 0 {
                    spin(Duration::from_micros(random.below(1000)));
                } else {
                    aiming.store(true, Relaxed);
                    await_commit(&control, child.id());
                    aiming.store(false, Relaxed);
                }
                let killed = Instant::now();
                child.kill().unwrap();
                let others: Vec<Report> = (0..self.writers)
                    .filter(|number| *number != victim)
                    .map(|number| Report::at(&writers[number].1))
                    .collect();
                seen.lock.push(lock_is_free_after(&control, &others, killed));
                writers[victim].0.wait().unwrap();
                seen.kills += 1;
                // What each of them was told is in there; at most one more is, untold.
                let told: Vec<u64> = writers.iter().map(|(_, at)| Report::at(at).get()).collect();
                match document.snapshot().map_or(None, counts_of) {
                    None => seen.torn += 1,
                    Some(counts) => {
                        let lost = counts.iter().zip(&told).any(|(count, told)| count < told);
                        let untold = counts[victim].saturating_sub(told[victim]);
                        seen.lost += u64::from(lost || untold > 1);
                        seen.midway += u64::from(untold == 1);
                    }
                }
                seen.torn += torn.swap(0, Relaxed);
                seen.backwards += backwards.swap(0, Relaxed);
                writers[victim] = self.start(folder.path(), victim, run);
            }
            for (child, _) in &mut writers {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            done.store(true, Relaxed);
        });
        seen.torn += torn.into_inner();
        seen.backwards += backwards.into_inner();
        seen.reads = reads.into_inner();
        seen.took = begin.elapsed();
        seen
    }
}

/// Waits until process `writer` is between a commit and its end; not for long, if it never is.
pub(crate) fn await_commit(control: &File, writer: u32) {
    let start = Instant::now();
    let mut page = [0; 0x104];
    while start.elapsed() < Duration::from_millis(10) {
        control.read_exact_at(&mut page, 0).unwrap();
        if page[0x40] % 2 == 1 && page[0x100..] == writer.to_le_bytes() {
            return;
        }
    }
}

/// The time from `killed` until nobody has the lock, or one of the living has had it: who asks now
/// and then as we do may wait long for a turn among busy writers.
fn lock_is_free_after(control: &File, living: &[Report], killed: Instant) -> Duration {
    let before: Vec<u64> = living.iter().map(Report::get).collect();
    loop {
        // One write may have ended before the kill, and be told of only now.
        if living.iter().zip(&before).any(|(report, before)| report.get() > before + 1) {
            return killed.elapsed();
        }
        let file = control.try_clone().unwrap();
        // A clone shares the lock, so it is released by hand.
        if let Ok(held) = Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            let free = killed.elapsed();
            held.unlock().map_err(|(_, error)| error).unwrap();
            return free;
        }
        assert!(killed.elapsed() < Duration::from_secs(20), "the lock is never free");
        thread::yield_now();
    }
}

fn hunt(writers: usize, kills: u64) {
    let hunt = Hunt {
        role: "killed::role_writer",
        told: "",
        writers,
        readers: 1,
        kills,
        until_bad: false,
    };
    let mut seen = hunt.run();
    seen.lock.sort_unstable();
    let at = |part: usize| seen.lock[(seen.lock.len() - 1) * part / 1000];
    let Seen { kills, midway, reads, torn, lost, backwards, took, .. } = seen;
    figures(format_args!(
        "random-kill: {writers} writers, {kills} kills ({midway} after the commit), {reads} reads, \
         {torn} torn, {lost} lost, {backwards} backwards; lock free after {:?}, 99% {:?}, worst {:?}; \
         {took:?}",
        at(500),
        at(990),
        at(1000)
    ));
    assert_eq!(seen.bad(), 0, "{torn} torn, {lost} lost, {backwards} backwards");
    assert!(reads > 100, "{reads} reads");
    // A busy machine may be late now and then; a lock that outlives its holder always is.
    assert!(at(950) <= Duration::from_millis(50), "the lock is free after {:?}", at(950));
}

#[test]
fn a_killed_writer_tears_and_loses_nothing() {
    hunt(1, scaled(250, 5000));
}

#[test]
fn the_writers_beside_a_killed_one_go_on() {
    hunt(3, scaled(150, 5000));
}

/// Waits until something has been copied to the public file at `path`, or for so long.
fn await_copy(path: &Path, longest: Duration) {
    let (public, start) = (File::open(path).unwrap(), Instant::now());
    let mut length = [0; 4];
    while length == [0; 4] && start.elapsed() < longest {
        let _ = public.read_exact_at(&mut length, 0);
    }
}

/// Reads, or writes, the document `t` of run `count` once it is told to; by what its place is named.
#[test]
fn role_mender() {
    let Some((place, run)) = assigned("killed::role_mender") else { return };
    let mut document = Document::open(RunId(run), &task("t")).unwrap();
    let (report, go) = (Report::at(&place), Report::at(&place.with_extension("go")));
    report.set(1);
    go.wait_above(0);
    if place.file_name().unwrap() == "reader" {
        document.read().unwrap();
    } else {
        // No object: the change is refused, after the recovery.
        let result = document.update(|object| {
            object.set("never", Json::null());
            Ok(())
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    report.set(2);
    loop {
        thread::park();
    }
}

#[test]
fn whoever_mends_may_be_killed_too() {
    let own = own_run();
    let run = own.run.id();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut random = Random(0x3E4D);
    let (kills, mut midway, mut after) = (scaled(50, 1000), 0, 0);
    let mut whole = Duration::ZERO;
    for turn in 0..=kills {
        for path in [run.document_path(&task("t")), run.control_path(&task("t"))] {
            let _ = fs::remove_file(path);
        }
        drop(Document::create(run, &task("t"), 16).unwrap());
        let mut json = vec![b' '; 1_000_000];
        json[..2].copy_from_slice(b"[]");
        commit_only(run, &json);
        let place = folder.path().join(if turn % 2 == 0 { "reader" } else { "writer" });
        let (report, go) = (Report::at(&place), Report::at(&place.with_extension("go")));
        report.set(0);
        go.set(0);
        let mut mender = start("killed::role_mender", &place, run.0);
        report.wait_above(0);
        let start = Instant::now();
        go.set(1);
        if turn == 0 {
            // How long it takes when nobody kills it.
            report.wait_above(1);
            whole = start.elapsed();
        } else if turn % 4 < 2 {
            spin(whole.mul_f64(random.below(1000) as f64 / 1000.0));
        } else {
            await_copy(&run.document_path(&task("t")), whole * 2);
        }
        mender.kill().unwrap();
        mender.wait().unwrap();
        let public = fs::read(run.document_path(&task("t"))).unwrap();
        let copied = !public.starts_with(&[0; 4]);
        let control = fs::read(run.control_path(&task("t"))).unwrap();
        let late = control[0x40] == 2 && turn > 0;
        after += u64::from(late);
        // How long it takes changes with what else the machine does.
        whole = whole.mul_f64(if late { 0.9 } else { 1.03 });
        midway += u64::from(control[0x40] == 1 && copied);
        let mut document = Document::open(run, &task("t")).unwrap();
        assert!(document.read().unwrap() == json, "turn {turn}: another document");
        let public = fs::read(run.document_path(&task("t"))).unwrap();
        assert!(public[4..].starts_with(&json), "turn {turn}: not mended");
        document.write(b"{}").unwrap();
        assert_eq!(document.read().unwrap(), b"{}");
    }
    figures(format_args!(
        "recoverer-kill: {kills} kills, {midway} while it copied, {after} after it, 0 bad"
    ));
    assert!(after < kills * 3 / 4, "most kills came too late");
}

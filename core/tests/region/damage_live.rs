//! Damage while others are at work with the files: each of them gets errors that say so, and goes on
//! with what takes the place of what was damaged.

use crate::damage::{DAMAGES, clear, damage, is_told};
use crate::roles::{Random, Report, assigned, checked_object, figures, number_of, scaled, start};
use crate::{own_run, task};
use otto_core::region::{Dataset, Document, Publisher, SIZE_DEFAULT};
use otto_core::run::RunId;
use otto_core::{ErrorKind, Json, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// What somebody does with the document `t` and the dataset `d` of a run, again and again.
struct AtWork {
    run: RunId,
    document: Option<Document>,
    written: u64,
}

const DUTIES: [&str; 5] = ["read", "write", "update", "wait", "view"];

impl AtWork {
    /// Once; whether it went well.
    fn once(&mut self, duty: &str) -> Result<bool> {
        if duty == "view" {
            return self.view();
        }
        let mut document = match self.document.take() {
            Some(document) => document,
            None => Document::open(self.run, &task("t"))?,
        };
        let result = match duty {
            "read" => document.read().map(|json| is_json(&json)),
            "write" => {
                self.written += 1;
                document.write(checked_object(self.written).as_bytes())
            }
            "update" => document.update(|object| {
                object.set("updated", Json::null());
                Ok(())
            }),
            _ => {
                let deadline = Instant::now() + Duration::from_millis(20);
                match document.wait(Some(deadline), &mut || Ok(())) {
                    Err(error) if error.kind() == ErrorKind::TimedOut => Ok(()),
                    result => result.map(|json| is_json(&json)),
                }
            }
        };
        // Sometimes with the same handle again after an error, sometimes with a new one.
        self.written += 1;
        if result.is_ok() || self.written.is_multiple_of(2) {
            self.document = Some(document);
        }
        result.map(|()| true)
    }

    fn view(&mut self) -> Result<bool> {
        let dataset = Dataset::open(self.run, &task("d"))?;
        let mut bytes = vec![0; dataset.info().size as usize];
        // Whatever happens to its name or its label meanwhile.
        dataset.read_at(0, &mut bytes)?;
        dataset.read_at(0, &mut bytes)?;
        Ok(bytes.iter().all(|byte| *byte == 7))
    }
}

fn is_json(json: &[u8]) {
    let text = std::str::from_utf8(json).expect("no JSON");
    // By chance it may be another's than ours.
    assert!(json.is_empty() || number_of(json).is_some() || Json::parse(text).is_ok(), "no JSON");
}

/// Counts in its place how often it has done its duty, and beside it how often that went well.
#[test]
fn role_at_work() {
    let Some((place, run)) = assigned("damage_live::role_at_work") else { return };
    let duty = place.file_name().unwrap().to_str().unwrap();
    let (all, good) = (Report::at(&place), Report::at(&place.with_extension("good")));
    let mut at_work = AtWork { run: RunId(run), document: None, written: 0 };
    loop {
        match at_work.once(duty) {
            Ok(well) => good.set(good.get() + u64::from(well)),
            Err(error) => is_told(duty, &error),
        }
        all.set(all.get() + 1);
    }
}

struct Worker {
    duty: &'static str,
    child: Child,
    place: PathBuf,
}

impl Worker {
    fn start(duty: &'static str, folder: &Path, run: RunId) -> Worker {
        let place = folder.join(duty);
        Worker { duty, child: start("damage_live::role_at_work", &place, run.0), place }
    }

    fn count(&self, place: &Path) -> u64 {
        Report::at(place).get()
    }

    /// Waits until the number at `place` is above `floor`.
    fn goes_on(&mut self, what: &str, place: &Path, floor: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Report::at(place).get() <= floor {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{what}: {} ended: {ended:?}", self.duty);
            assert!(Instant::now() < deadline, "{what}: {} hangs", self.duty);
            std::thread::yield_now();
        }
    }
}

fn make(run: RunId) {
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    document.write(checked_object(1).as_bytes()).unwrap();
    Publisher::new(run, &task("d")).bytes(&[7; 20_000]).unwrap();
}

fn label_of(data: &Path) -> PathBuf {
    let hidden = format!(".{}.", data.file_name().unwrap().to_str().unwrap());
    let mut paths = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    let is_label =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&hidden);
    paths.find(is_label).expect("a label")
}

#[test]
fn who_is_at_work_with_damaged_files_goes_on() {
    let own = own_run();
    let run = own.run.id();
    let folder = tempfile::tempdir().unwrap();
    make(run);
    let mut workers = DUTIES.map(|duty| Worker::start(duty, folder.path(), run));
    let mut random = Random(0x11FE);
    let (turns, begin) = (scaled(50, 1000), Instant::now());
    for turn in 0..turns {
        for worker in &mut workers {
            let good = worker.place.with_extension("good");
            let before = worker.count(&good);
            worker.goes_on("undamaged", &good, before);
        }
        let data = run.dataset_path(&task("d"));
        let files =
            [run.document_path(&task("t")), run.control_path(&task("t")), label_of(&data), data];
        let file = &files[turn as usize % files.len()];
        let what = DAMAGES[random.below(DAMAGES.len() as u64) as usize];
        // The one thing that a process using the mapping can't be kept from.
        if what == "cut" && *file == files[1] {
            continue;
        }
        let told = format!("turn {turn}, {what}, {}", file.display());
        match damage(what, file, &mut random) {
            // Somebody at work has made a new one where it was just removed.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            result => result.unwrap(),
        }
        for worker in &mut workers {
            let (place, before) = (worker.place.clone(), worker.count(&worker.place));
            worker.goes_on(&told, &place, before + 2);
        }
        // As the messages say.
        files.iter().for_each(|path| clear(path));
        while let Err(error) = Document::create(run, &task("t"), SIZE_DEFAULT) {
            is_told(&told, &error);
        }
        make(run);
    }
    let counts: Vec<String> = workers
        .iter()
        .map(|worker| {
            let (all, good) = (&worker.place, worker.place.with_extension("good"));
            format!("{} {} ({} well)", worker.duty, worker.count(all), worker.count(&good))
        })
        .collect();
    for worker in &mut workers {
        worker.child.kill().unwrap();
        worker.child.wait().unwrap();
    }
    figures(format_args!(
        "damage under use: {turns} times, 0 crashes, 0 hangs; {}; {:?}",
        counts.join(", "),
        begin.elapsed()
    ));
}

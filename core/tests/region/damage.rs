//! Whatever is done to the files of a document is an error that says so, never a signal, a panic or a
//! wait; and a new document can take its place.

use crate::roles::{Random, checked_object, figures, number_of, scaled};
use crate::{own_run, task};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, chown, geteuid, mkfifo};
use otto_core::region::{Document, DocumentStore, SIZE_DEFAULT};
use otto_core::{Condition, Error, ErrorKind, Json, Key, Values};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) const DAMAGES: [&str; 10] = [
    "cut", "garbage", "one byte", "unlinked", "replaced", "symlink", "folder", "FIFO", "foreign",
    "linked",
];

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }
}

/// Removes what stands at `path`, and the second name that it may have been given.
pub(crate) fn clear(path: &Path) {
    for path in [path, &path.with_extension("second")] {
        match remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }
}

pub(crate) fn damage(what: &str, path: &Path, random: &mut Random) -> io::Result<()> {
    let open = || OpenOptions::new().write(true).open(path);
    match what {
        "cut" => {
            let file = open()?;
            file.set_len(random.below(file.metadata()?.len().max(1)))
        }
        "garbage" => {
            let garbage: Vec<u8> = (0..300).map(|_| random.below(256) as u8).collect();
            open()?.write_all_at(&garbage, random.below(4) * 0x40)
        }
        "one byte" => {
            let file = open()?;
            let length = file.metadata()?.len().max(1);
            let at = [random.below(length), random.below(0x110)][random.below(2) as usize];
            file.write_all_at(&[random.below(256) as u8], at)
        }
        "unlinked" => remove(path),
        "linked" => fs::hard_link(path, path.with_extension("second")),
        "foreign" if geteuid().is_root() => Ok(chown(path, Some(Uid::from_raw(65534)), None)?),
        _ => {
            remove(path)?;
            match what {
                "symlink" => symlink("/etc/passwd", path),
                "folder" => fs::create_dir(path),
                "FIFO" => Ok(mkfifo(path, Mode::S_IRWXU)?),
                _ => fs::write(path, "something else"),
            }
        }
    }
}

/// An error that somebody who reads it can do something about.
pub(crate) fn is_told(what: &str, error: &Error) {
    // A name gone is a document gone; what is no file of ours is refused when it is opened.
    let typed = [ErrorKind::Corrupt, ErrorKind::NotFound, ErrorKind::Io].contains(&error.kind());
    assert!(typed, "{what}: {:?} {error}", error.kind());
    assert_eq!(error.to_string().lines().count(), 1, "{what}: {error}");
    assert!(!error.to_string().contains("panic"), "{what}: {error}");
}

#[test]
fn damage_is_a_typed_error_and_never_a_signal() {
    let own = own_run();
    let run = own.run.id();
    let (public, control) = (run.document_path(&task("t")), run.control_path(&task("t")));
    let mut random = Random(0xBAD);
    let (turns, mut slowest, mut errors) = (scaled(100, 2000), Duration::ZERO, 0);
    for turn in 0..turns {
        let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
        let written = random.below(100);
        document.write(checked_object(written).as_bytes()).unwrap();
        let what = DAMAGES[(turn / 2) as usize % DAMAGES.len()];
        damage(what, [&public, &control][turn as usize % 2], &mut random).unwrap();
        let what = format!("{what}, {}", ["public file", "control file"][turn as usize % 2]);
        let start = Instant::now();
        let mut check = |result: otto_core::Result<Vec<u8>>| match result {
            Ok(json) => {
                let old = json.is_empty() || number_of(&json) == Some(written);
                // JSON again, by chance: as a script might have written it.
                let taken = what == "one byte, public file"
                    && Json::parse(std::str::from_utf8(&json).unwrap()).is_ok();
                assert!(old || taken, "{what}: neither old nor an error");
            }
            Err(error) => {
                errors += 1;
                is_told(&what, &error);
            }
        };
        check(document.read());
        check(document.read());
        check(Document::open(run, &task("t")).and_then(|mut other| other.read()));
        let updated = document.update(|object| {
            object.set("x", Json::null());
            Ok(())
        });
        check(updated.map(|()| Vec::new()));
        check(Document::create(run, &task("t"), SIZE_DEFAULT).map(|_| Vec::new()));
        slowest = slowest.max(start.elapsed());
        // As the messages say: removed, it can be made and written anew.
        [&public, &control].into_iter().for_each(|path| clear(path));
        let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
        document.write(checked_object(7).as_bytes()).unwrap();
        assert_eq!(number_of(&document.read().unwrap()), Some(7));
    }
    figures(format_args!("damage: {turns} turns, {errors} errors, the slowest turn {slowest:?}"));
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

#[test]
fn a_removed_document_is_not_found_and_can_be_made_again() {
    let own = own_run();
    let key = Key::parse("t.a").unwrap();
    let (mut one, mut two) = (DocumentStore::open(own.run.id()), DocumentStore::open(own.run.id()));
    for removed in ["both", "public"] {
        one.set(&key, &Json::number(1), Condition::Always).unwrap();
        assert_eq!(two.get(&key).unwrap(), Some(Json::number(1)));
        fs::remove_file(own.run.id().document_path(&task("t"))).unwrap();
        if removed == "both" {
            fs::remove_file(own.run.id().control_path(&task("t"))).unwrap();
        }
        assert_eq!(
            Document::open(own.run.id(), &task("t")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        one.set(&Key::parse("t.b").unwrap(), &Json::number(2), Condition::Always).unwrap();
        assert_eq!(two.get(&key).unwrap(), None);
        assert_eq!(two.get(&Key::parse("t.b").unwrap()).unwrap(), Some(Json::number(2)));
    }
}

#[test]
fn the_sequence_number_may_wrap() {
    let own = own_run();
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    document.write(b"1").unwrap();
    let control = OpenOptions::new().write(true).open(own.run.id().control_path(&task("t")));
    control.unwrap().write_all_at(&(u64::MAX - 1).to_le_bytes(), 0x40).unwrap();
    for text in ["2", "3"] {
        document.write(text.as_bytes()).unwrap();
        let mut other = Document::open(own.run.id(), &task("t")).unwrap();
        assert_eq!(other.read().unwrap(), text.as_bytes());
    }
}

#[test]
fn a_document_moved_away_is_not_written_to_any_more() {
    let own = own_run();
    let path = own.run.id().document_path(&task("t"));
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    let mut reader = Document::open(own.run.id(), &task("t")).unwrap();
    document.write(b"1").unwrap();
    assert_eq!(reader.read().unwrap(), b"1");
    let elsewhere = path.with_extension("moved");
    fs::rename(&path, &elsewhere).unwrap();
    // It may go on for a millisecond.
    let deadline = Instant::now() + Duration::from_secs(20);
    let refused = |result: otto_core::Result<()>| {
        assert!(Instant::now() < deadline, "it goes on");
        result.map_err(|error| error.kind()) == Err(ErrorKind::NotFound)
    };
    while !refused(document.write(b"2")) {}
    while !refused(reader.read().map(|_| ())) {}
    fs::remove_file(elsewhere).unwrap();
}

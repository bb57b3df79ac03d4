//! How a reader learns that a stream did not end but broke off: its producer failed.
//!
//! A pipe has one kind of end. So otto-run gives no end at all to the readers of a failed producer,
//! other than to those that said they would ask what kind it is. Both are notes beside the path
//! that a task finds in `OTTO_INPUT_PIPE`: `<path>.checked`, made by the reader before it reads, and
//! `<path>.failed`, made by otto-run before the end, which holds the producer's name.

use crate::error::{Error, Result};
use crate::limits::TASK_NAME_BYTES_MAX;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Says that the reader of `input` will ask for [`failed_producer`] at the end of its stream.
///
/// ```
/// use otto_core::fifo;
/// let run_dir = tempfile::tempdir().unwrap();
/// let input = run_dir.path().join("report.input.pipe");
/// fifo::check_in(&input).unwrap();
/// assert!(fifo::is_checked(&input));
/// assert_eq!(fifo::failed_producer(&input), None);
/// fifo::note_failure(&input, "fetch").unwrap();
/// assert_eq!(fifo::failed_producer(&input).as_deref(), Some("fetch"));
/// ```
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) when the note can't be made.
pub fn check_in(input: &Path) -> Result<()> {
    let note = beside(input, ".checked");
    // Made once, whatever the number of readers in a task.
    match new_note(&note) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io("create", &note, error))
        }
        _ => Ok(()),
    }
}

/// Whether a reader of `input` has [checked in](check_in).
#[must_use]
pub fn is_checked(input: &Path) -> bool {
    beside(input, ".checked").exists()
}

/// Notes that `producer`, whose stream the reader of `input` reads, has failed; the first failure
/// stays. Complete before it is seen.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) when the note can't be made.
pub fn note_failure(input: &Path, producer: &str) -> Result<()> {
    let (draft, note) = (beside(input, ".failing"), beside(input, ".failed"));
    if note.exists() {
        return Ok(());
    }
    let _ = fs::remove_file(&draft);
    new_note(&draft)
        .and_then(|mut file| writeln!(file, "{producer}"))
        .and_then(|()| fs::rename(&draft, &note))
        .map_err(|error| Error::io("create", &note, error))
}

/// The producer whose failure ended the stream behind `input`; `None` after a clean end.
#[must_use]
pub fn failed_producer(input: &Path) -> Option<String> {
    let mut name = String::new();
    let note = File::open(beside(input, ".failed")).ok()?;
    // Whatever it holds, it is there: that the stream broke off is not lost.
    let _ = note.take(TASK_NAME_BYTES_MAX as u64 + 1).read_to_string(&mut name);
    Some(name.trim_end().to_owned())
}

/// Forgets the notes beside `input`.
pub fn remove_notes(input: &Path) {
    for suffix in [".checked", ".failing", ".failed"] {
        let _ = fs::remove_file(beside(input, suffix));
    }
}

fn beside(input: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(input);
    path.push(suffix);
    path.into()
}

fn new_note(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_stays_and_notes_can_be_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("c.input.pipe");
        for _ in 0..2 {
            check_in(&input).unwrap();
        }
        note_failure(&input, "first").unwrap();
        note_failure(&input, "second").unwrap();
        assert_eq!(failed_producer(&input).as_deref(), Some("first"));
        remove_notes(&input);
        assert_eq!((is_checked(&input), failed_producer(&input)), (false, None));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(check_in(&folder.path().join("no/such")).is_err());
    }
}

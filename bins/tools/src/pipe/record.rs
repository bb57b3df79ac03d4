//! `record`: a stream passed on, and kept in a file with its times.

use super::ends::{Input, Otherwise, Output};
use super::meter::Meter;
use super::recording::Recording;
use super::site::Site;
use crate::cli::{Given, deadline};
use crate::{Done, say};
use anyhow::Context;
use clap::ArgMatches;
use otto_core::{Error, ErrorKind, Result, fifo};
use rustix::io::Errno;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Read at a time, and so the longest piece.
const CHUNK_BYTES: usize = 256 << 10;

pub(super) fn run(arguments: &ArgMatches) -> Done {
    let (site, deadline) = (Site::here(), deadline(arguments)?);
    let path = Path::new(arguments.text("FILE"));
    let recording = open(path, arguments.get_flag("append"), arguments.get_flag("force"))?;
    let to = Output::open(&site, arguments.given("to"), Otherwise::OwnOrStandard, deadline)?;
    let from = Input::open(&site, arguments.given("STREAM"), Otherwise::Standard, deadline)?;
    fifo::enlarge(&from.fd);
    fifo::enlarge(&to.fd);
    let meter = Meter::start(arguments, &from.label, from.total(), [&from.fd, &to.fd], None);
    let (ended, kept) = pass_on(&from, &to, recording, path, &meter)?;
    drop(meter);
    match ended {
        Ended::Input => from.check_end()?,
        Ended::ReaderGone(bytes) => to.reader_gone(bytes)?,
    }
    Ok(u8::from(!kept))
}

/// Opens the file, which is locked as long as it is recorded to, and leaves it as it is: the stream
/// may yet turn out not to be there.
fn open(path: &Path, append: bool, force: bool) -> Result<Recording> {
    let failed = |error| Error::io("record to", path, error);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let message = format!("{} is being recorded to by another process", path.display());
            return Err(Error::new(ErrorKind::Io, message));
        }
        // A file system without locks.
        Err(TryLockError::Error(_)) | Ok(()) => {}
    }
    let found = file.metadata().map_err(failed)?;
    let is_empty = found.len() == 0;
    if append && !is_empty {
        return Recording::resume(file, path);
    }
    let is_new = is_empty && found.is_file();
    if !append && !force && !is_new {
        let message = format!(
            "{} is there already: --append goes on at its end, --force replaces it",
            path.display()
        );
        return Err(Error::new(ErrorKind::Io, message));
    }
    Ok(Recording::new(file))
}

enum Ended {
    Input,
    /// After so many bytes.
    ReaderGone(u64),
}

/// Passes everything on; what a reader gets has been recorded before. Whether all of it was: where
/// the disk is full the stream goes on without.
fn pass_on(
    from: &Input,
    to: &Output,
    mut recording: Recording,
    path: &Path,
    meter: &Meter,
) -> anyhow::Result<(Ended, bool)> {
    let (began, before) = (Instant::now(), recording.last());
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut out = File::from(to.fd.try_clone()?);
    let mut passed = 0;
    let given_up = |error, passed: u64| {
        say(&format!(
            "otto-pipe: {}; the stream goes on, the recording ends after {passed} bytes",
            Error::io("record to", path, error)
        ));
    };
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let begun = recording.begin(since_1970).map_err(|error| given_up(error, passed));
    let mut recording = begun.is_ok().then_some(recording);
    let ended = loop {
        let read = match rustix::io::read(&from.fd, &mut buffer[..]) {
            Ok(0) => break Ended::Input,
            Ok(read) => read,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(io::Error::from(errno)).context("can't read the stream"),
        };
        let piece = &buffer[..read];
        if let Some(open) = &mut recording
            && let Err(error) = open.keep(piece, before + began.elapsed())
        {
            given_up(error, passed);
            recording = None;
        }
        match out.write_all(piece) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                break Ended::ReaderGone(passed);
            }
            Err(error) => return Err(error).context(format!("can't write to {}", to.label)),
        }
        passed += read as u64;
        meter.add(read as u64);
    };
    let kept = recording.is_some();
    if let Some(recording) = recording {
        let marked = recording.finish(before + began.elapsed());
        marked.map_err(|error| Error::io("record to", path, error))?;
    }
    Ok((ended, kept))
}

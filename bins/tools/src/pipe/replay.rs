//! `replay`: a recording written again.

use super::ends::{Otherwise, Output};
use super::meter::Meter;
use super::recording::{End, Playback};
use super::site::Site;
use super::usage;
use crate::cli::{Given, deadline};
use crate::{Done, say};
use anyhow::Context;
use clap::ArgMatches;
use otto_core::{Error, fifo};
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) fn run(arguments: &ArgMatches) -> Done {
    let (site, deadline) = (Site::here(), deadline(arguments)?);
    let speed = speed(arguments)?;
    let path = Path::new(arguments.text("FILE"));
    let file = if path.as_os_str() == "-" {
        File::from(io::stdin().as_fd().try_clone_to_owned()?)
    } else {
        File::open(path).map_err(|error| Error::io("open", path, error))?
    };
    let total = file.metadata().ok().filter(|found| found.is_file()).map(|found| found.len());
    // Looked at first: a stream's reader is not to meet what is no recording.
    let from = OwnedFd::from(file.try_clone()?);
    let playback = Playback::open(BufReader::with_capacity(64 << 10, file), path)?;
    let to = Output::open(&site, arguments.given("STREAM"), Otherwise::OwnOrStandard, deadline)?;
    fifo::enlarge(&to.fd);
    let label = path.file_name().map_or(path.as_os_str(), |name| name).to_string_lossy();
    let meter = Meter::start(arguments, &label, total, [&from, &to.fd], None);
    let end = play(playback, &to, speed, &meter)?;
    drop(meter);
    if let Some(End::CutShort(left_out)) = end
        && !arguments.get_flag("quiet")
    {
        say(&format!(
            "otto-pipe: {} was cut short: it has no end, and {left_out} bytes of an unfinished piece",
            path.display()
        ));
    }
    Ok(0)
}

/// How many times as fast as the recording; `None`: as fast as it is read.
fn speed(arguments: &ArgMatches) -> anyhow::Result<Option<f64>> {
    let Some(text) = arguments.given("speed") else {
        return Ok(arguments.get_flag("timing").then_some(1.0));
    };
    let speed: Option<f64> = text.parse().ok();
    match speed.filter(|speed| speed.is_finite() && *speed > 0.0) {
        Some(speed) => Ok(Some(speed)),
        None => Err(usage(format!("--speed takes a number above 0, like 2 or 0.5, not {text:?}"))),
    }
}

/// Writes all pieces. `None` when the reader left first.
fn play(
    mut playback: Playback<BufReader<File>>,
    to: &Output,
    speed: Option<f64>,
    meter: &Meter,
) -> anyhow::Result<Option<End>> {
    let mut out = File::from(to.fd.try_clone()?);
    let (began, mut written) = (Instant::now(), 0);
    let mut piece = Vec::new();
    while let Some(at) = playback.next(&mut piece)? {
        if let Some(speed) = speed {
            let due =
                Duration::try_from_secs_f64(at.as_secs_f64() / speed).unwrap_or(Duration::MAX);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        match out.write_all(&piece) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return to.reader_gone(written).map(|()| None);
            }
            Err(error) => return Err(error).context(format!("can't write to {}", to.label)),
        }
        written += piece.len() as u64;
        meter.set(playback.position());
    }
    Ok(Some(playback.end()))
}

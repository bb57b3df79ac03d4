//! What `tee` and `merge` share: ends that a relay may handle without waiting, and its run.

use super::ends::{Input, Output};
use crate::say;
use otto_core::fifo::{self, Event, Relay, SinkId};
use otto_core::{Error, ErrorKind, Result};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::thread::{self, JoinHandle};

/// Threads that copy between an end and the relay's own pipe, where the end itself can't be the
/// relay's.
#[derive(Debug, Default)]
pub(super) struct Copiers {
    of_sources: Vec<Work>,
    of_sinks: Vec<Work>,
}

impl Copiers {
    /// What the relay reads for `from`. It must not wait, and to say so of standard input would say
    /// it of the same pipe or terminal in every program that shares it; so a pipe is opened anew.
    pub(super) fn source(&mut self, from: &Input) -> Result<OwnedFd> {
        if let Some(own) = opened_anew(&from.fd, File::options().read(true)) {
            return Ok(own);
        }
        let (pipe, from) = (fifo::pipe()?, duplicate(&from.fd)?);
        self.feed(move || fifo::copy(from, pipe.write).map(drop))?;
        Ok(pipe.read)
    }

    /// What the relay writes for `to`, likewise; what we have opened ourselves nobody shares.
    pub(super) fn sink(&mut self, to: &Output) -> Result<OwnedFd> {
        if !to.standard {
            return duplicate(&to.fd);
        }
        if let Some(own) = opened_anew(&to.fd, File::options().write(true)) {
            return Ok(own);
        }
        let (pipe, to) = (fifo::pipe()?, duplicate(&to.fd)?);
        self.of_sinks.push(start(move || fifo::copy(pipe.read, to).map(drop))?);
        Ok(pipe.write)
    }

    /// Does the work of a source in a thread of its own.
    pub(super) fn feed(
        &mut self,
        work: impl FnOnce() -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.of_sources.push(start(work)?);
        Ok(())
    }
}

type Work = JoinHandle<Result<()>>;

fn start(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<Work> {
    let thread = thread::Builder::new().name("copier".to_owned()).spawn(work);
    thread.map_err(|error| Error::new(ErrorKind::Io, format!("can't start a thread: {error}")))
}

/// Waits for all, and says of the first that failed why.
fn join(threads: Vec<Work>) -> Result<()> {
    let ended: Vec<Result<()>> =
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(()))).collect();
    ended.into_iter().collect()
}

fn duplicate(fd: &OwnedFd) -> Result<OwnedFd> {
    let failed = |error| Error::new(ErrorKind::Io, format!("can't prepare a stream: {error}"));
    fd.try_clone().map_err(failed)
}

/// Another opening of a pipe: it has flags of its own. `None` for anything else, and where another
/// user's pipe can't be opened.
fn opened_anew(fd: &OwnedFd, options: &std::fs::OpenOptions) -> Option<OwnedFd> {
    let found = File::from(fd.try_clone().ok()?).metadata().ok()?;
    if !found.file_type().is_fifo() {
        return None;
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let nonblocking = rustix::pipe::PipeFlags::NONBLOCK.bits().cast_signed();
    let file = options.clone().custom_flags(nonblocking).open(path).ok()?;
    fifo::enlarge(&file);
    Some(file.into())
}

/// How the relay's run ended.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Sinks whose readers have gone.
    pub(super) gone: Vec<SinkId>,
    /// How many sinks could not be written; it has been said why.
    pub(super) failed: usize,
}

/// Passes on what comes until the end, or until all of the `sinks` have gone.
pub(super) fn pass_on(relay: Relay, sinks: usize, copiers: Copiers) -> Result<Passed> {
    let never = fifo::pipe()?;
    let mut passed = Passed::default();
    relay.run(&never.read, |event| match event {
        Event::Gone(sink) => passed.gone.push(sink),
        Event::Failed(_, error) => {
            say(&format!("otto-pipe: {error}"));
            passed.failed += 1;
        }
        _ => {}
    })?;
    join(copiers.of_sinks)?;
    // Where nobody is left to read, those who wait for a writer would wait for nothing.
    if passed.gone.len() + passed.failed < sinks {
        join(copiers.of_sources)?;
    }
    Ok(passed)
}

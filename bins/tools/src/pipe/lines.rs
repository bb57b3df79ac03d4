//! A stream passed on by whole lines, checked on request.

use super::meter::Meter;
use anyhow::Context;
use otto_core::limits::{FRAME_BYTES_MAX, PIPE_BYTES};
use otto_core::{Error, ErrorKind, Json, fifo};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, tee};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

/// Read at a time: stays in the processor's cache from reading to writing.
const CHUNK_BYTES: usize = 256 << 10;

/// What a line has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    Nothing,
    Json,
}

pub(super) struct Lines<'a> {
    from: &'a OwnedFd,
    to: &'a OwnedFd,
    checked: Checked,
    /// How many are still wanted; `None`: all.
    wanted: Option<u64>,
    /// Lines seen.
    number: u64,
    /// What has been read and not yet passed on, its first `searched` bytes without a newline.
    buffer: Vec<u8>,
    searched: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(
        from: &'a OwnedFd,
        to: &'a OwnedFd,
        checked: Checked,
        wanted: Option<u64>,
    ) -> Lines<'a> {
        Lines { from, to, checked, wanted, number: 0, buffer: Vec::new(), searched: 0 }
    }

    /// Passes lines on to the end of the stream, or the last one wanted. Returns whether the stream
    /// ended; a reader of ours that has gone is no error.
    pub(super) fn pass_on(mut self, meter: &Meter) -> anyhow::Result<bool> {
        let peek = self.wanted.map(|_| fifo::pipe()).transpose()?.map(Peek::new);
        while self.wanted != Some(0) {
            let wanted = match &peek {
                Some(peek) => self.wanted_bytes(peek)?,
                None => CHUNK_BYTES,
            };
            let used = self.buffer.len();
            self.buffer.resize(used + wanted, 0);
            let read = retry(|| rustix::io::read(self.from, &mut self.buffer[used..]));
            self.buffer.truncate(used + *read.as_ref().unwrap_or(&0));
            match read.map_err(io::Error::from).context("can't read the stream")? {
                0 => {
                    self.finish(meter)?;
                    return Ok(true);
                }
                _ => self.pass_on_whole(meter)?,
            }
        }
        Ok(false)
    }

    /// How much to read so that nothing behind the last line wanted is taken from the stream: the
    /// next reader is to find it there.
    fn wanted_bytes(&self, peek: &Peek) -> anyhow::Result<usize> {
        let Some(bytes) = peek.look(self.from).context("can't read the stream")? else {
            return Ok(CHUNK_BYTES);
        };
        let wanted = usize::try_from(self.wanted.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let last = memchr::memchr_iter(b'\n', &bytes).nth(wanted - 1);
        // At the end of the stream there is nothing to see, and one byte to ask for.
        Ok(last.map_or(bytes.len(), |last| last + 1).max(1))
    }

    /// Passes on the whole lines that have been read.
    fn pass_on_whole(&mut self, meter: &Meter) -> anyhow::Result<()> {
        let fresh = &self.buffer[self.searched..];
        let Some(last) = memchr::memrchr(b'\n', fresh) else {
            self.searched = self.buffer.len();
            return self.limit(meter);
        };
        let end = self.searched + last + 1;
        let (end, checked) = self.check(end);
        self.write(end, meter)?;
        checked?;
        self.searched = self.buffer.len();
        Ok(())
    }

    /// What to do with a line longer than any memory should hold: what is to be checked is refused,
    /// anything else goes on in pieces.
    fn limit(&mut self, meter: &Meter) -> anyhow::Result<()> {
        if self.buffer.len() <= FRAME_BYTES_MAX {
            return Ok(());
        }
        if self.checked == Checked::Json {
            return Err(self.bad(&format!("is longer than {FRAME_BYTES_MAX} bytes")));
        }
        self.write(self.buffer.len(), meter)?;
        self.searched = 0;
        Ok(())
    }

    /// Passes on a last line without a newline, and gives it one.
    fn finish(&mut self, meter: &Meter) -> anyhow::Result<()> {
        if !self.buffer.is_empty() {
            self.buffer.push(b'\n');
            self.pass_on_whole(meter)?;
        }
        Ok(())
    }

    /// Up to where the lines before `end` are wanted and what they have to be.
    fn check(&mut self, end: usize) -> (usize, anyhow::Result<()>) {
        if self.checked == Checked::Nothing && self.wanted.is_none() {
            return (end, Ok(()));
        }
        let mut start = 0;
        while start < end && self.wanted != Some(0) {
            // The first line may be long, and has been searched before.
            let from = if start == 0 { self.searched } else { start };
            let newline = memchr::memchr(b'\n', &self.buffer[from..end]);
            let behind = newline.map_or(end, |at| from + at + 1);
            if self.checked == Checked::Json
                && let Err(error) = Json::check(&self.buffer[start..behind - 1])
            {
                return (start, Err(self.bad(&error.to_string())));
            }
            self.number += 1;
            self.wanted = self.wanted.map(|wanted| wanted - 1);
            start = behind;
        }
        (start, Ok(()))
    }

    /// Writes the first `end` bytes of the buffer and drops them.
    fn write(&mut self, end: usize, meter: &Meter) -> anyhow::Result<()> {
        let mut rest = &self.buffer[..end];
        while !rest.is_empty() {
            let written = retry(|| rustix::io::write(self.to, rest));
            match written.map_err(io::Error::from) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(error.into()),
                Err(error) => return Err(error).context("can't write to standard output"),
            }
        }
        meter.add(end as u64);
        self.buffer.drain(..end);
        Ok(())
    }

    fn bad(&self, what: &str) -> anyhow::Error {
        let message = format!("line {} of the stream: {what}", self.number + 1);
        Error::new(ErrorKind::Corrupt, message).into()
    }
}

/// A look at what is in a pipe, through a pipe of our own.
struct Peek {
    read: File,
    write: OwnedFd,
}

impl Peek {
    fn new(pipe: fifo::Pipe) -> Peek {
        Peek { read: pipe.read.into(), write: pipe.write }
    }

    /// A copy of what is there, once something is; `None` where that is no pipe.
    fn look(&self, from: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
        let wanted = PIPE_BYTES.unsigned_abs() as usize;
        match retry(|| tee(from, &self.write, wanted, SpliceFlags::empty())) {
            Ok(copied) => {
                let mut bytes = vec![0; copied];
                (&self.read).read_exact(&mut bytes)?;
                Ok(Some(bytes))
            }
            Err(Errno::INVAL) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

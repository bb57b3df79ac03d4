//! Publishing what is left of an open file, as `otto/_files.py` asks for it.

use crate::arguments::Text;
use crate::crossing::blocking;
use crate::datasets::{identify, spill};
use otto_core::region::Publisher;
use otto_core::{Error, Result};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Longest wait for a pipe between two looks for Ctrl-C.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 40_000_000 };

/// Publishes the file behind `descriptor` from `position` on; without a position, as a pipe has
/// none, `head`, which somebody has taken out of it already, and all that is still to come.
#[pyfunction]
pub(crate) fn put_file(
    py: Python<'_>,
    name: Text<'_>,
    descriptor: u32,
    position: Option<u64>,
    head: PyBackedBytes,
    spill: bool,
) -> PyResult<()> {
    let (run, name) = identify(py, &name)?;
    blocking(py, |_| {
        let mut file = open_again(descriptor)?;
        let publisher = Publisher::new(run, &name).spill(self::spill(spill));
        match position {
            Some(position) => {
                file.seek(SeekFrom::Start(position))
                    .map_err(|error| Error::io("seek in", &path(descriptor), error))?;
                publisher.file(&file)
            }
            None => publisher.read(&mut Rest { head: &head, file }, None),
        }
    })?;
    Ok(())
}

fn path(descriptor: u32) -> PathBuf {
    format!("/proc/self/fd/{descriptor}").into()
}

/// The same file, with a position of its own, and without waiting for a FIFO's writers.
fn open_again(descriptor: u32) -> Result<File> {
    let path = path(descriptor);
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(&path);
    opened.map_err(|error| Error::io("open", &path, error))
}

/// What has been taken out of a pipe, and then the pipe.
struct Rest<'a> {
    head: &'a [u8],
    file: File,
}

impl Read for Rest<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() {
            return self.head.read(out);
        }
        let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
        poll(&mut polled, Some(&TICK))?;
        // Also when nothing has come: a FIFO whose writers left before it was opened again keeps
        // that from who only polls.
        self.file.read(out).map_err(|error| match error.kind() {
            // Nothing now: whoever reads looks whether to go on.
            io::ErrorKind::WouldBlock => io::ErrorKind::Interrupted.into(),
            _ => error,
        })
    }
}

//! Copying a dataset out of its file.

use super::copy::{Moving, Piece, ready};
use super::filling::BUFFER_BYTES;
use crate::error::{Error, Result};
use crate::interrupt;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// Why a copy ended early.
pub(super) enum Stopped {
    /// Whoever was told of the progress wanted that.
    Asked(Error),
    /// The file has been cut short.
    Short,
    /// The target takes no more.
    Failed(io::Error),
}

/// Copies `size` bytes of `file` from `start` on to `to`, inside the kernel where that is possible.
pub(super) fn pour(
    file: &File,
    start: u64,
    size: u64,
    to: BorrowedFd<'_>,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> std::result::Result<(), Stopped> {
    let mut moving = Moving::new(file.as_fd(), Some(start), to);
    let (mut done, mut buffer) = (0, Vec::new());
    while done < size {
        interrupt::check().and_then(|()| progress(done)).map_err(Stopped::Asked)?;
        match moving.piece(file.as_fd(), to, size - done) {
            Piece::Moved(count) => done += count,
            Piece::Nothing => {}
            Piece::Full(error) => return Err(Stopped::Failed(error)),
            Piece::End => return Err(Stopped::Short),
            Piece::Unable => {
                buffer.resize(
                    BUFFER_BYTES.min(usize::try_from(size - done).unwrap_or(BUFFER_BYTES)),
                    0,
                );
                done += through_memory(file, start + done, to, &mut buffer)?;
            }
        }
    }
    progress(done).map_err(Stopped::Asked)
}

/// Reads a bufferful, or less, and writes as much of it as the target takes now.
fn through_memory(
    file: &File,
    at: u64,
    to: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> std::result::Result<u64, Stopped> {
    let filled = match file.read_at(buffer, at) {
        Ok(0) => return Err(Stopped::Short),
        Ok(filled) => filled,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
        Err(error) => return Err(Stopped::Failed(error)),
    };
    if !ready(to, PollFlags::OUT) {
        return Ok(0);
    }
    match rustix::io::write(to, &buffer[..filled]) {
        Ok(written) => Ok(written as u64),
        Err(Errno::INTR | Errno::AGAIN) => Ok(0),
        Err(error) => Err(Stopped::Failed(error.into())),
    }
}

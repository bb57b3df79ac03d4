//! Moving bytes between two descriptors inside the kernel, a piece at a time.

use crate::limits::{COPY_STEP_BYTES, PIPE_BYTES};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, copy_file_range, fstat, sendfile};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, splice};
use std::io;
use std::os::fd::BorrowedFd;

/// Longest wait for the other end of a pipe between two questions whether to go on.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 40_000_000 };

/// The kernel's ways to copy, the best first: what one can't do with the descriptors at hand the
/// next is asked for. The first two share or copy pages from file to file or from a file to
/// anything, the third takes them out of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Range,
    Send,
    Splice,
    None,
}

/// A copy in progress.
#[derive(Debug)]
pub(super) struct Moving {
    way: Way,
    moved: bool,
    /// Where to read on; `None`: at the source's own position.
    from_at: Option<u64>,
    /// Whether source and target may have to be waited for.
    waits: (bool, bool),
}

/// What came of asking for a piece.
#[derive(Debug)]
pub(super) enum Piece {
    /// So many bytes were copied.
    Moved(u64),
    /// The source is at its end.
    End,
    /// Nothing for now, after at most 40 ms.
    Nothing,
    /// The target's file system has no room.
    Full(io::Error),
    /// The kernel copies nothing between these two by itself: read and write, which also tells
    /// what is wrong with which side.
    Unable,
}

impl Moving {
    /// From `from_at` on, or from the source's own position.
    pub(super) fn new(from: BorrowedFd<'_>, from_at: Option<u64>, to: BorrowedFd<'_>) -> Moving {
        let waits = (may_wait(from), may_wait(to));
        Moving { way: Way::Range, moved: false, from_at, waits }
    }

    /// Copies at most `limit` bytes; they arrive at the position of `to`.
    pub(super) fn piece(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, limit: u64) -> Piece {
        let (from_waits, to_waits) = self.waits;
        if from_waits && !ready(from, PollFlags::IN) || to_waits && !ready(to, PollFlags::OUT) {
            return Piece::Nothing;
        }
        let count = limit.min(COPY_STEP_BYTES as u64) as usize;
        loop {
            let at = self.from_at.as_mut();
            let copied = match self.way {
                Way::Range => copy_file_range(from, at, to, None, count),
                Way::Send => sendfile(to, from, at, count),
                Way::Splice => splice(from, at, to, None, count, SpliceFlags::MOVE),
                Way::None => return Piece::Unable,
            };
            match copied {
                Ok(0) if self.moved => return Piece::End,
                Ok(count @ 1..) => {
                    self.moved = true;
                    return Piece::Moved(count as u64);
                }
                Err(Errno::INTR | Errno::AGAIN) => return Piece::Nothing,
                Err(error @ (Errno::NOSPC | Errno::DQUOT)) => return Piece::Full(error.into()),
                // Some files of /proc seem empty this way and are not.
                Ok(0) | Err(_) => {
                    self.way = match self.way {
                        Way::Range => Way::Send,
                        Way::Send => Way::Splice,
                        Way::Splice | Way::None => Way::None,
                    }
                }
            }
        }
    }
}

/// Whether this is anything but a plain file, which is always ready. A pipe is made as large as
/// the system lets us on the way: fewer turns for both ends.
fn may_wait(descriptor: BorrowedFd<'_>) -> bool {
    match fstat(descriptor).map(|found| FileType::from_raw_mode(found.st_mode)) {
        Ok(FileType::Fifo) => {
            if fcntl_getpipe_size(descriptor).is_ok_and(|size| size < PIPE_BYTES as usize) {
                let _ = fcntl_setpipe_size(descriptor, PIPE_BYTES as usize);
            }
            true
        }
        kind => kind != Ok(FileType::RegularFile),
    }
}

/// Waits a moment until there is something to read, or room to write.
pub(super) fn ready(descriptor: BorrowedFd<'_>, what: PollFlags) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(descriptor, what)];
    // What can't be waited for is to be tried.
    !matches!(poll(&mut polled, Some(&TICK)), Ok(0) | Err(Errno::INTR))
}

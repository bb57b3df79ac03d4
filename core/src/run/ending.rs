//! The end of a run, as those meet it who are still publishing in it.
//!
//! The owner notes the end in its lock file, then removes the regions it finds, then the lock file.
//! Whoever makes a region looks at the lock file once more when the region has its name: the owner
//! finds it, or its maker finds the end noted and removes it. Otherwise nobody ever would.

use super::RunId;
use crate::error::{Error, ErrorKind, Result};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the lock file ends with when its run does.
const END: &[u8] = b"\nended\n";

/// Notes the end of a run in its lock file, which the caller holds.
pub(super) fn note(lock: &File) -> io::Result<()> {
    lock.write_all_at(END, lock.metadata()?.len())
}

/// The run in which something is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Belonging {
    run: RunId,
    /// Otherwise its number was set by hand, and it never ends.
    owned: bool,
}

impl Belonging {
    pub(crate) fn of(run: RunId) -> Belonging {
        let owned = match look(run) {
            Look::Owned | Look::Ended => true,
            Look::Missing => is_told_of(run),
            Look::Unknown => false,
        };
        Belonging { run, owned }
    }

    /// To be asked before something is made, and when it has its name.
    ///
    /// # Errors
    /// [`ErrorKind::NoRun`] when the run has ended: the caller removes what it made.
    pub(crate) fn check(self) -> Result<()> {
        match look(self.run) {
            Look::Missing | Look::Ended if self.owned => Err(ended(self.run)),
            _ => Ok(()),
        }
    }
}

enum Look {
    Owned,
    Ended,
    Missing,
    /// There is something, and not for us to read.
    Unknown,
}

fn look(run: RunId) -> Look {
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(run.lock_path());
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Look::Missing,
        Err(_) => return Look::Unknown,
    };
    let mut record = Vec::new();
    match file.take(super::remains::RECORD_BYTES_MAX).read_to_end(&mut record) {
        Ok(_) if record.ends_with(END) => Look::Ended,
        Ok(_) => Look::Owned,
        Err(_) => Look::Unknown,
    }
}

/// The run of which an owner told us, as of the last look at the environment. It is not read here:
/// another thread may be changing it.
static TOLD: AtomicU64 = AtomicU64::new(NOBODY);
/// No run's number: they are process IDs.
const NOBODY: u64 = u64::MAX;

/// Notes what the environment says: `run`, and whether by an owner, whose run has a folder too.
pub(super) fn note_told(run: RunId, by_owner: bool) {
    TOLD.store(if by_owner { run.0 } else { NOBODY }, Ordering::Relaxed);
}

/// Whether `run` is what an owner has put into our environment.
fn is_told_of(run: RunId) -> bool {
    TOLD.load(Ordering::Relaxed) == run.0
}

fn ended(run: RunId) -> Error {
    let message = format!("run {run} has ended: nothing more can be published in it");
    Error::new(ErrorKind::NoRun, message)
}

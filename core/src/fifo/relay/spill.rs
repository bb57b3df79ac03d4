//! What a full edge holds on disk so that its producer can go on.

use rustix::fs::{FallocateFlags, fallocate};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Given back to the disk at a time.
const STEP_BYTES: u64 = 4 << 20;

/// How much the streams of a run may hold on disk together.
///
/// ```
/// use otto_core::fifo::Quota;
/// let quota = Quota::new(1 << 30);
/// assert_eq!((quota.limit(), quota.used()), (1 << 30, 0));
/// ```
#[derive(Debug)]
pub struct Quota {
    limit: u64,
    used: AtomicU64,
}

impl Quota {
    /// Of `limit` bytes; 0 forbids spilling.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Quota> {
        Arc::new(Quota { limit, used: AtomicU64::new(0) })
    }

    /// The whole of it, in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What is on disk now, in bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes up to `wanted` bytes of what is left.
    fn take(&self, wanted: u64) -> u64 {
        let mut granted = 0;
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            granted = wanted.min(self.limit.saturating_sub(used));
            (granted > 0).then_some(used + granted)
        });
        granted
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Where edges spill, and how much.
///
/// ```
/// use otto_core::fifo::{Quota, Relay, Spill};
/// let folder = tempfile::tempdir().unwrap();
/// let mut relay = Relay::new();
/// relay.spill(Spill::new(folder.path().to_owned(), Quota::new(64 << 20)));
/// ```
#[derive(Debug, Clone)]
pub struct Spill {
    folder: PathBuf,
    quota: Arc<Quota>,
}

impl Spill {
    /// Into files without a name in `folder`, which should lie on a disk.
    #[must_use]
    pub fn new(folder: PathBuf, quota: Arc<Quota>) -> Spill {
        Spill { folder, quota }
    }

    /// Whether not a byte more may be spilled.
    pub(super) fn is_used_up(&self) -> bool {
        self.quota.used() >= self.quota.limit
    }

    /// A file for the stream from `position` on.
    pub(super) fn open(&self, position: u64) -> io::Result<SpillFile> {
        let file = unnamed(&self.folder)?;
        let quota = Arc::clone(&self.quota);
        Ok(SpillFile { file, origin: position, start: position, end: position, given: 0, quota })
    }
}

/// Bytes `start..end` of a stream, on disk.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: File,
    /// The stream's position at the beginning of the file.
    origin: u64,
    start: u64,
    end: u64,
    /// Bytes at the file's beginning that have been given back.
    given: u64,
    quota: Arc<Quota>,
}

impl SpillFile {
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether it never held anything.
    pub(super) fn is_unused(&self) -> bool {
        self.end == self.origin
    }

    /// Bytes it holds.
    pub(super) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Appends as much as quota and disk allow; returns how much.
    pub(super) fn append(&mut self, bytes: &[u8]) -> usize {
        let granted = self.quota.take(bytes.len() as u64) as usize;
        let mut written = 0;
        while written < granted {
            match self.file.write_at(&bytes[written..granted], self.end - self.origin) {
                // A full disk is a quota of its own.
                Ok(0) => break,
                Ok(count) => {
                    written += count;
                    self.end += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.quota.give_back((granted - written) as u64);
        written
    }

    /// Fills `buffer` with what stands at `position`.
    pub(super) fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, position - self.origin)
    }

    /// Gives back what lies before `position`.
    pub(super) fn forget(&mut self, position: u64) {
        self.start = position.min(self.end);
        let free = self.start - self.origin - self.given;
        if free >= STEP_BYTES {
            // Where holes can't be made, the space comes back with the whole file.
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            if fallocate(&self.file, flags, self.given, free).is_ok() {
                self.given += free;
                self.quota.give_back(free);
            }
        }
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        self.quota.give_back(self.end - self.origin - self.given);
    }
}

/// A file that vanishes with its last descriptor, whatever ends this process.
fn unnamed(folder: &Path) -> io::Result<File> {
    let options = |flags: rustix::fs::OFlags| {
        let mut options = File::options();
        options.read(true).write(true).mode(0o600).custom_flags(flags.bits().cast_signed());
        options
    };
    match options(rustix::fs::OFlags::TMPFILE).open(folder) {
        Ok(file) => return Ok(file),
        // Some file systems know no files without a name.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) => {
        }
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
        Err(error) => return Err(error),
    }
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".spill-{}-{number}", std::process::id()));
    let file = options(rustix::fs::OFlags::empty()).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_is_kept_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let quota = Quota::new(10 << 20);
        let spill = Spill::new(folder.path().to_owned(), Arc::clone(&quota));
        let mut file = spill.open(1000).unwrap();
        let piece: Vec<u8> = (0..3 << 20).map(|i| (i % 251) as u8).collect();
        let appended: Vec<usize> = (0..5).map(|_| file.append(&piece)).collect();
        assert_eq!(appended, [3 << 20, 3 << 20, 3 << 20, 1 << 20, 0]);
        assert!(spill.is_used_up());
        assert_eq!((file.len(), file.end()), (10 << 20, 1000 + (10 << 20)));
        let mut back = vec![0; piece.len()];
        file.read_at(&mut back, 1000 + (6 << 20)).unwrap();
        assert!(back == piece);
        file.forget(1000 + (5 << 20));
        assert_eq!(quota.used(), 5 << 20);
        assert_eq!(file.append(&piece), 3 << 20);
        file.read_at(&mut back, 1000 + (10 << 20)).unwrap();
        assert!(back == piece);
        drop(file);
        assert_eq!(quota.used(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

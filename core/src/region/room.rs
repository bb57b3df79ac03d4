//! How much room there is for regions.

use crate::error::{Error, ErrorKind};
use crate::run::SHARED_MEMORY;
use rustix::fs::statvfs;
use std::fs;
use std::io;
use std::path::Path;

/// From this share of the machine's memory on, one in so many, nothing more is put into it:
/// the system would end processes instead of refusing us.
const KEPT_FREE: u64 = 32;

/// Bytes free for regions in shared memory; `None` where that can't be told.
pub(super) fn in_memory() -> Option<u64> {
    // Its limit may be above what the machine has left.
    match (on(Path::new(SHARED_MEMORY)), fs::read_to_string("/proc/meminfo").ok()) {
        (free, Some(told)) => free.into_iter().chain(of_machine(&told)).min(),
        (free, None) => free,
    }
}

/// Bytes free on the file system of `folder`; `None` where it has no limit.
pub(super) fn on(folder: &Path) -> Option<u64> {
    let found = statvfs(folder).ok()?;
    (found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize))
}

/// What to say of `error` where the file `path` lacks `needed` bytes of shared memory.
pub(super) fn refused(path: &Path, needed: u64, error: io::Error) -> Error {
    if !is_full(&error) {
        return Error::io("enlarge", path, error);
    }
    let free = in_memory().map_or("too few".to_owned(), |free| free.to_string());
    let message = format!(
        "no room for {}: it needs {needed} bytes, {SHARED_MEMORY} has {free} bytes free; remove \
         regions or enlarge it",
        path.display()
    );
    Error::new(ErrorKind::Full, message)
}

/// What to say of `error` where the file `path` can't be made.
pub(super) fn not_made(path: &Path, error: io::Error) -> Error {
    if !is_full(&error) {
        return Error::io("create", path, error);
    }
    let folder = path.parent().unwrap_or(Path::new("/")).display();
    let message = format!(
        "no room for {}: {folder} takes no more files; remove some, or mount it with more \
         (nr_inodes)",
        path.display()
    );
    Error::new(ErrorKind::Full, message)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What the machine has left, of `/proc/meminfo`.
fn of_machine(told: &str) -> Option<u64> {
    let bytes = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let left = bytes("MemAvailable")?.saturating_add(bytes("SwapFree").unwrap_or(0));
    Some(left.saturating_sub(bytes("MemTotal")? / KEPT_FREE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_has_left_keeps_something_free() {
        let told = "MemTotal:       32000 kB\nMemAvailable:    5000 kB\nSwapFree:   1000 kB\n";
        assert_eq!(of_machine(told), Some(5000 * 1024));
        assert_eq!(of_machine("MemTotal: 32000 kB\nMemAvailable: 500 kB\n"), Some(0));
        assert_eq!(of_machine("MemTotal: 32000 kB\n"), None);
        assert!(in_memory().is_some());
    }
}

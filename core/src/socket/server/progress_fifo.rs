//! Progress from shells: a builtin writes a line into a FIFO, where a program would have to be run.

use super::event_loop::PROGRESS;
use crate::error::{Error, Result};
use crate::progress::Record;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rustix::io::ioctl_fionread;
use std::collections::HashMap;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two readings: a loop that reports all the time wakes the server no more often.
const PAUSE: Duration = Duration::from_millis(10);
/// Longest beginning of a line that is kept, in bytes: no line is that long.
const PARTIAL_BYTES_MAX: usize = 64 << 10;

/// The reading end. Dropping it removes the FIFO.
#[derive(Debug)]
pub(super) struct ProgressFifo {
    path: PathBuf,
    file: File,
    owner: u32,
    /// The beginning of a line that is not whole.
    partial: Vec<u8>,
    /// When it is read again; `None`: as soon as there is something.
    resumes: Option<Instant>,
}

impl ProgressFifo {
    /// Makes the FIFO, in place of one that nobody reads any more.
    pub(super) fn create(path: &Path) -> Result<ProgressFifo> {
        let failed = |error| Error::io("make the FIFO", path, error);
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_fifo()) {
            fs::remove_file(path).map_err(failed)?;
        }
        mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| failed(errno.into()))?;
        // A umask may have left its owner nothing.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        // Open for writing too, or it would be at its end whenever nobody writes.
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits())
            .open(path)
            .map_err(failed)?;
        Ok(ProgressFifo {
            path: path.to_owned(),
            file,
            owner: std::process::id(),
            partial: Vec::new(),
            resumes: None,
        })
    }

    /// Has `registry` report what is to be read.
    pub(super) fn watch(&self, registry: &Registry) -> std::io::Result<()> {
        registry.register(&mut SourceFd(&self.file.as_raw_fd()), PROGRESS, Interest::READABLE)
    }

    /// When [`ProgressFifo::resume`] is due.
    pub(super) fn resumes(&self) -> Option<Instant> {
        self.resumes
    }

    /// Reads on after a pause.
    pub(super) fn resume(&mut self, now: Instant, registry: &Registry) -> std::io::Result<()> {
        if self.resumes.is_some_and(|at| at <= now) {
            self.resumes = None;
            // What has come meanwhile is reported at once.
            self.watch(registry)?;
        }
        Ok(())
    }

    /// Takes out what was written before this call: the newest record of each bar.
    pub(super) fn read(&mut self) -> Vec<Record> {
        // Asked first: mostly there is nothing, and what comes meanwhile is not waited for.
        let waiting = ioctl_fionread(&self.file).unwrap_or(0);
        if waiting == 0 {
            return Vec::new();
        }
        let mut bytes = std::mem::take(&mut self.partial);
        let start = bytes.len();
        bytes.resize(start + usize::try_from(waiting).unwrap_or(0), 0);
        let count = self.file.read(&mut bytes[start..]).unwrap_or(0);
        bytes.truncate(start + count);
        let end = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let records = newest(&bytes[..end]);
        bytes.drain(..end);
        // Whoever writes something else is not waited for.
        if bytes.len() < PARTIAL_BYTES_MAX {
            self.partial = bytes;
        }
        records
    }

    /// Has nothing reported for a while.
    pub(super) fn pause(&mut self, now: Instant, registry: &Registry) {
        if registry.deregister(&mut SourceFd(&self.file.as_raw_fd())).is_ok() {
            self.resumes = Some(now + PAUSE);
        }
    }
}

impl Drop for ProgressFifo {
    fn drop(&mut self) {
        // A forked child must not remove what its parent reads.
        if self.owner == std::process::id() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The last record of each bar, in the order of the bars' first lines; what is none is left out.
fn newest(lines: &[u8]) -> Vec<Record> {
    let mut order: Vec<&[u8]> = Vec::new();
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Some(bar) = memchr::memchr_iter(b'\t', line).nth(1).map(|end| &line[..end]) else {
            continue;
        };
        match places.get(bar) {
            Some(place) => order[*place] = line,
            None => {
                places.insert(bar, order.len());
                order.push(line);
            }
        }
    }
    let text = |line: &[u8]| Record::parse_line(&String::from_utf8_lossy(line)).ok();
    order.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_line_of_each_bar_counts() {
        let lines = b"a\t\t1\t9\tx\nb\t\t1\t-\t\na\t\t2\t9\ty\nnonsense\na\tid\t1\t2\t\n\xff\n";
        let lines: Vec<String> = newest(lines).iter().map(|record| record.line(None)).collect();
        assert_eq!(lines, ["a: 2/9 (22%) y", "b: 1", "a/id: 1/2 (50%)"]);
    }
}

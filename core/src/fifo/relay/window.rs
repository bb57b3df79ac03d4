//! The part of a stream that is in memory.

use crate::limits::RELAY_BUFFER_BYTES;
use rustix::io::Errno;
use std::os::fd::AsFd;

/// Beyond what it holds, so that the rest moves to the front only after this much was taken.
const SLACK_BYTES: usize = RELAY_BUFFER_BYTES / 2;

/// Bytes `start()..end()` of a stream; positions count bytes since its beginning.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Empty until something is read: a stream that moves as pages needs none.
    data: Vec<u8>,
    head: usize,
    tail: usize,
    start: u64,
}

impl Window {
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn end(&self) -> u64 {
        self.start + (self.tail - self.head) as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    pub(super) fn is_full(&self) -> bool {
        self.tail - self.head >= RELAY_BUFFER_BYTES
    }

    /// The bytes from `from` to `to`, both within it.
    pub(super) fn bytes(&self, from: u64, to: u64) -> &[u8] {
        let at = |position: u64| self.head + (position - self.start) as usize;
        &self.data[at(from)..at(to)]
    }

    /// Reads what fits, which must be something, and returns where it begins; `None` at the end of the stream.
    pub(super) fn read(&mut self, from: impl AsFd) -> Result<Option<u64>, Errno> {
        if self.data.is_empty() {
            self.data = vec![0; RELAY_BUFFER_BYTES + SLACK_BYTES];
        }
        if self.tail == self.data.len() {
            self.data.copy_within(self.head..self.tail, 0);
            (self.head, self.tail) = (0, self.tail - self.head);
        }
        let begin = self.end();
        let room_end = self.data.len().min(self.head + RELAY_BUFFER_BYTES);
        match rustix::io::read(from, &mut self.data[self.tail..room_end])? {
            0 => Ok(None),
            count => {
                self.tail += count;
                Ok(Some(begin))
            }
        }
    }

    /// Forgets what lies before `position`, which is at most its end.
    pub(super) fn forget(&mut self, position: u64) {
        self.head += (position - self.start) as usize;
        self.start = position;
        if self.is_empty() {
            (self.head, self.tail) = (0, 0);
        }
    }

    /// Passes over `count` bytes of the stream that never were in memory; it must be empty.
    pub(super) fn pass_over(&mut self, count: u64) {
        debug_assert!(self.is_empty());
        self.start += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn positions_stay_true_however_the_bytes_move() {
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&sent).unwrap();
        file.rewind().unwrap();
        let mut window = Window::default();
        window.pass_over(7);
        let mut step = 1;
        loop {
            assert!(!window.is_full());
            let Some(begin) = window.read(&file).unwrap() else { break };
            assert!(begin >= 7 && window.end() - window.start() <= RELAY_BUFFER_BYTES as u64);
            let (start, end) = (window.start(), window.end());
            assert!(
                window.bytes(start, end) == &sent[start as usize - 7..end as usize - 7],
                "{start}"
            );
            step = (step * 3) % 100_003;
            window.forget((start + 1 + step).min(end));
        }
        assert_eq!(window.end(), 7 + sent.len() as u64);
    }
}

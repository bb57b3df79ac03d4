//! Anonymous memory for a parent and the children it forks.

use super::map::Anonymous;
use crate::error::{Error, Result};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

const WORD: usize = size_of::<u64>();

/// Zeroed memory that children forked later share with this process; it has no name, and goes with
/// the last process that has it.
///
/// Other processes may write at any moment, so bytes are copied in and out, eight at a time: of two
/// overlapping copies at the same time each word is one's or the other's. Whoever needs more order
/// than that brings a lock.
///
/// ```
/// use otto_core::region::SharedMemory;
/// let memory = SharedMemory::new(100).unwrap();
/// memory.write_at(3, b"hello").unwrap();
/// let mut bytes = [0; 7];
/// memory.read_at(2, &mut bytes).unwrap();
/// assert_eq!(&bytes, b"\0hello\0");
/// assert!(memory.write_at(96, b"hello").is_err());
/// ```
#[derive(Debug)]
pub struct SharedMemory {
    memory: Anonymous,
    size: usize,
}

impl SharedMemory {
    /// `size` bytes of zeros; memory is used up only where it is written.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for no bytes, else what the system says.
    pub fn new(size: usize) -> Result<SharedMemory> {
        let words = NonZeroUsize::new(size.div_ceil(WORD))
            .ok_or_else(|| Error::usage("shared memory of 0 bytes: give a size"))?;
        let memory = Anonymous::new(words).map_err(|error| {
            Error::io(&format!("map {size} bytes of"), Path::new("shared memory"), error)
        })?;
        Ok(SharedMemory { memory, size })
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.size
    }

    /// Never: there is no such memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Copies the bytes from `start` on into `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) beyond the end.
    pub fn read_at(&self, start: usize, out: &mut [u8]) -> Result<()> {
        self.each_word(start, out.len(), |word, at, from, count| {
            let bytes = word.load(Relaxed).to_ne_bytes();
            out[at..at + count].copy_from_slice(&bytes[from..from + count]);
        })
    }

    /// Copies `bytes` to `start` and on.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) beyond the end.
    pub fn write_at(&self, start: usize, bytes: &[u8]) -> Result<()> {
        self.each_word(start, bytes.len(), |word, at, from, count| {
            let piece = &bytes[at..at + count];
            if let Ok(whole) = piece.try_into() {
                word.store(u64::from_ne_bytes(whole), Relaxed);
                return;
            }
            // The rest of this word may be someone else's to write.
            let merged = |old: u64| {
                let mut new = old.to_ne_bytes();
                new[from..from + count].copy_from_slice(piece);
                Some(u64::from_ne_bytes(new))
            };
            let _ = word.fetch_update(Relaxed, Relaxed, merged);
        })
    }

    /// The address of the first byte, aligned to a page, valid as long as this value and in
    /// forked children; other processes may change what it points to at any moment.
    #[must_use]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.memory.words().as_ptr().cast_mut().cast()
    }

    /// Calls `visit` for every word of a range: the word, where its bytes stand in the caller's
    /// buffer, the first byte within the word, and how many.
    fn each_word(
        &self,
        start: usize,
        length: usize,
        mut visit: impl FnMut(&AtomicU64, usize, usize, usize),
    ) -> Result<()> {
        if start.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(Error::usage(format!(
                "{length} bytes at {start} reach beyond the {} of this memory",
                self.size
            )));
        }
        let words = self.memory.words();
        let mut done = 0;
        while done < length {
            let (index, from) = ((start + done) / WORD, (start + done) % WORD);
            let count = (WORD - from).min(length - done);
            visit(&words[index], done, from, count);
            done += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn copies_agree_with_a_plain_buffer(
            writes in prop::collection::vec((0usize..70, prop::collection::vec(any::<u8>(), 0..30)), 0..8)
        ) {
            let memory = SharedMemory::new(67).unwrap();
            let mut expected = [0; 67];
            for (start, bytes) in writes {
                let fits = start + bytes.len() <= 67;
                prop_assert_eq!(memory.write_at(start, &bytes).is_ok(), fits);
                if fits {
                    expected[start..start + bytes.len()].copy_from_slice(&bytes);
                }
            }
            let mut found = [0; 67];
            memory.read_at(0, &mut found).unwrap();
            prop_assert_eq!(found, expected);
            let mut part = [0; 9];
            memory.read_at(5, &mut part).unwrap();
            prop_assert_eq!(&part, &expected[5..14]);
        }
    }
}

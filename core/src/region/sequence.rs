//! The number by which the two images of a document take turns: while it is even the public file is
//! whole, while it is odd the journal is. The order of memory that this needs is here and nowhere
//! else; the tests below go through the orders that the memory model allows.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// The memory that the number lies in.
pub(super) trait Number {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn fence(&self, order: Ordering);
}

impl Number for AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    fn fence(&self, order: Ordering) {
        fence(order);
    }
}

/// The writer, under its lock, has filled the journal for `odd`: from here on that is the document.
pub(super) fn commit(number: &impl Number, odd: u64) {
    number.store(odd, Release);
    // Nothing of the copy that follows may show before the number.
    number.fence(Release);
}

/// The writer has copied the journal of `odd` to the public file.
pub(super) fn end(number: &impl Number, odd: u64) {
    number.store(odd.wrapping_add(1), Release);
    // Nothing of the next journal may show before the number that says the last one is done with.
    number.fence(Release);
}

/// A reader begins: the number says which image to read.
pub(super) fn begin(number: &impl Number) -> u64 {
    // A load with Acquire need not be possible from memory that is mapped for reading only.
    let begun = number.load(Relaxed);
    number.fence(Acquire);
    begun
}

/// Whether what a reader has read since it [began](begin) with `begun` is one whole image.
pub(super) fn is_whole(number: &impl Number, begun: u64) -> bool {
    number.fence(Acquire);
    number.load(Relaxed) == begun
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicU64 as Word;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// What is left out of the order of memory.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Broken {
        Nothing,
        ReleaseOfCommit,
        FenceAfterCommit,
        ReleaseOfEnd,
        FenceAfterEnd,
        FenceOfBegin,
        FenceOfWhole,
    }

    /// The number as one read or one write uses it.
    struct Used<'a> {
        word: &'a Word,
        broken: Broken,
        fences: Cell<u32>,
    }

    impl Number for Used<'_> {
        fn load(&self, order: Ordering) -> u64 {
            self.word.load(order)
        }

        fn store(&self, value: u64, order: Ordering) {
            let weak = match self.broken {
                Broken::ReleaseOfCommit => !value.is_multiple_of(2),
                Broken::ReleaseOfEnd => value.is_multiple_of(2),
                _ => false,
            };
            self.word.store(value, if weak { Relaxed } else { order });
        }

        fn fence(&self, order: Ordering) {
            let fence = match (order, self.fences.replace(self.fences.get() + 1)) {
                (Release, 0) => Broken::FenceAfterCommit,
                (Release, 1) => Broken::FenceAfterEnd,
                (Acquire, 0) => Broken::FenceOfBegin,
                (Acquire, 1) => Broken::FenceOfWhole,
                other => panic!("{other:?} is new here"),
            };
            if self.broken != fence {
                loom::sync::atomic::fence(order);
            }
        }
    }

    /// Two files of two words, in memory that shows nothing in order by itself.
    struct Files {
        number: Word,
        broken: Broken,
        public: [Word; 2],
        journal: [Word; 2],
    }

    impl Files {
        fn new(broken: Broken) -> Files {
            let zeros = || [Word::new(0), Word::new(0)];
            Files { number: Word::new(0), broken, public: zeros(), journal: zeros() }
        }

        fn number(&self) -> Used<'_> {
            Used { word: &self.number, broken: self.broken, fences: Cell::new(0) }
        }

        fn write(&self, version: u64) {
            let number = self.number();
            let odd = number.load(Relaxed) + 1;
            self.journal.iter().for_each(|word| word.store(version, Relaxed));
            commit(&number, odd);
            self.public.iter().for_each(|word| word.store(version, Relaxed));
            end(&number, odd);
        }

        /// The version found, if no writer was faster.
        fn read(&self) -> Option<u64> {
            let number = self.number();
            let begun = begin(&number);
            let image = if begun.is_multiple_of(2) { &self.public } else { &self.journal };
            let [first, second] = [image[0].load(Relaxed), image[1].load(Relaxed)];
            is_whole(&number, begun).then(|| {
                assert_eq!(first, second, "torn");
                first
            })
        }
    }

    fn model(broken: Broken, readers: usize, writes: u64, reads: usize) {
        // Bugs of this kind show with two or three; every one more makes it many times as long.
        let full = std::env::var_os("OTTO_SOAK").is_some_and(|value| value == "1");
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(if full { 4 } else { 2 });
        model.check(move || {
            let files = Arc::new(Files::new(broken));
            let threads: Vec<_> = (0..readers)
                .map(|_| {
                    let files = Arc::clone(&files);
                    loom::thread::spawn(move || {
                        let mut last = 0;
                        for _ in 0..reads {
                            if let Some(version) = files.read() {
                                assert!(version >= last, "{version} after {last}");
                                last = version;
                            }
                        }
                    })
                })
                .collect();
            (1..=writes).for_each(|version| files.write(version));
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(files.read(), Some(writes), "a write is lost");
        });
    }

    #[test]
    fn one_writer_and_two_readers_in_every_order() {
        model(Broken::Nothing, 2, 1, 1);
    }

    #[test]
    fn two_writes_under_a_reader_in_every_order() {
        model(Broken::Nothing, 1, 2, 2);
    }

    #[test]
    fn every_part_of_the_order_is_needed() {
        for broken in [
            Broken::ReleaseOfCommit,
            Broken::FenceAfterCommit,
            Broken::ReleaseOfEnd,
            Broken::FenceAfterEnd,
            Broken::FenceOfBegin,
            Broken::FenceOfWhole,
        ] {
            let found = catch_unwind(AssertUnwindSafe(|| model(broken, 1, 2, 2)));
            let Err(found) = found else { panic!("{broken:?} is not missed") };
            let found = found.downcast_ref::<String>().unwrap();
            assert!(found.contains("torn"), "{broken:?}: {found}");
        }
    }
}

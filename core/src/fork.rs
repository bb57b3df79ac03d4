//! Locks and forked children. A child shares its parent's descriptors, and with them the `flock`s
//! that are taken under them, also later: such a lock would stay taken for as long as the child
//! lives, whatever becomes of the parent. So every child leads these descriptors elsewhere at once,
//! and none is forked between the opening of such a file and the note of its descriptor.
#![allow(unsafe_code)]

use nix::libc;
use std::cell::UnsafeCell;
use std::fs::File;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Once;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Files of one process that are kept from its children at the same time; of more than these the
/// children keep what they inherit.
const SLOTS: usize = 4096;
const FREE: RawFd = -1;

static KEPT: [AtomicI32; SLOTS] = [const { AtomicI32::new(FREE) }; SLOTS];
/// Slots from here on have never been used.
static USED: AtomicUsize = AtomicUsize::new(0);

/// While this lives, no other thread forks this process: it waits. To be held for the opening of a
/// file only, and by nobody who has one already.
pub(crate) struct Unforked {
    // It belongs to the thread that took it.
    _thread: PhantomData<*const ()>,
}

impl Unforked {
    pub(crate) fn begin() -> Unforked {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            // SAFETY: the three do only what is allowed around `fork` in a process that has
            // several threads, and stay where they are: code is never unloaded.
            let _ = unsafe {
                libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child))
            };
        });
        GATE.lock();
        Unforked { _thread: PhantomData }
    }
}

impl Drop for Unforked {
    fn drop(&mut self) {
        GATE.unlock();
    }
}

/// An open file that forked children do not share: there its descriptor leads to `/dev/null`.
#[derive(Debug)]
pub(crate) struct Unshared {
    // In this order: once the file is closed its number may be another's.
    _kept: KeptFromChildren,
    file: File,
}

impl Unshared {
    /// `file` was opened under `unforked`.
    pub(crate) fn new(file: File, unforked: &Unforked) -> Unshared {
        Unshared { _kept: keep_from_children(&file, unforked), file }
    }
}

impl Deref for Unshared {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

/// While this lives, a forked child leads a descriptor elsewhere.
#[derive(Debug)]
struct KeptFromChildren {
    kept: Option<(&'static AtomicI32, RawFd)>,
}

fn keep_from_children(file: &File, _: &Unforked) -> KeptFromChildren {
    let descriptor = file.as_raw_fd();
    let slot = KEPT.iter().enumerate().find(|(_, slot)| {
        slot.load(Relaxed) == FREE
            && slot.compare_exchange(FREE, descriptor, SeqCst, Relaxed).is_ok()
    });
    let kept = slot.map(|(number, slot)| {
        USED.fetch_max(number + 1, SeqCst);
        (slot, descriptor)
    });
    KeptFromChildren { kept }
}

impl Drop for KeptFromChildren {
    fn drop(&mut self) {
        if let Some((slot, descriptor)) = self.kept {
            // Not what a child has put there since.
            let _ = slot.compare_exchange(descriptor, FREE, SeqCst, Relaxed);
        }
    }
}

/// What a thread holds that opens a file, and one that forks. A mutex of the system's, since a child
/// has to let go of what its parent's thread took.
struct Gate(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is reached by calls only that are made for several threads at once.
unsafe impl Sync for Gate {}

static GATE: Gate = Gate(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

impl Gate {
    fn lock(&self) {
        // SAFETY: initialised, and never moved: it is a static. No thread that has it takes it.
        let _ = unsafe { libc::pthread_mutex_lock(self.0.get()) };
    }

    fn unlock(&self) {
        // SAFETY: as for `lock`; called by the thread that took it, or by what `fork` made of it.
        let _ = unsafe { libc::pthread_mutex_unlock(self.0.get()) };
    }
}

extern "C" fn before_fork() {
    GATE.lock();
}

extern "C" fn after_fork() {
    GATE.unlock();
}

/// Runs in the child before `fork` returns. Not closed but replaced: the numbers still belong to
/// files that the child's code believes to be open.
extern "C" fn in_child() {
    GATE.unlock();
    let mut nowhere = FREE;
    for slot in &KEPT[..USED.load(SeqCst).min(SLOTS)] {
        let descriptor = slot.swap(FREE, SeqCst);
        if descriptor == FREE {
            continue;
        }
        // SAFETY: system calls that are async-signal-safe, on a string with its NUL and on numbers:
        // `descriptor` is open, since whoever noted it keeps it open meanwhile, and `nowhere` is
        // our own.
        unsafe {
            if nowhere == FREE {
                nowhere = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
            }
            if nowhere != FREE {
                libc::dup3(nowhere, descriptor, libc::O_CLOEXEC);
            }
        }
    }
    if nowhere != FREE {
        // SAFETY: opened above, by nobody else known.
        unsafe { libc::close(nowhere) };
    }
}

//! Locks and forked children. A child shares its parent's descriptors, and with them the `flock`s
//! that are taken under them, also later: such a lock would stay taken for as long as the child
//! lives, whatever becomes of the parent. So every child leads these descriptors elsewhere at once.
#![allow(unsafe_code)]

use nix::libc;
use std::fs::File;
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

/// An open file that forked children do not share: there its descriptor leads to `/dev/null`.
#[derive(Debug)]
pub(crate) struct Unshared {
    // In this order: once the file is closed its number may be another's.
    _kept: KeptFromChildren,
    file: File,
}

impl Unshared {
    pub(crate) fn new(file: File) -> Unshared {
        Unshared { _kept: keep_from_children(&file), file }
    }
}

impl Deref for Unshared {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

/// While this lives, a forked child does not share the lock of a descriptor.
#[derive(Debug)]
pub(crate) struct KeptFromChildren {
    kept: Option<(&'static AtomicI32, RawFd)>,
}

/// Begins before a lock is taken and ends after it is released; the file has to stay open as long.
pub(crate) fn keep_from_children(file: &File) -> KeptFromChildren {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: `in_child` does only what is allowed between fork and exec in a process that had
        // several threads, and stays where it is: code is never unloaded.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
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

/// Runs in the child before `fork` returns. Not closed but replaced: the numbers still belong to
/// files that the child's code believes to be open.
extern "C" fn in_child() {
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

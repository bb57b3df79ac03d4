//! The one file that maps memory, and so the one with `unsafe`.
//!
//! Another process may write to what is mapped here at any moment. So no Rust reference to plain
//! bytes of a mapping ever leaves this file: shared words are atomics, always of the same size at
//! the same place; everything else is a raw pointer, for whoever can vouch for more.
#![allow(unsafe_code)]

use super::layout::{HEADER_BYTES, JOURNAL_MAPPED_BYTES, MAPPED_BYTES, offset};
use memmap2::{Advice, Mmap, MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::process;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The start of a control file: its head, and as much of the journal as small images take. The file
/// must reach as far as what is touched; the caller has looked.
#[derive(Debug)]
pub(super) struct ControlPage {
    map: MmapRaw,
}

impl ControlPage {
    pub(super) fn new(control: &File) -> io::Result<ControlPage> {
        Ok(ControlPage { map: MmapOptions::new().len(MAPPED_BYTES).map_raw(control)? })
    }

    /// One that may only be loaded from, with relaxed ordering: a store raises SIGSEGV.
    pub(super) fn read_only(control: &File) -> io::Result<ControlPage> {
        Ok(ControlPage { map: MmapOptions::new().len(MAPPED_BYTES).map_raw_read_only(control)? })
    }

    pub(super) fn inode(&self) -> &AtomicU64 {
        self.u64_at::<{ offset::INODE }>()
    }

    pub(super) fn sequence(&self) -> &AtomicU64 {
        self.u64_at::<{ offset::SEQUENCE }>()
    }

    pub(super) fn notify(&self) -> &AtomicU32 {
        self.u32_at::<{ offset::NOTIFY }>()
    }

    pub(super) fn waited_for(&self) -> &AtomicU32 {
        self.u32_at::<{ offset::WAITED_FOR }>()
    }

    pub(super) fn starving(&self) -> &AtomicU32 {
        self.u32_at::<{ offset::STARVING }>()
    }

    pub(super) fn journal_sequence(&self) -> &AtomicU64 {
        self.u64_at::<{ offset::JOURNAL_SEQUENCE }>()
    }

    pub(super) fn journal_length(&self) -> &AtomicU32 {
        self.u32_at::<{ offset::JOURNAL_LENGTH }>()
    }

    pub(super) fn journal_crc(&self) -> &AtomicU32 {
        self.u32_at::<{ offset::JOURNAL_CRC }>()
    }

    pub(super) fn writer(&self) -> &AtomicU32 {
        self.u32_at::<{ offset::WRITER }>()
    }

    /// The mapped start of the journal.
    pub(super) fn journal(&self) -> &[AtomicU64; JOURNAL_MAPPED_BYTES / 8] {
        const { assert!(HEADER_BYTES.is_multiple_of(8) && offset::JOURNAL == HEADER_BYTES as u64) };
        // SAFETY: these are the last JOURNAL_MAPPED_BYTES of the mapping, aligned to a page, for as
        // long as `self`. Every access of ours through memory is atomic and of this size.
        unsafe { &*self.map.as_mut_ptr().add(HEADER_BYTES).cast() }
    }

    fn u64_at<const AT: usize>(&self) -> &AtomicU64 {
        const { assert!(AT.is_multiple_of(8) && AT + 8 <= HEADER_BYTES) };
        // SAFETY: the mapping is longer than HEADER_BYTES, page aligned and lives as long as `self`;
        // AT is inside it and aligned, as checked while compiling. Every access of ours to this
        // place is atomic and of this size; other processes keep to that or harm only values. Where
        // it can't be written callers only load, relaxed, as std allows for such memory.
        unsafe { &*self.map.as_ptr().add(AT).cast::<AtomicU64>() }
    }

    fn u32_at<const AT: usize>(&self) -> &AtomicU32 {
        const { assert!(AT.is_multiple_of(4) && AT + 4 <= HEADER_BYTES) };
        // SAFETY: as in `u64_at`.
        unsafe { &*self.map.as_ptr().add(AT).cast::<AtomicU32>() }
    }
}

/// This process's ID without a system call, and without mistake after a fork: it is kept on a page
/// that the kernel empties in every child.
pub(super) fn process_id() -> u32 {
    static KEPT: OnceLock<Option<Anonymous>> = OnceLock::new();
    let Some(page) = KEPT.get_or_init(|| Anonymous::wiped_on_fork().ok()) else {
        return process::id();
    };
    let kept = &page.words()[0];
    if let Ok(id @ 1..) = u32::try_from(kept.load(Relaxed)) {
        return id;
    }
    let id = process::id();
    kept.store(id.into(), Relaxed);
    id
}

/// A whole file mapped for reading.
#[derive(Debug)]
pub(super) struct ReadOnly {
    map: Mmap,
}

impl ReadOnly {
    /// Maps `length` bytes of `file`, which must be that long.
    pub(super) fn new(file: &File, length: NonZeroUsize) -> io::Result<ReadOnly> {
        // SAFETY: no reference to the bytes is handed out, only their address.
        let map = unsafe { MmapOptions::new().len(length.get()).map(file)? };
        Ok(ReadOnly { map })
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.map.as_ptr()
    }

    /// Puts memory behind all of it now, so that a full one shows here and not as SIGBUS. Where the
    /// system can't be asked for that (Linux before 5.14) nothing is done.
    pub(super) fn populate(&self) -> io::Result<()> {
        match self.map.advise(Advice::PopulateRead) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            done => done,
        }
    }
}

/// A whole file mapped for writing; at some point the writes stop reaching the file.
#[derive(Debug)]
pub(super) struct Writable {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: only the address of the pages is handed out, and what is reached through it is for who
// uses it to keep in order; the mapping itself can be changed through `&mut` alone.
unsafe impl Send for Writable {}
// SAFETY: as above.
unsafe impl Sync for Writable {}

impl Writable {
    /// Maps `length` bytes of `file`, which must be that long and have memory behind all of them.
    pub(super) fn new(file: &File, length: NonZeroUsize) -> io::Result<Writable> {
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, file, 0)? };
        Ok(Writable { start, length })
    }

    pub(super) fn as_mut_ptr(&self) -> *mut u8 {
        self.start.as_ptr().cast()
    }

    /// From here on writes through addresses given out change copies of this process's own, and no
    /// longer `file`, which is the one that was mapped.
    pub(super) fn detach(&mut self, file: &File) -> io::Result<()> {
        let start = NonZeroUsize::new(self.start.as_ptr().addr());
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // Nothing is set aside for copies that are hardly ever made.
        let how = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED | MapFlags::MAP_NORESERVE;
        // SAFETY: it takes the place of our own mapping, exactly, and shows the same bytes with the
        // same access: whoever holds an address in it notices nothing.
        unsafe { mmap(start, self.length, access, how, file, 0)? };
        Ok(())
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`. Addresses given out are their holder's to keep
        // within our lifetime.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}

/// Anonymous memory, as words.
#[derive(Debug)]
pub(super) struct Anonymous {
    start: NonNull<c_void>,
    words: NonZeroUsize,
}

// SAFETY: the pages belong to this value alone and are reached through atomics only.
unsafe impl Send for Anonymous {}
// SAFETY: as above.
unsafe impl Sync for Anonymous {}

impl Anonymous {
    /// `words` words of eight zero bytes.
    pub(super) fn new(words: NonZeroUsize) -> io::Result<Anonymous> {
        Anonymous::map(words, MapFlags::MAP_SHARED)
    }

    /// One word of this process alone: zero at first, and again in each child it forks.
    fn wiped_on_fork() -> io::Result<Anonymous> {
        let page = Anonymous::map(NonZeroUsize::MIN, MapFlags::MAP_PRIVATE)?;
        // SAFETY: the advice is about a mapping of our own that holds nothing but atomics, for
        // which zero is a value like any other.
        unsafe { madvise(page.start, 8, MmapAdvise::MADV_WIPEONFORK)? };
        Ok(page)
    }

    fn map(words: NonZeroUsize, sharing: MapFlags) -> io::Result<Anonymous> {
        let bytes = words.checked_mul(const { NonZeroUsize::new(8).unwrap() });
        let bytes = bytes.ok_or(Errno::ENOMEM)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice touches nothing of ours.
        let start = unsafe { mmap_anonymous(None, bytes, access, sharing)? };
        Ok(Anonymous { start, words })
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is `words` words long, aligned to a page, zeroed at first, and lives
        // as long as `self`; atomics may be shared with other threads and processes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.words.get()) }
    }
}

impl Drop for Anonymous {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; `words` borrows `self`, so nothing of it is
        // in use. Pointers given out as raw ones are their holder's to keep within our lifetime.
        let _ = unsafe { munmap(self.start, self.words.get() * 8) };
    }
}

//! A writer of the tests' own, made from `docs/region-format.md` alone: as the page says it survives
//! the kill test beside readers and writers of ours; with any one of its rules broken it does not,
//! and so the kill test can fail.

use crate::killed::{Hunt, Seen, counted_object, counts_of, writer_at};
use crate::roles::{assigned, figures, scaled};
use crate::task;
use nix::fcntl::{AtFlags, Flock, FlockArg};
use nix::unistd::linkat;
use otto_core::run::RunId;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Offsets of the control file.
const SEQUENCE: u64 = 0x40;
const WRITES: u64 = 0x48;
const JOURNAL_SEQUENCE: u64 = 0xC0;
const JOURNAL_LENGTH: u64 = 0xC8;
const JOURNAL_CRC: u64 = 0xCC;
const LAST_LOCKER: u64 = 0x100;
const JOURNAL: u64 = 0x1000;

/// The rule of the page that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// Straight into the public file.
    NoJournal,
    /// The commit first, then what is committed.
    JournalAfterCommit,
    /// The public file is written while it counts as the truth.
    CopyBeforeCommit,
    /// The public file counts as the truth again before it is.
    EndBeforeCopy,
    /// What a dead writer committed is ignored.
    NoRecovery,
    /// The images end without a CRC.
    NoCheck,
    /// The journal does not say whose it is.
    JournalUnsigned,
    /// Nobody is kept out.
    NoLock,
}

const BROKEN: [Broken; 8] = [
    Broken::NoJournal,
    Broken::JournalAfterCommit,
    Broken::CopyBeforeCommit,
    Broken::EndBeforeCopy,
    Broken::NoRecovery,
    Broken::NoCheck,
    Broken::JournalUnsigned,
    Broken::NoLock,
];

struct PageWriter {
    public: File,
    control: File,
    broken: Broken,
}

/// A file that appears complete: made without a name and linked, unless another is first.
fn appear(path: &Path, bytes: &[u8]) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    loop {
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.unwrap(),
        }
        let folder = path.parent().unwrap();
        let mut nameless = options.clone();
        let file = nameless.custom_flags(nix::libc::O_TMPFILE).open(folder).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        let here = nix::fcntl::AT_FDCWD;
        let _ = linkat(here, from.as_str(), here, path, AtFlags::AT_SYMLINK_FOLLOW);
    }
}

impl PageWriter {
    fn open(run: RunId, broken: Broken) -> PageWriter {
        let mut header = vec![0; 0x1000];
        header[..8].copy_from_slice(b"OTTOSHM1");
        header[8..12].copy_from_slice(&1_u32.to_le_bytes());
        header[12..16].copy_from_slice(&4096_u32.to_le_bytes());
        header[16..32].copy_from_slice(&u128::from(std::process::id()).to_ne_bytes());
        let control = appear(&run.control_path(&task("t")), &header);
        let public = appear(&run.document_path(&task("t")), &[0; 8]);
        let inode = public.metadata().unwrap().ino();
        control.write_all_at(&inode.to_le_bytes(), 0x20).unwrap();
        PageWriter { public, control, broken }
    }

    fn image(&self, json: &[u8]) -> Vec<u8> {
        let mut image = (json.len() as u32).to_le_bytes().to_vec();
        image.extend(json);
        let crc = if self.broken == Broken::NoCheck { 0 } else { crc32fast::hash(&image) };
        image.extend(crc.to_le_bytes());
        image
    }

    fn sequence(&self) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, SEQUENCE).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.control.write_all_at(bytes, at).unwrap();
    }

    fn recover(&self) {
        let sequence = self.sequence();
        if sequence.is_multiple_of(2) || self.broken == Broken::NoRecovery {
            return;
        }
        let image = image_at(&self.control, JOURNAL).expect("a torn journal");
        let mut signed = [0; 16];
        self.control.read_exact_at(&mut signed, JOURNAL_SEQUENCE).unwrap();
        let (length, crc) = (&image[..4], &image[image.len() - 4..]);
        assert_eq!(signed, *[&sequence.to_le_bytes(), length, crc].concat(), "whose journal?");
        self.public.write_all_at(&image, 0).unwrap();
        self.put(SEQUENCE, &(sequence + 1).to_le_bytes());
    }

    /// Changes the JSON under the lock.
    fn update(&self, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let lock = (self.broken != Broken::NoLock).then(|| {
            Flock::lock(self.control.try_clone().unwrap(), FlockArg::LockExclusive).unwrap()
        });
        self.put(LAST_LOCKER, &std::process::id().to_le_bytes());
        self.recover();
        let old = image_at(&self.public, 0).expect("a torn document");
        let image = self.image(&change(&old[4..old.len() - 4]));
        let sequence = self.sequence();
        let journal = || {
            self.put(JOURNAL, &image);
            if self.broken != Broken::JournalUnsigned {
                self.put(JOURNAL_SEQUENCE, &(sequence + 1).to_le_bytes());
                self.put(JOURNAL_LENGTH, &image[..4]);
                self.put(JOURNAL_CRC, &image[image.len() - 4..]);
            }
        };
        let commit = || self.put(SEQUENCE, &(sequence + 1).to_le_bytes());
        let copy = || self.public.write_all_at(&image, 0).unwrap();
        let end = || self.put(SEQUENCE, &(sequence + 2).to_le_bytes());
        let steps: &[&dyn Fn()] = match self.broken {
            Broken::NoJournal => &[&copy],
            Broken::JournalAfterCommit => &[&commit, &journal, &copy, &end],
            Broken::CopyBeforeCommit => &[&journal, &copy, &commit, &end],
            Broken::EndBeforeCopy => &[&journal, &commit, &end, &copy],
            _ => &[&journal, &commit, &copy, &end],
        };
        steps.iter().for_each(|step| step());
        let mut writes = [0; 4];
        self.control.read_exact_at(&mut writes, WRITES).unwrap();
        self.put(WRITES, &u32::from_le_bytes(writes).wrapping_add(1).to_le_bytes());
        if let Some(lock) = lock {
            lock.unlock().map_err(|(_, error)| error).unwrap();
        }
    }
}

/// The image at `start` of `file`, whole; one without a CRC at all is a script's.
fn image_at(file: &File, start: u64) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    file.read_exact_at(&mut length, start).ok()?;
    let mut image = vec![0; u32::from_le_bytes(length) as usize + 8];
    file.read_exact_at(&mut image, start).ok()?;
    let (body, crc) = image.split_at(image.len() - 4);
    let whole = crc == crc32fast::hash(body).to_le_bytes() || crc == [0; 4];
    whole.then_some(image)
}

/// Counts its writes of the document `t` of run `count` for ever, breaking the rule its place names.
#[test]
fn role_page_writer() {
    let Some((place, run)) = assigned("mutants::role_page_writer") else { return };
    let (report, own, told) = writer_at(&place);
    let broken = BROKEN.into_iter().find(|broken| format!("{broken:?}") == told);
    let writer = PageWriter::open(RunId(run), broken.unwrap_or(Broken::Nothing));
    let mut others = 0;
    loop {
        // Or the victim would hardly ever be the one with the lock.
        thread::sleep(Duration::from_micros(100 * others));
        let mut count = 0;
        writer.update(|json| {
            let mut counts = counts_of(json).unwrap_or_else(|| std::process::exit(1));
            others = counts.len() as u64 - 1;
            counts[own] += 1;
            count = counts[own];
            counted_object(&counts).into_bytes()
        });
        report.set(count);
    }
}

fn hunt(broken: Broken, kills: u64) -> Seen {
    // Where readers of ours are, they finish what the writers leave.
    let readers = usize::from(broken != Broken::NoRecovery);
    let several = matches!(broken, Broken::NoRecovery | Broken::NoLock);
    let writers = if several { 3 } else { 1 };
    let told = format!("{broken:?}");
    let (role, until_bad) = ("mutants::role_page_writer", broken != Broken::Nothing);
    Hunt { role, told: &told, writers, readers, kills, until_bad }.run()
}

#[test]
fn a_writer_made_from_the_page_survives() {
    let seen = hunt(Broken::Nothing, scaled(200, 4000));
    let Seen { kills, midway, reads, .. } = seen;
    figures(format_args!(
        "the page's writer: {kills} kills ({midway} after the commit), {reads} reads, 0 bad"
    ));
    assert_eq!(seen.bad(), 0, "{seen:?}");
    assert!(midway > 0, "none was killed after the commit");
}

#[test]
fn every_broken_rule_shows() {
    for broken in BROKEN {
        let seen = hunt(broken, 2000);
        let Seen { kills, torn, lost, backwards, took, .. } = seen;
        figures(format_args!(
            "mutant {broken:?}: after {kills} kills {torn} torn, {lost} lost, {backwards} backwards, {took:?}"
        ));
        assert!(seen.bad() > 0, "{broken:?}: 2000 kills, and nothing to see");
    }
}

//! A writer that died, or stands still, after any byte of its copy to the public file.

use crate::roles::{figures, scaled};
use crate::{own_run, task};
use nix::fcntl::{Flock, FlockArg};
use otto_core::region::{Document, SIZE_DEFAULT};
use otto_core::run::RunId;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

/// Leaves `json` committed in the document `t`, as the page of the format says, and copied nowhere.
/// Returns its image.
pub(crate) fn commit_only(run: RunId, json: &[u8]) -> Vec<u8> {
    let length = (json.len() as u32).to_le_bytes();
    let mut image = [&length, json].concat();
    let crc = crc32fast::hash(&image).to_le_bytes();
    image.extend(crc);
    let path = run.control_path(&task("t"));
    let control = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut sequence = [0; 8];
    control.read_exact_at(&mut sequence, 0x40).unwrap();
    let sequence = (u64::from_le_bytes(sequence) + 1).to_le_bytes();
    control.write_all_at(&image, 0x1000).unwrap();
    control.write_all_at(&[&sequence, &length[..], &crc].concat(), 0xC0).unwrap();
    control.write_all_at(&sequence, 0x40).unwrap();
    image
}

fn json(size: usize, filler: char) -> Vec<u8> {
    format!("\"{}\"", filler.to_string().repeat(size - 2)).into_bytes()
}

/// Every prefix of the copy of a document of `new` bytes over one of `old`; how many.
fn tear(old: usize, new: usize) -> usize {
    let own = own_run();
    let run = own.run.id();
    let (public, control) = (run.document_path(&task("t")), run.control_path(&task("t")));
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    let (old, new) = (json(old, 'o'), json(new, 'n'));
    document.write(&old).unwrap();
    let image = commit_only(run, &new);
    let (copied_over, committed) = (fs::read(&public).unwrap(), fs::read(&control).unwrap());
    let public_file = OpenOptions::new().write(true).open(&public).unwrap();
    let control_file = OpenOptions::new().write(true).open(&control).unwrap();
    let ends = 24..image.len() - 24;
    let all = scaled(0, 1) == 1;
    let prefixes = (0..=image.len()).filter(|at| all || !ends.contains(at) || at % 23 == 0);
    let mut count = 0;
    for prefix in prefixes {
        count += 1;
        public_file.write_all_at(&copied_over[..old.len().max(new.len()) + 64], 0).unwrap();
        public_file.write_all_at(&image[..prefix], 0).unwrap();
        control_file.write_all_at(&committed, 0).unwrap();
        let what = format!("{} over {}, {prefix} bytes of it", new.len(), old.len());
        // While it has the lock: one of the two, and the new one once the old is touched.
        let held = Flock::lock(File::open(&control).unwrap(), FlockArg::LockExclusive).unwrap();
        let mut fresh = Document::open(run, &task("t")).unwrap();
        for reader in [&mut document, &mut fresh] {
            let found = reader.read().unwrap();
            let touched = image[..prefix] != copied_over[..prefix];
            assert!(found == new || (found == old && !touched), "{what}: {:.20?}", found);
        }
        drop(held);
        // Dead: whoever opens it has the new one, and so do those who read the public file.
        let found = Document::open(run, &task("t")).unwrap().read().unwrap();
        assert!(found == new, "{what}: not finished, {:.20?}", found);
        assert!(fs::read(&public).unwrap().starts_with(&image), "{what}");
        assert!(document.read().unwrap() == new, "{what}");
    }
    count
}

#[test]
fn a_copy_may_end_after_any_byte() {
    // Small ones prove by themselves that they are whole, large ones do not.
    let sizes =
        [(100, 9000), (9000, 100), (3000, 3500), (3500, 3000), (9000, 12_000), (9000, 5000)];
    let counts = sizes.map(|(old, new)| tear(old, new));
    figures(format_args!("prefix-tear: {} prefixes, 0 bad", counts.iter().sum::<usize>()));
}

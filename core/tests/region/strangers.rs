//! What other users and programs put into the folder that everybody shares.

use crate::roles::{assigned, in_namespace};
use crate::{own_run, task};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, chown, geteuid, mkfifo};
use otto_core::region::{Dataset, Document, DocumentStore};
use otto_core::run::{Owner, RunId, owner_of};
use otto_core::{Condition, ErrorKind, Json, Key, Pattern, Values};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Gives `path` to nobody, where we may.
fn give_away(path: &Path) -> bool {
    geteuid().is_root() && chown(path, Some(Uid::from_raw(65534)), None).is_ok()
}

#[test]
fn a_fifo_in_the_place_of_a_lock_holds_nobody_up() {
    let run = RunId((1 << 41) + u64::from(std::process::id()));
    mkfifo(&run.lock_path(), Mode::from_bits_truncate(0o666)).unwrap();
    give_away(&run.lock_path());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(owner_of(run)));
    let owner = told.recv_timeout(Duration::from_secs(30));
    fs::remove_file(run.lock_path()).unwrap();
    assert_eq!(owner.unwrap(), Owner::Unknown);
}

#[test]
fn files_of_others_are_not_ours_to_list() {
    let own = own_run();
    let run = own.run.id();
    let mut store = DocumentStore::open(run);
    let key = Key::parse("t.a").unwrap();
    store.set(&key, &Json::number(1), Condition::Always).unwrap();
    let others = [run.document_path(&task("zzz")), run.dataset_path(&task("zzz"))];
    for path in &others {
        fs::write(path, b"").unwrap();
    }
    if others.iter().all(|path| give_away(path)) {
        assert_eq!(store.list(&Pattern::parse("*").unwrap()).unwrap().len(), 1);
        assert_eq!(Document::list(run).unwrap(), [task("t")]);
        assert_eq!(Dataset::list(run).unwrap(), []);
    }
    for path in &others {
        fs::remove_file(path).unwrap();
    }
}

/// Where memory is full a hole in a mapped file can't be read.
#[test]
fn role_reader_of_holes() {
    if assigned("strangers::role_reader_of_holes").is_none() {
        return;
    }
    let own = own_run();
    let run = own.run.id();
    let path = run.dataset_path(&task("d"));
    let file = File::create(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    file.write_all_at(b"end", (1 << 20) - 3).unwrap();
    // Room enough: all of it can be touched from now on.
    let open = Dataset::open(run, &task("d")).unwrap();
    assert_eq!(open.info().size, 1 << 20);
    assert!(std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512 >= 1 << 20);
    file.set_len(64 << 20).unwrap();
    let error = Dataset::open(run, &task("d")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert!(error.to_string().contains("67108864"), "{error}");
}

#[test]
fn holes_that_memory_has_no_room_for_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=4m none /dev/shm && shift && exec \"$@\"";
    in_namespace(script, "strangers::role_reader_of_holes", folder.path());
}

//! What publishers that were killed leave under a dataset's name, and its removal: labels of files
//! that never got their name or have lost it, files on their way into place, files on disk.

use super::current::identity;
use super::{label, place};
use crate::key::TaskName;
use crate::lock;
use crate::run::{self, RunId, SHARED_MEMORY, still_there};
use std::fs;
use std::path::Path;
use std::process;

/// Removes what no living publisher of `name` works on and no reader can come by. What can't be
/// removed now goes with the run.
pub(super) fn sweep(run: RunId, name: &TaskName) {
    let hidden = label::prefix(run, name);
    // The data before its label, which says what it is.
    if let Ok(Some(folder)) = run::find_spilled(run) {
        sweep_spilled(run, name, &folder);
    }
    let in_folder = |folder: &Path| {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let Some(found) = file_name.to_str() else { continue };
            if let Some(rest) = found.strip_prefix(&hidden) {
                match label::parse_identity(rest) {
                    Some(of) => remove_unless(&entry.path(), || identity(run, name) == Some(of)),
                    None => remove_on_the_way(run, &entry.path()),
                }
            }
        }
    };
    in_folder(Path::new(SHARED_MEMORY));
    if let Ok(Some(folder)) = run::find_spilled(run) {
        in_folder(&folder);
    }
}

fn sweep_spilled(run: RunId, name: &TaskName, folder: &Path) {
    let start = format!("{name}.");
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|found| found.starts_with(&start)) {
            let path = entry.path();
            let is_current =
                || fs::read_link(run.dataset_path(name)).is_ok_and(|target| target == path);
            remove_unless(&path, is_current);
        }
    }
}

/// Removes the file `path` if its publisher is done with it, or dead, and it is not `needed`.
fn remove_unless(path: &Path, needed: impl Fn() -> bool) {
    if needed() {
        return;
    }
    let Ok(Some(file)) = place::open_to_lock(path) else { return };
    let Some(_held) = lock::try_exclusive(process::id, &file) else { return };
    // Now that its publisher does nothing any more, once again.
    if !needed() && still_there(&file, path) {
        let _ = fs::remove_file(path);
    }
}

/// Removes the second name that a file, or a link to one on disk, has just before it gets its
/// first, if its publisher died there.
fn remove_on_the_way(run: RunId, path: &Path) {
    match fs::read_link(path) {
        Err(_) => remove_unless(path, || false),
        Ok(target) if target.parent() == Some(&run::spilled(run)) => {
            let Ok(opened) = place::open_to_lock(&target) else { return };
            let held = opened.as_ref().map(|file| lock::try_exclusive(process::id, file));
            if !matches!(held, Some(None)) {
                let _ = fs::remove_file(path);
            }
        }
        Ok(_) => {}
    }
}

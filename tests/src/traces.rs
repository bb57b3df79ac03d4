//! What a run leaves on the machine outside its own folders.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Everything in `/dev/shm`, `/tmp`, `/var/tmp` and the per-user folders that carries the run's ID.
#[must_use]
pub fn traces_of(run: &str) -> Vec<PathBuf> {
    let mark = format!("otto-{run}");
    let of_run = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.find(&mark).is_some_and(|at| {
            !name[at + mark.len()..].starts_with(|next: char| next.is_ascii_digit())
        })
    };
    let mut found: Vec<PathBuf> = list("/dev/shm").into_iter().filter(of_run).collect();
    for path in list("/tmp") {
        if of_run(&path) {
            found.push(path);
        } else if path.to_string_lossy().starts_with("/tmp/otto-") {
            found.extend(list(&path).into_iter().filter(|path| path.ends_with(run)));
        }
    }
    for user in list("/var/tmp") {
        if user.to_string_lossy().starts_with("/var/tmp/otto-") {
            found.extend(list(&user).into_iter().filter(|path| path.ends_with(run)));
        }
    }
    found
}

/// Processes of a run, by the variable they all carry.
#[must_use]
pub fn processes_of(run: &str) -> Vec<String> {
    let mark = format!("OTTO_RUN_ID={run}").into_bytes();
    let entries = list("/proc").into_iter();
    entries
        .filter(|entry| {
            fs::read(entry.join("environ"))
                .is_ok_and(|all| all.split(|byte| *byte == 0).any(|variable| variable == mark))
        })
        .filter_map(|entry| Some(entry.file_name()?.to_string_lossy().into_owned()))
        .collect()
}

/// Those of `paths`, and of what is in them, that group or others may use.
#[must_use]
pub fn readable_by_others(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut open = Vec::new();
    for path in paths {
        let Ok(found) = fs::symlink_metadata(path) else { continue };
        if !found.is_symlink() && found.permissions().mode() & 0o077 != 0 {
            open.push(path.clone());
        }
        if found.is_dir() {
            open.extend(readable_by_others(&list(path)));
        }
    }
    open
}

fn list(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    // Somebody else's folder is nothing of ours.
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

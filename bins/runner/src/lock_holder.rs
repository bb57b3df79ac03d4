//! `otto-lock` while it holds a lock. It is a program of ours, so that what it sleeps in says what
//! it waits for.

use otto_core::run::variable;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a process is known by to be an `otto-lock` of this run.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    program: PathBuf,
    /// The variable that leads to this run's server.
    socket: Vec<u8>,
}

impl Locks {
    /// `bin` is the folder of our programs.
    pub(crate) fn new(bin: &Path, socket: &OsStr) -> Locks {
        let socket = [variable::SOCKET.as_bytes(), b"=", socket.as_bytes()].concat();
        Locks { program: bin.join("otto-lock"), socket }
    }

    /// Whether process `id` runs the very file that tasks find as `otto-lock`, and asks our server.
    pub(crate) fn has(&self, id: u32) -> bool {
        let file = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        let Some(program) = file(Path::new(&format!("/proc/{id}/exe"))) else { return false };
        if file(&self.program) != Some(program) {
            return false;
        }
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        let named = &self.socket[..=variable::SOCKET.len()];
        let socket = environment.split(|byte| *byte == 0).find(|entry| entry.starts_with(named));
        socket == Some(&self.socket[..])
    }
}

/// Whether `id`, which holds a lock as long as another process lives, does so for `members` alone:
/// it has a descriptor of that process.
pub(crate) fn holds_for(id: u32, members: &[u32]) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{id}/fdinfo")) else { return false };
    let told = |entry: fs::DirEntry| fs::read_to_string(entry.path()).unwrap_or_default();
    let mut held = entries.flatten().filter_map(|entry| held(&told(entry))).peekable();
    held.peek().is_some() && held.all(|process| process.is_some_and(|id| members.contains(&id)))
}

/// The process that a descriptor is of, as the kernel tells it; `Some(None)`: it has ended.
fn held(info: &str) -> Option<Option<u32>> {
    let process = info.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    Some(process.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    fn another_program_is_no_lock() {
        let own = std::env::current_exe().unwrap();
        let locks = Locks::new(own.parent().unwrap(), OsStr::new("/s"));
        assert!(!locks.has(std::process::id()));
        assert!(!Locks::default().has(std::process::id()));
    }

    #[test]
    fn whom_one_holds_for_is_read_from_its_descriptors() {
        assert_eq!(held("pos:\t0\nflags:\t02000002\nPid:\t42\nNSpid:\t42\n"), Some(Some(42)));
        assert_eq!(held("pos:\t0\nPid:\t-1\n"), Some(None));
        assert_eq!(held("pos:\t0\nflags:\t02\n"), None);
        let mut process = Command::new("sleep").arg("1000").spawn().unwrap();
        let script = "import os, sys; os.pidfd_open(int(sys.argv[1])); print(flush=True); input()";
        let mut holder = Command::new("python3")
            .args(["-c", script, &process.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (id, held) = (holder.id(), process.id());
        holder.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let while_it_lives =
            [holds_for(id, &[1, held]), holds_for(id, &[1]), holds_for(held, &[1])];
        process.kill().unwrap();
        process.wait().unwrap();
        let afterwards = holds_for(id, &[1, held]);
        drop(holder.stdin.take());
        holder.wait().unwrap();
        assert_eq!(while_it_lives, [true, false, false]);
        assert!(!afterwards, "it is about to let go");
    }
}

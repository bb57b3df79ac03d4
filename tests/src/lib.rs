//! What the end-to-end tests stand on: the staged programs, a place of their own on disk, child
//! processes with deadlines, and a look at what a run has left behind.
//!
//! Everything here panics when it cannot do its work: it only ever runs inside tests.

mod job;
pub mod linear;
mod place;
mod random;
mod server;
mod streams;
pub mod talk;
mod traces;

pub use job::{Finished, Job, Running};
pub use place::{ORDINARY_USER, Place, root};
pub use random::{Random, seed};
pub use server::Server;
pub use streams::{Tasks, Watched};
pub use traces::{processes_of, readable_by_others, traces_of};

use std::fmt::Arguments;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything that must happen may take, on a slow and busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The staged installation under test: `OTTO_PREFIX`, else `target/otto` of this checkout.
///
/// # Panics
/// When nothing is staged there.
#[must_use]
pub fn prefix() -> PathBuf {
    let prefix = std::env::var_os("OTTO_PREFIX")
        .map_or_else(|| repository().join("target/otto"), PathBuf::from);
    assert!(prefix.join("bin/otto-set").exists(), "nothing at {prefix:?}: run `make build` first");
    prefix
}

/// The checkout these tests belong to.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// `full` under `make soak`, else a twentieth of it.
#[must_use]
pub fn times(full: u32) -> u32 {
    if std::env::var_os("OTTO_SOAK").is_some() { full } else { full.div_ceil(20) }
}

/// Shows what was measured when the test fails, and at the end of `make soak` also when it passes.
///
/// # Panics
/// When the file for that (`OTTO_FIGURES`) can't be written.
pub fn figures(what: Arguments<'_>) {
    eprintln!("figures: {what}");
    if let Some(path) = std::env::var_os("OTTO_FIGURES") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        // In one write: others append, too.
        let written = file.and_then(|mut file| file.write_all(format!("{what}\n").as_bytes()));
        written.expect("the file of figures");
    }
}

/// Waits until `event` gives something, and panics naming `what` when it never does.
pub fn wait_for<T>(what: &str, mut event: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = event() {
            return found;
        }
        assert!(Instant::now() < deadline, "still not after {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

//! A folder of its own for each test, and the ways to start things in it.

use crate::{Job, prefix, repository};
use nix::unistd::{Gid, Uid, chown, geteuid};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The user and group that tests change to when they run as root: nobody.
pub const ORDINARY_USER: u32 = 65534;

/// Whether the tests run as root, and so can also run things as [`ORDINARY_USER`].
#[must_use]
pub fn root() -> bool {
    geteuid().is_root()
}

/// A temporary folder with a home in it, and whose processes they are.
pub struct Place {
    folder: TempDir,
    prefix: PathBuf,
    pairs: PathBuf,
    rust_client: PathBuf,
    stream_load: PathBuf,
    ordinary: bool,
}

impl Default for Place {
    fn default() -> Place {
        Place::new()
    }
}

impl Place {
    /// A place whose processes run as the user who runs the tests.
    #[must_use]
    pub fn new() -> Place {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir().expect("a folder in /tmp");
        let place = Place {
            folder,
            prefix: prefix(),
            pairs: repository().join("tests/pairs"),
            rust_client: built("rust-client"),
            stream_load: built("stream-load"),
            ordinary: false,
        };
        let _ = place.folder("home");
        place
    }

    /// A place whose processes run as an ordinary user, whoever runs the tests.
    #[must_use]
    pub fn ordinary() -> Place {
        let mut place = Place::new();
        if !root() {
            return place;
        }
        place.ordinary = true;
        give(place.path());
        let _ = place.folder("home");
        // The checkout may lie where only root can look.
        let probe = place.job("test").arg("-x").arg(place.prefix.join("bin/otto-run")).run();
        if probe.status != 0 {
            place.prefix = place.copy_of(&place.prefix, "prefix");
            place.pairs = place.copy_of(&place.pairs, "pairs");
            for program in [&mut place.rust_client, &mut place.stream_load] {
                let copy = place.folder.path().join(program.file_name().expect("a program"));
                fs::copy(&*program, &copy).expect("copied");
                *program = copy;
            }
        }
        place
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The home folder of its processes.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// Makes a folder that its processes may write to.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).expect("a folder");
        if self.ordinary {
            give(&path);
        }
        path
    }

    fn copy_of(&self, tree: &Path, name: &str) -> PathBuf {
        let copy = self.path().join(name);
        let install = repository().join("scripts/install-tree.sh");
        let _ = Job::new(install).arg(tree).arg(&copy).run().ok();
        copy
    }

    /// Writes a file that its processes may read.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        if let Some((parent, _)) = name.rsplit_once('/') {
            let _ = self.folder(parent);
        }
        fs::write(&path, contents).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("readable");
        path
    }

    /// Reads a file that its processes wrote.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        let path = self.path().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A program, staged or on PATH, with nothing of a run in its environment.
    #[must_use]
    pub fn job(&self, program: &str) -> Job {
        let path = std::env::var("PATH").unwrap_or_default();
        let job = if self.ordinary {
            let user = ORDINARY_USER.to_string();
            Job::new("setpriv")
                .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
                .arg(program)
        } else {
            Job::new(program)
        };
        otto_core::run::variable::ALL
            .into_iter()
            .fold(job, Job::without)
            .without("XDG_RUNTIME_DIR")
            .without("OTTO_PREFIX")
            .env("NO_COLOR", "1")
            .env("HOME", self.home())
            .env("PATH", format!("{}/bin:{path}", self.prefix.display()))
            .env("PYTHONPATH", self.prefix.join("lib/otto/python"))
            .env("RUST_CLIENT", &self.rust_client)
            .env("LOAD", &self.stream_load)
            .env("PAIRS", &self.pairs)
            .in_folder(self.path())
    }

    /// A bash script under `set -euo pipefail`; `$1` and so on come with [`Job::arg`].
    #[must_use]
    pub fn bash(&self, script: &str) -> Job {
        self.job("bash").args(["-euo", "pipefail", "-c", script, "bash"])
    }

    /// A bash script under `otto-serve --`, that is with a server and a run of its own.
    #[must_use]
    pub fn serve(&self, script: &str) -> Job {
        self.job("otto-serve").args(["--", "bash", "-euo", "pipefail", "-c", script, "bash"])
    }

    /// `otto-run` of `file`, the text of an otto.yml.
    #[must_use]
    pub fn otto_run(&self, file: &str) -> Job {
        let path = self.write("otto.yml", file);
        self.job("otto-run").arg("-f").arg(path)
    }
}

fn give(path: &Path) {
    let (uid, gid) = (Uid::from_raw(ORDINARY_USER), Gid::from_raw(ORDINARY_USER));
    chown(path, Some(uid), Some(gid)).expect("root may");
}

/// A program of this package, built beside the tests.
fn built(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("Linux knows");
    tests.ancestors().nth(2).expect("target/<profile>/deps/<test>").join(name)
}

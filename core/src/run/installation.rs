//! Where the rest of the toolkit lies, seen from the running program: `<prefix>/bin/otto-*`,
//! `<prefix>/share/otto/otto.sh`, `<prefix>/lib/otto/python`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What was found of an installation; a part that is not there is `None`.
///
/// ```
/// use otto_core::run::Installation;
/// use std::path::Path;
/// let found = Installation::at(Path::new("/nowhere/bin"));
/// assert_eq!(found.path(Some("/usr/bin".as_ref())), "/nowhere/bin:/usr/bin");
/// assert!(found.otto_sh.is_none() && found.python.is_none());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Installation {
    /// The folder of the programs.
    pub bin: PathBuf,
    /// The functions for bash.
    pub otto_sh: Option<PathBuf>,
    /// The folder that holds the Python module.
    pub python: Option<PathBuf>,
}

impl Installation {
    /// The installation the running program belongs to.
    #[must_use]
    pub fn of_this_program() -> Installation {
        let program = env::current_exe().and_then(|program| program.canonicalize());
        let bin = program.ok().and_then(|program| program.parent().map(Path::to_owned));
        bin.map(|bin| Installation::at(&bin)).unwrap_or_default()
    }

    /// The installation whose programs are in `bin`.
    #[must_use]
    pub fn at(bin: &Path) -> Installation {
        let prefix = bin.parent().unwrap_or(Path::new("/"));
        let there = |path: PathBuf| path.exists().then_some(path);
        Installation {
            bin: bin.to_owned(),
            otto_sh: there(prefix.join("share/otto/otto.sh")),
            python: there(prefix.join("lib/otto/python")),
        }
    }

    /// `PATH` with the programs in front; unchanged where they stand in it already.
    #[must_use]
    pub fn path(&self, path: Option<&OsStr>) -> OsString {
        let path = path.unwrap_or_default();
        if env::split_paths(path).any(|folder| folder == self.bin) {
            return path.to_owned();
        }
        joined(self.bin.as_os_str(), path)
    }

    /// `PYTHONPATH` with the module's folder at its end; `None` where there is nothing to add.
    #[must_use]
    pub fn python_path(&self, path: Option<&OsStr>) -> Option<OsString> {
        let python = self.python.as_ref()?;
        let path = path.unwrap_or_default();
        if env::split_paths(path).any(|folder| folder == *python) {
            return None;
        }
        Some(joined(path, python.as_os_str()))
    }
}

fn joined(first: &OsStr, second: &OsStr) -> OsString {
    let mut out = first.to_owned();
    if !first.is_empty() && !second.is_empty() {
        out.push(":");
    }
    out.push(second);
    out
}

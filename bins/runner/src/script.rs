//! How a script is started.

use crate::config::{Language, Script};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Runs a Python script as `__main__`, its lines where they are in the file, with the modules the
/// seed's scripts count on imported. Standard output is line buffered, so that logs are live.
const PYTHON_LAUNCHER: &str = include_str!("launcher.py");

/// The program and first argument that a script's first line names.
pub(crate) fn interpreter(text: &str) -> Option<(&str, Option<&str>)> {
    let line = text.lines().next()?.strip_prefix("#!")?.trim();
    let (program, argument) = match line.split_once([' ', '\t']) {
        Some((program, argument)) => (program, Some(argument.trim())),
        None => (line, None),
    };
    program.starts_with('/').then_some((program, argument))
}

/// A program and its arguments.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

/// Finds programs on a PATH; what was found on our own is remembered.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    known: HashMap<&'static str, PathBuf>,
}

impl Programs {
    /// How to run `script`, stored at `path`. `search` is the PATH of this task when it has one of
    /// its own: there a task that ran earlier may have put a new interpreter.
    pub(crate) fn invocation(
        &mut self,
        script: &Script,
        path: &Path,
        search: Option<&OsStr>,
    ) -> Result<Invocation, String> {
        let path = path.as_os_str().to_owned();
        let mut arguments: Vec<OsString> = Vec::with_capacity(6);
        let program = match script.language {
            Language::Bash => {
                arguments.extend(["-e", "-u", "-o", "pipefail"].map(OsString::from));
                self.find(&["bash"], search)?
            }
            Language::Python3 | Language::Python => {
                arguments.extend(["-c", PYTHON_LAUNCHER].map(OsString::from));
                let names: &[_] = match script.language {
                    Language::Python => &["python", "python3"],
                    _ => &["python3"],
                };
                self.find(names, search)?
            }
            Language::Action => {
                let Some((program, argument)) = interpreter(&script.text) else {
                    return Err("the script's first line names no interpreter".to_owned());
                };
                arguments.extend(argument.map(OsString::from));
                PathBuf::from(program)
            }
        };
        arguments.push(path);
        Ok(Invocation { program, arguments })
    }

    fn find(&mut self, names: &[&'static str], search: Option<&OsStr>) -> Result<PathBuf, String> {
        let own = std::env::var_os("PATH").unwrap_or_default();
        for name in names {
            let found = match (search, self.known.get(name)) {
                (None, Some(path)) => return Ok(path.clone()),
                (Some(search), _) => on_path(name, search),
                (None, None) => on_path(name, &own),
            };
            if let Some(path) = found {
                if search.is_none() {
                    self.known.insert(name, path.clone());
                }
                return Ok(path);
            }
        }
        let shown = search.unwrap_or(&own).to_string_lossy().into_owned();
        Err(format!("no {} on PATH ({shown}): install it", names.join(" or ")))
    }
}

fn on_path(name: &str, search: &OsStr) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let found = std::env::split_paths(search).map(|folder| folder.join(name)).find(executable)?;
    std::path::absolute(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines() {
        assert_eq!(interpreter("#!/bin/sh\nx"), Some(("/bin/sh", None)));
        assert_eq!(
            interpreter("#! /usr/bin/env -S python3 -u\n"),
            Some(("/usr/bin/env", Some("-S python3 -u")))
        );
        for bad in ["", "echo\n", "#!bash\n", "#!\n", "\n#!/bin/sh"] {
            assert_eq!(interpreter(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_task_with_a_path_of_its_own_finds_its_own_programs() {
        let folder = tempfile::tempdir().unwrap();
        let script = Script { language: Language::Python, text: String::new() };
        let mut programs = Programs::default();
        let search = folder.path().as_os_str();
        let mut find = || programs.invocation(&script, Path::new("s"), Some(search));
        assert!(find().unwrap_err().starts_with("no python or python3 on PATH"));
        let python = folder.path().join("python3");
        std::fs::write(&python, "").unwrap();
        std::fs::set_permissions(&python, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find().unwrap().program, python);
    }
}

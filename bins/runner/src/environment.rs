//! The variables of a task.

use crate::lock_holder::Locks;
use otto_core::run::{Installation, Run, variable};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

/// What every task of a run gets.
#[derive(Debug)]
pub(crate) struct Common {
    installation: Installation,
    fixed: Vec<(&'static str, OsString)>,
    envs: Vec<(String, String)>,
}

/// What one task gets beside that.
#[derive(Debug)]
pub(crate) struct Own<'a> {
    pub(crate) name: &'a str,
    pub(crate) folder: &'a Path,
    pub(crate) envs: &'a [(String, String)],
    pub(crate) input: Option<&'a Path>,
    pub(crate) output: Option<&'a Path>,
}

impl Common {
    /// `envs` are those of the whole file.
    pub(crate) fn new(run: &Run, socket: &Path, envs: &[(String, String)]) -> Common {
        let installation = Installation::of_this_program();
        let mut fixed = vec![
            (variable::RUN_ID, run.id().to_string().into()),
            (variable::RUN_DIR, run.dir().into()),
            (variable::SOCKET, socket.into()),
        ];
        let functions = installation.otto_sh.as_ref();
        fixed.extend(functions.map(|functions| (variable::OTTO_SH, functions.into())));
        Common { installation, fixed, envs: envs.to_vec() }
    }

    /// What this run's holders of locks are known by.
    pub(crate) fn locks(&self) -> Locks {
        let socket = self.fixed.iter().find(|(name, _)| *name == variable::SOCKET);
        socket.map_or_else(Locks::default, |(_, socket)| Locks::new(&self.installation.bin, socket))
    }

    /// The PATH on which `own` finds its interpreter when the file gives it one.
    pub(crate) fn search<'a>(&'a self, own: &'a [(String, String)]) -> Option<&'a OsStr> {
        self.given(own, "PATH")
    }

    /// What the file says about a variable.
    fn given<'a>(&'a self, own: &'a [(String, String)], name: &str) -> Option<&'a OsStr> {
        let mut all = own.iter().chain(&self.envs);
        all.find(|(known, _)| known == name).map(|(_, value)| OsStr::new(value.as_str()))
    }

    /// What a list of folders is before ours is added.
    fn list(&self, own: &[(String, String)], name: &str) -> OsString {
        self.given(own, name)
            .map_or_else(|| std::env::var_os(name).unwrap_or_default(), OsStr::to_owned)
    }

    /// Sets a task's variables.
    pub(crate) fn apply(&self, command: &mut Command, own: &Own<'_>) {
        for (name, value) in self.fixed.iter() {
            command.env(name, value);
        }
        // Another run's, when this one is a task of it.
        for name in [variable::INPUT_PIPE, variable::OUTPUT_PIPE] {
            command.env_remove(name);
        }
        for (name, value) in self.envs.iter().chain(own.envs) {
            command.env(name, value);
        }
        let path = self.list(own.envs, "PATH");
        command.env("PATH", in_front(self.installation.bin.as_os_str(), path));
        let modules = self.list(own.envs, "PYTHONPATH");
        if let Some(modules) = self.installation.python_path(Some(&modules)) {
            command.env("PYTHONPATH", modules);
        }
        command.env(variable::TASK_NAME, own.name).env(variable::TASK, own.name);
        command.env(variable::TASK_DIR, own.folder);
        for (name, value) in
            [(variable::INPUT_PIPE, own.input), (variable::OUTPUT_PIPE, own.output)]
        {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
    }
}

/// Our programs before everybody else's of the same name. Not twice, or runs within runs would
/// make it longer and longer; and no empty entry, which would mean the current folder.
fn in_front(folder: &OsStr, path: OsString) -> OsString {
    if folder.is_empty() || std::env::split_paths(&path).next().is_some_and(|first| first == folder)
    {
        return path;
    }
    let mut out = folder.to_owned();
    if !path.is_empty() {
        out.push(":");
        out.push(path);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_programs_come_first_and_once() {
        let front = |path: &str| in_front(OsStr::new("/o/bin"), path.into());
        assert_eq!(front("/usr/bin"), "/o/bin:/usr/bin");
        assert_eq!(front("/usr/bin:/o/bin"), "/o/bin:/usr/bin:/o/bin");
        assert_eq!(front("/o/bin:/usr/bin"), "/o/bin:/usr/bin");
        assert_eq!(front(""), "/o/bin");
    }
}

//! The variables of a task.

use otto_core::run::{Run, variable};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every task of a run gets.
#[derive(Debug)]
pub(crate) struct Common {
    /// The folder of the helpers, first on every PATH.
    bin: Option<PathBuf>,
    /// Where Python finds `otto` when it has none of its own.
    modules: Option<PathBuf>,
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
    pub(crate) fn new(run: &Run, socket: Option<&Path>, envs: &[(String, String)]) -> Common {
        let bin = std::env::current_exe()
            .and_then(|exe| exe.canonicalize())
            .ok()
            .and_then(|exe| exe.parent().map(Path::to_path_buf));
        let mut fixed = vec![
            (variable::RUN_ID, run.id().to_string().into()),
            (variable::RUN_DIR, run.dir().into()),
        ];
        fixed.extend(socket.map(|socket| (variable::SOCKET, socket.into())));
        if let Some(prefix) = bin.as_deref().and_then(Path::parent) {
            let functions = prefix.join("share/otto/otto.sh");
            if functions.is_file() {
                fixed.push((variable::OTTO_SH, functions.into()));
            }
        }
        let prefix = bin.as_deref().and_then(Path::parent);
        let modules = prefix.map(|prefix| prefix.join("lib/otto/python"));
        let modules = modules.filter(|modules| modules.is_dir());
        Common { bin, modules, fixed, envs: envs.to_vec() }
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
        if let Some(bin) = &self.bin {
            command.env("PATH", joined(bin.into(), &self.list(own.envs, "PATH")));
        }
        if let Some(modules) = &self.modules {
            command
                .env("PYTHONPATH", joined(self.list(own.envs, "PYTHONPATH"), modules.as_os_str()));
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

/// Two lists of folders as one; an empty entry would mean the current folder.
fn joined(first: OsString, second: &OsStr) -> OsString {
    let mut out = first;
    if !out.is_empty() && !second.is_empty() {
        out.push(":");
    }
    out.push(second);
    out
}

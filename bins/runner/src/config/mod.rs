//! otto.yml: read, checked, and refused with file and line before anything starts.

mod duration;
mod read;
mod size;
mod streaming;
mod tree;

pub(crate) use streaming::Streaming;
pub(crate) use tree::Scalar;

use otto_core::TaskName;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest otto.yml, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A whole otto.yml.
#[derive(Debug)]
pub(crate) struct Config {
    /// `otto.name`
    pub(crate) name: Option<String>,
    /// `otto.jobs`
    pub(crate) jobs: Option<usize>,
    /// `otto.tasks`: what runs when no task is asked for; empty means all.
    pub(crate) default_tasks: Vec<Scalar>,
    /// `otto.envs`
    pub(crate) envs: Vec<(String, String)>,
    /// `otto.spill`: what all streams together may keep on the disk.
    pub(crate) spill_bytes: u64,
    /// `tasks`, in the order of the file.
    pub(crate) tasks: Vec<Task>,
}

/// One task of the file.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) name: TaskName,
    pub(crate) line: usize,
    /// `None` for a name that only gathers others.
    pub(crate) script: Option<Script>,
    pub(crate) before: Vec<Scalar>,
    pub(crate) after: Vec<Scalar>,
    pub(crate) envs: Vec<(String, String)>,
    pub(crate) help: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) streaming: Option<Streaming>,
}

/// What a task runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) language: Language,
    pub(crate) text: String,
}

/// Who runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Bash,
    Python3,
    Python,
    /// Whoever its first line names.
    Action,
}

/// One thing that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn at(line: usize, message: impl Into<String>) -> Problem {
        // Some messages quote the file, which may hold line breaks.
        Problem { line: line.max(1), message: message.into().replace(['\n', '\r'], " ") }
    }
}

/// Why there is nothing to run: lines to show, each complete.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Vec<String>);

impl Refused {
    /// As many problems of `path` as help, in the order of the file.
    pub(crate) fn problems(path: &Path, mut problems: Vec<Problem>) -> Refused {
        const SHOWN_MAX: usize = 20;
        problems.sort_by_key(|problem| problem.line);
        let more = problems.len().saturating_sub(SHOWN_MAX);
        let mut lines: Vec<String> = problems
            .iter()
            .take(SHOWN_MAX)
            .map(|problem| format!("{}:{}: {}", path.display(), problem.line, problem.message))
            .collect();
        if more > 0 {
            lines.push(format!("{}: and {more} more", path.display()));
        }
        Refused(lines)
    }
}

/// Reads and checks `path`.
pub(crate) fn load(path: &Path) -> Result<Config, Refused> {
    let refuse = |what: String| Refused(vec![format!("{}: {what}", path.display())]);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => refuse("no such file".to_owned()),
            _ => refuse(format!("can't be read: {error}")),
        })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!("larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        Refused::problems(path, vec![Problem::at(line, "not YAML: not UTF-8 text")])
    })?;
    parse(&text).map_err(|problems| Refused::problems(path, problems))
}

/// Reads and checks a file's text.
pub(crate) fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let root = tree::parse(text).map_err(|problem| vec![problem])?;
    let Some(root) = root else {
        return Err(vec![Problem::at(1, "the file is empty: it needs a mapping \"tasks\"")]);
    };
    read::config(root)
}

/// The project's name: `otto.name`, else the folder the file lies in, made fit for a file name.
pub(crate) fn project_name(config: &Config, path: &Path) -> String {
    let folder = || {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let parent = absolute.parent().and_then(Path::file_name);
        parent.map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned())
    };
    let name = config.name.clone().unwrap_or_else(folder);
    let fit = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let name: String = name.chars().take(100).map(fit).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use proptest::prelude::*;

    /// Everything the format has.
    const FULL: &str = r#"
otto: {name: full, api: 1, jobs: 2, tasks: [a, "*"], envs: {A: "b", C: 1.10}, spill: 1.5GiB}
tasks:
  a: &a
    help: "first \u0041"
    bash: |
      echo one
        two
    envs: {X: 'y', Z: ~}
    timeout: 1.5m
  b: {python3: "print(1)", before: [a], after: [c], streaming: true}
  c:
    action: >-
      #!/bin/sh
    before:
      - a
      - b
    streaming: {strict: true, mode: shard}
  e:
    bash: x
    before: b
    streaming:
      mode: "broadcast"
      strict: false
  d: {<<: *a}
"#;

    fn check(text: &str) {
        if let Ok(config) = parse(text) {
            let _ = Graph::new(&config);
        }
    }

    #[test]
    fn nesting_without_end_is_refused_in_time() {
        for text in ["[".repeat(200_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
            assert!(parse(&text).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            check(&text);
        }

        #[test]
        fn any_damage_to_a_file_is_read_or_refused(
            at in 0..FULL.len(),
            gone in 0_usize..12,
            new in "[ \\t\\n\\[\\]{}:,&*!|>'\"%@`#?\\-a-z0-9~<]{0,6}",
        ) {
            let end = (at + gone).min(FULL.len());
            check(&format!("{}{new}{}", &FULL[..at], &FULL[end..]));
        }
    }
}

//! From the tree to the configuration; every problem is kept, so that one run shows them all.

use super::tree::{Node, Scalar, Value};
use super::{Config, Language, Problem, Script, Task, duration, size, streaming};
use crate::nearest::suggestion;
use crate::script::interpreter;
use otto_core::{NO_TASK, TaskName};

const TOP_KEYS: [&str; 2] = ["otto", "tasks"];
const OTTO_KEYS: [&str; 6] = ["name", "api", "jobs", "tasks", "envs", "spill"];
const TASK_KEYS: [&str; 10] = [
    "bash",
    "python3",
    "python",
    "action",
    "before",
    "after",
    "envs",
    "help",
    "timeout",
    "streaming",
];
/// The one version of the format there is.
const API: &str = "1";
/// What all streams of a run may keep on the disk unless the file says otherwise.
const SPILL_BYTES_DEFAULT: u64 = 1 << 30;

pub(super) fn config(root: Node) -> Result<Config, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new() };
    let mut config = Config {
        name: None,
        jobs: None,
        default_tasks: Vec::new(),
        envs: Vec::new(),
        spill_bytes: SPILL_BYTES_DEFAULT,
        tasks: Vec::new(),
    };
    let mut found = false;
    for (key, node) in reader.mapping("the file", root) {
        match key.text.as_str() {
            "otto" => reader.otto(&mut config, node),
            "tasks" => {
                found = true;
                config.tasks = reader.tasks(node);
            }
            _ => reader.unknown(&key, "at the top of the file", &TOP_KEYS),
        }
    }
    if !found && reader.problems.is_empty() {
        reader.problem(1, "the file needs a mapping \"tasks\"");
    }
    if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
}

pub(super) struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn problem(&mut self, line: usize, message: impl Into<String>) {
        self.problems.push(Problem::at(line, message));
    }

    pub(super) fn unknown(&mut self, key: &Scalar, place: &str, known: &[&str]) {
        let hint = suggestion(&key.text, known.iter().copied());
        self.problem(key.line, format!("unknown key {:?} {place}; {hint}", key.text));
    }

    pub(super) fn wrong(&mut self, what: &str, expected: &str, node: &Node) {
        self.problem(node.line, format!("{what} must be {expected}, not {}", node.kind()));
    }

    fn otto(&mut self, config: &mut Config, node: Node) {
        for (key, node) in self.mapping("\"otto\"", node) {
            match key.text.as_str() {
                "name" => config.name = self.text("otto.name", node),
                "api" => match self.text("otto.api", node) {
                    Some(api) if api != API => self.problem(
                        key.line,
                        format!("otto.api is {api:?}, and this otto-run reads {API:?}"),
                    ),
                    _ => {}
                },
                "jobs" => config.jobs = self.jobs(node),
                "tasks" => config.default_tasks = self.names("otto.tasks", node),
                "envs" => config.envs = self.envs("otto.envs", node),
                "spill" => config.spill_bytes = self.size("otto.spill", &node),
                _ => self.unknown(&key, "in \"otto\"", &OTTO_KEYS),
            }
        }
    }

    fn tasks(&mut self, node: Node) -> Vec<Task> {
        if node.is_null() {
            self.problem(node.line, "\"tasks\" holds no task");
            return Vec::new();
        }
        let mut tasks = Vec::new();
        for (key, node) in self.mapping("\"tasks\"", node) {
            match TaskName::parse(&key.text) {
                Ok(name) if name.as_str() != NO_TASK => tasks.push(self.task(name, key.line, node)),
                Ok(_) => {
                    self.problem(
                        key.line,
                        "a task can't be named _: it stands for keys without a task",
                    );
                }
                Err(error) => self.problem(key.line, error.to_string()),
            }
        }
        tasks
    }

    fn task(&mut self, name: TaskName, line: usize, node: Node) -> Task {
        let mut task = Task {
            name,
            line,
            script: None,
            before: Vec::new(),
            after: Vec::new(),
            envs: Vec::new(),
            help: None,
            timeout: None,
            streaming: None,
        };
        let owner = format!("task {:?}", task.name.as_str());
        for (key, node) in self.mapping(&owner, node) {
            let what = format!("{:?} of {owner}", key.text);
            match key.text.as_str() {
                "bash" => self.script(&mut task, &key, Language::Bash, node),
                "python3" => self.script(&mut task, &key, Language::Python3, node),
                "python" => self.script(&mut task, &key, Language::Python, node),
                "action" => self.script(&mut task, &key, Language::Action, node),
                "before" => task.before = self.names(&what, node),
                "after" => task.after = self.names(&what, node),
                "envs" => task.envs = self.envs(&what, node),
                "help" => task.help = self.text(&what, node),
                "timeout" => task.timeout = self.timeout(&what, node),
                "streaming" => task.streaming = streaming::read(self, &what, node),
                _ => self.unknown(&key, &format!("in {owner}"), &TASK_KEYS),
            }
        }
        if task.script.is_none() && task.before.is_empty() && self.problems.is_empty() {
            self.problem(
                line,
                format!("{owner} has nothing to run: give it bash, python3 or action"),
            );
        }
        task
    }

    fn script(&mut self, task: &mut Task, key: &Scalar, language: Language, node: Node) {
        let what = format!("{:?} of task {:?}", key.text, task.name.as_str());
        let line = node.line;
        let Some(text) = self.text(&what, node) else { return };
        if text.contains('\0') {
            self.problem(line, format!("{what} holds a NUL character"));
        }
        if language == Language::Action && interpreter(&text).is_none() {
            let message = format!("{what} must begin with a line like #!/usr/bin/env bash");
            self.problem(key.line, message);
        }
        if task.script.is_some() {
            let message =
                format!("task {:?} has a second script, {:?}", task.name.as_str(), key.text);
            self.problem(key.line, format!("{message}: one is allowed"));
        }
        task.script = Some(Script { language, text });
    }

    pub(super) fn mapping(&mut self, what: &str, node: Node) -> Vec<(Scalar, Node)> {
        match node.value {
            Value::Mapping(entries) => entries,
            _ => {
                self.wrong(what, "a mapping", &node);
                Vec::new()
            }
        }
    }

    fn text(&mut self, what: &str, node: Node) -> Option<String> {
        if node.is_null() {
            self.wrong(what, "text", &node);
            return None;
        }
        match node.value {
            Value::Scalar { text, .. } => Some(text),
            _ => {
                self.wrong(what, "text", &node);
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, what: &str, node: Node) -> bool {
        match &node.value {
            Value::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => return true,
                "false" | "False" | "FALSE" => return false,
                other => {
                    self.problem(node.line, format!("{what} must be true or false, not {other:?}"));
                }
            },
            _ => self.wrong(what, "true or false", &node),
        }
        false
    }

    fn jobs(&mut self, node: Node) -> Option<usize> {
        if let Value::Scalar { text, .. } = &node.value
            && let Ok(jobs @ 1..=crate::cli::JOBS_MAX) = text.parse()
        {
            return Some(jobs);
        }
        let message = format!("otto.jobs must be a number from 1 to {}", crate::cli::JOBS_MAX);
        self.problem(node.line, message);
        None
    }

    fn size(&mut self, what: &str, node: &Node) -> u64 {
        let bytes = match &node.value {
            Value::Scalar { text, .. } => size::parse(text),
            _ => None,
        };
        bytes.unwrap_or_else(|| {
            let message = format!("{what} must be a size like 500MB or 1GiB, or 0 for never");
            self.problem(node.line, message);
            0
        })
    }

    fn timeout(&mut self, what: &str, node: Node) -> Option<std::time::Duration> {
        let time = match &node.value {
            Value::Scalar { text, .. } => duration::parse(text),
            _ => None,
        };
        if time.is_none() {
            self.problem(
                node.line,
                format!("{what} must be seconds, or a time like 10s, 5m or 1h"),
            );
        }
        time
    }

    /// A list of names; a single one may stand without its brackets.
    fn names(&mut self, what: &str, node: Node) -> Vec<Scalar> {
        let items = match node.value {
            Value::Sequence(items) => items,
            Value::Scalar { .. } if node.is_null() => Vec::new(),
            Value::Scalar { .. } => vec![node],
            Value::Mapping(_) => {
                self.wrong(what, "a list of task names", &node);
                Vec::new()
            }
        };
        let mut names: Vec<Scalar> = Vec::with_capacity(items.len());
        for item in items {
            match item.value {
                Value::Scalar { ref text, .. } if !item.is_null() => {
                    if !names.iter().any(|name| name.text == *text) {
                        names.push(Scalar { line: item.line, text: text.clone() });
                    }
                }
                _ => self.wrong(&format!("an entry of {what}"), "a task name", &item),
            }
        }
        names
    }

    /// Names and literal values: nothing is expanded in them.
    fn envs(&mut self, what: &str, node: Node) -> Vec<(String, String)> {
        if node.is_null() {
            return Vec::new();
        }
        let mut envs = Vec::new();
        for (key, node) in self.mapping(what, node) {
            let entry = format!("{:?} in {what}", key.text);
            if !is_variable(&key.text) {
                let message = format!("{entry} is no name of a variable: letters, digits and _");
                self.problem(key.line, message);
            } else if key.text.starts_with("OTTO_") && key.text != otto_core::run::variable::VIA {
                self.problem(key.line, format!("{entry} can't be set: otto-run sets OTTO_ names"));
            }
            match node.value {
                Value::Scalar { text, .. } if text.contains('\0') => {
                    self.problem(node.line, format!("{entry} holds a NUL character"));
                }
                Value::Scalar { .. } if node.is_null() => envs.push((key.text, String::new())),
                Value::Scalar { text, .. } => envs.push((key.text, text)),
                _ => self.wrong(&entry, "text", &node),
            }
        }
        envs
    }
}

fn is_variable(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

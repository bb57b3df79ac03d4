//! Who waits for whom, by number instead of name; no cycles.

use crate::config::{Config, Problem, Scalar, Streaming};
use crate::nearest::suggestion;
use std::collections::{HashMap, VecDeque};

/// The tasks of a file, each by its place there.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Whom each task names in `before` (or who names it in `after`), ascending, each once.
    pub(crate) needs: Vec<Vec<usize>>,
    /// The same edges, from the other end.
    pub(crate) needed_by: Vec<Vec<usize>>,
    streaming: Vec<Option<Streaming>>,
}

impl Graph {
    /// Resolves names; refuses missing ones and cycles.
    pub(crate) fn new(config: &Config) -> Result<Graph, Vec<Problem>> {
        let names = Names::of(config);
        let mut problems = Vec::new();
        let mut needs = vec![Vec::new(); config.tasks.len()];
        for (place, task) in config.tasks.iter().enumerate() {
            for (entries, word) in [(&task.before, "before"), (&task.after, "after")] {
                for entry in entries {
                    match names.find(entry, &format!("{:?} of task {:?}", word, task.name.as_str()))
                    {
                        Ok(other) if word == "before" => needs[place].push(other),
                        Ok(other) => needs[other].push(place),
                        Err(problem) => problems.push(problem),
                    }
                }
            }
        }
        problems.extend(
            config
                .default_tasks
                .iter()
                .filter(|entry| entry.text != ALL)
                .filter_map(|entry| names.find(entry, "otto.tasks").err()),
        );
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut needed_by = vec![Vec::new(); needs.len()];
        for (task, needs) in needs.iter_mut().enumerate() {
            needs.sort_unstable();
            needs.dedup();
            for need in needs {
                needed_by[*need].push(task);
            }
        }
        let streaming = config.tasks.iter().map(|task| task.streaming).collect();
        let graph = Graph { needs, needed_by, streaming };
        graph.check_cycles(config).map_err(|problem| vec![problem])?;
        graph.check_scripts(config)?;
        Ok(graph)
    }

    /// A task of a group takes part in its streams by what it runs.
    fn check_scripts(&self, config: &Config) -> Result<(), Vec<Problem>> {
        let streams_with_others = |task: usize| {
            let mut others = self.needs[task].iter().chain(&self.needed_by[task]);
            others.any(|other| self.streams(task, *other))
        };
        let idle = config
            .tasks
            .iter()
            .enumerate()
            .filter(|(place, task)| task.script.is_none() && streams_with_others(*place));
        let problems: Vec<Problem> = idle
            .map(|(_, task)| {
                let message = format!(
                    "task {:?} streams with others and has nothing to run: give it bash, python3 \
                     or action, or leave \"streaming\" off",
                    task.name.as_str()
                );
                Problem::at(task.line, message)
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.needs.len()
    }

    /// Whether a task takes part in streams.
    pub(crate) fn is_streaming(&self, task: usize) -> bool {
        self.streaming[task].is_some()
    }

    /// Whether each record of a task goes to one of its consumers.
    pub(crate) fn is_sharded(&self, task: usize) -> bool {
        self.streaming[task].is_some_and(|streaming| streaming.shard)
    }

    /// Whether a task has failed also when it fails after its readers have gone.
    pub(crate) fn is_strict(&self, task: usize) -> bool {
        self.streaming[task].is_some_and(|streaming| streaming.strict)
    }

    /// Whether records flow from `from` to `to` while both run.
    pub(crate) fn streams(&self, from: usize, to: usize) -> bool {
        self.is_streaming(from) && self.is_streaming(to)
    }

    /// The streams among `chosen` tasks as groups that start together: for each task its group's
    /// number, numbered by first member.
    pub(crate) fn groups(&self, chosen: &[bool]) -> Vec<usize> {
        let mut group = vec![usize::MAX; self.len()];
        for first in 0..self.len() {
            if group[first] != usize::MAX {
                continue;
            }
            group[first] = first;
            let mut open = vec![first];
            while let Some(task) = open.pop() {
                for &other in self.needs[task].iter().chain(&self.needed_by[task]) {
                    let joined = chosen[task] && chosen[other] && self.streams(task, other);
                    if joined && group[other] == usize::MAX {
                        group[other] = first;
                        open.push(other);
                    }
                }
            }
        }
        group
    }

    /// Two kinds of cycle: of tasks that wait for each other; and of tasks that would start
    /// together although one waits for the other's end.
    fn check_cycles(&self, config: &Config) -> Result<(), Problem> {
        let each: Vec<usize> = (0..self.len()).collect();
        let all = vec![true; self.len()];
        for (groups, together) in [(each, false), (self.groups(&all), true)] {
            let left = self.unordered(&groups);
            let waits = |task: usize, need: usize| groups[task] != groups[need] || task == need;
            for task in (0..self.len()).filter(|task| left[groups[*task]]) {
                for &need in self.needs[task].iter().filter(|need| waits(task, **need)) {
                    if let Some(path) = self.path(need, task, together) {
                        return Err(cycle(config, task, &path, together));
                    }
                }
            }
        }
        Ok(())
    }

    /// Which groups are left when all that can be ordered has been.
    fn unordered(&self, groups: &[usize]) -> Vec<bool> {
        let mut waits = vec![0_usize; self.len()];
        let outside = |task: usize, need: usize| groups[task] != groups[need] || task == need;
        for (task, needs) in self.needs.iter().enumerate() {
            waits[groups[task]] += needs.iter().filter(|need| outside(task, **need)).count();
        }
        let mut members = vec![Vec::new(); self.len()];
        for (task, group) in groups.iter().enumerate() {
            members[*group].push(task);
        }
        let mut left: Vec<bool> = (0..self.len()).map(|group| !members[group].is_empty()).collect();
        let mut free: Vec<usize> =
            (0..self.len()).filter(|group| left[*group] && waits[*group] == 0).collect();
        while let Some(group) = free.pop() {
            left[group] = false;
            for &task in &members[group] {
                for &user in self.needed_by[task].iter().filter(|user| outside(**user, task)) {
                    waits[groups[user]] -= 1;
                    if waits[groups[user]] == 0 {
                        free.push(groups[user]);
                    }
                }
            }
        }
        left
    }

    /// The shortest way from `from` to `to`, each step to one it waits for or, when `together`,
    /// starts with.
    fn path(&self, from: usize, to: usize, together: bool) -> Option<Vec<usize>> {
        let mut came_from = vec![usize::MAX; self.len()];
        came_from[from] = from;
        let mut open = VecDeque::from([from]);
        while let Some(task) = open.pop_front() {
            if task == to {
                let mut path = vec![to];
                while path.last() != Some(&from) {
                    path.push(came_from[path[path.len() - 1]]);
                }
                path.reverse();
                return Some(path);
            }
            let users =
                self.needed_by[task].iter().filter(|user| together && self.streams(task, **user));
            for &next in self.needs[task].iter().chain(users) {
                if came_from[next] == usize::MAX {
                    came_from[next] = task;
                    open.push_back(next);
                }
            }
        }
        None
    }
}

/// In `otto.tasks`: every task.
pub(crate) const ALL: &str = "*";

/// The tasks' names.
pub(crate) struct Names<'a>(HashMap<&'a str, usize>, &'a Config);

impl<'a> Names<'a> {
    pub(crate) fn of(config: &'a Config) -> Names<'a> {
        let places = config.tasks.iter().enumerate();
        Names(places.map(|(place, task)| (task.name.as_str(), place)).collect(), config)
    }

    /// The task called `name`, or a sentence that leads to it.
    pub(crate) fn get(&self, name: &str) -> Result<usize, String> {
        let known = self.1.tasks.iter().map(|task| task.name.as_str());
        self.0
            .get(name)
            .copied()
            .ok_or_else(|| format!("no task {name:?}; {}", suggestion(name, known)))
    }

    fn find(&self, entry: &Scalar, place: &str) -> Result<usize, Problem> {
        self.get(&entry.text)
            .map_err(|message| Problem::at(entry.line, format!("{place}: {message}")))
    }
}

fn cycle(config: &Config, first: usize, path: &[usize], together: bool) -> Problem {
    let name = |task: &usize| config.tasks[*task].name.as_str();
    let chain: Vec<&str> = std::iter::once(&first).chain(path).map(name).collect();
    let chain = chain.join(" -> ");
    let why = if together {
        "; streaming tasks start together, so none of them can wait for another's end"
    } else {
        ""
    };
    Problem::at(config.tasks[first].line, format!("cycle: {chain} (each needs the next){why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(tasks: &str) -> Result<Graph, String> {
        let config = crate::config::parse(&format!("tasks:\n{tasks}")).unwrap();
        Graph::new(&config).map_err(|problems| {
            let shown = problems.iter().map(|p| format!("{}: {}", p.line, p.message));
            shown.collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn before_and_after_are_one_edge() {
        let graph = graph("  a: {bash: x, after: [b]}\n  b: {bash: x, before: [a]}").unwrap();
        assert_eq!(graph.needs, [vec![], vec![0]]);
        assert_eq!(graph.needed_by, [vec![1], vec![]]);
    }

    #[test]
    fn missing_names_lead_to_near_ones() {
        let error = graph("  build: {bash: x}\n  test: {bash: x, before: [buld]}").unwrap_err();
        assert_eq!(
            error,
            "3: \"before\" of task \"test\": no task \"buld\"; did you mean \"build\"?"
        );
    }

    #[test]
    fn cycles_name_their_members() {
        let error = graph(
            "  a: {bash: x, before: [c]}\n  b: {bash: x, before: [a]}\n  c: {bash: x, before: [b]}\n  d: {bash: x, before: [a]}",
        );
        assert_eq!(error.unwrap_err(), "2: cycle: a -> c -> b -> a (each needs the next)");
        let error = graph("  a: {bash: x, before: [a]}").unwrap_err();
        assert_eq!(error, "2: cycle: a -> a (each needs the next)");
        let error = graph(
            "  a: {bash: x, streaming: true, before: [b]}\n  b: {bash: x, streaming: true, before: [a]}",
        );
        assert_eq!(error.unwrap_err(), "2: cycle: a -> b -> a (each needs the next)");
    }

    #[test]
    fn what_starts_together_cannot_wait_for_its_own_end() {
        let error = graph(
            "  a: {bash: x, streaming: true}\n  x: {bash: x, before: [a]}\n  b: {bash: x, streaming: true, before: [a, x]}",
        )
        .unwrap_err();
        assert!(error.starts_with("3: cycle: x -> a -> b -> x"), "{error}");
        assert!(error.contains("start together"), "{error}");
    }

    #[test]
    fn a_group_has_no_member_without_a_script() {
        let error = graph("  a: {bash: x, streaming: true}\n  all: {streaming: true, before: [a]}")
            .unwrap_err();
        assert!(error.starts_with("3: task \"all\" streams with others"), "{error}");
        graph("  a: {bash: x}\n  all: {streaming: true, before: [a]}").unwrap();
    }

    #[test]
    fn groups_follow_the_streams_among_the_chosen() {
        let graph = graph(
            "  a: {bash: x, streaming: true}\n  b: {bash: x, streaming: true, before: [a]}\n  c: {bash: x, before: [b]}\n  d: {bash: x, streaming: true, before: [c]}",
        )
        .unwrap();
        assert_eq!(graph.groups(&[true; 4]), [0, 0, 2, 3]);
        assert_eq!(graph.groups(&[true, false, false, false]), [0, 1, 2, 3]);
    }
}

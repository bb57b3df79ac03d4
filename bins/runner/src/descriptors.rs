//! How many descriptors a run needs open at a time, and what the system allows.

use crate::config::{Config, Problem};
use crate::graph::Graph;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What is open in any case: the outputs, signals, the server, locks.
const ALWAYS: u64 = 32;
/// For the server's clients, the display and whatever else is open for a moment.
const OTHERS: u64 = 256;
/// Two outputs, and two more while a process is started.
const OF_A_TASK: u64 = 4;
/// Both ends of its output and of its input, and the file it may be kept in.
const OF_A_STREAM: u64 = 5;
/// The file it spills to.
const OF_AN_EDGE: u64 = 1;
/// For each group: what stops its relay, what wakes it, and where it throws pages away.
const OF_A_GROUP: u64 = 6;

/// A group of streams starts as a whole: one that the hard limit has no room for is refused.
pub(crate) fn check(config: &Config, graph: &Graph, chosen: &[bool]) -> Result<(), Problem> {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let groups = graph.groups(chosen);
    for first in (0..graph.len()).filter(|first| chosen[*first] && graph.is_streaming(*first)) {
        let members = groups.iter().enumerate();
        let members = members.filter(|(task, group)| **group == first && chosen[*task]);
        let members: Vec<usize> = members.map(|(task, _)| task).collect();
        let needed = ALWAYS + of_group(graph, &members);
        if !members.is_empty() && needed > hard {
            let name = config.tasks[first].name.as_str();
            let message = format!(
                "the {} streaming tasks that start together with {name:?} need {needed} \
                 descriptors, and ulimit -Hn allows {hard}",
                members.len()
            );
            return Err(Problem::at(config.tasks[first].line, message));
        }
    }
    Ok(())
}

/// Raises the limit of open descriptors where this run needs more, and no further. What clients of
/// the server need beyond that it allows itself.
pub(crate) fn allow(graph: &Graph, chosen: &[bool], jobs: usize) {
    let taking_part = |streaming: bool| {
        let tasks = (0..graph.len()).filter(|task| chosen[*task]);
        tasks.filter(|task| graph.is_streaming(*task) == streaming).collect::<Vec<_>>()
    };
    let others = taking_part(false).len().min(jobs) as u64;
    let needed = OTHERS + OF_A_TASK * others + of_group(graph, &taking_part(true));
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < needed
    {
        // Where even the hard limit is too low, whatever hits it says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(needed), hard);
    }
}

fn of_group(graph: &Graph, members: &[usize]) -> u64 {
    let edges = |task: &usize| {
        let needs = graph.needs[*task].iter();
        needs.filter(|need| graph.streams(**need, *task)).count() as u64
    };
    let edges: u64 = members.iter().map(edges).sum();
    OF_A_GROUP + (OF_A_TASK + OF_A_STREAM) * members.len() as u64 + OF_AN_EDGE * edges
}

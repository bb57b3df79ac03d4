//! Tasks that wait for each other, so that none of them would ever go on. Decides, and touches
//! nothing.

use std::time::Instant;

/// Tasks named in one line.
const NAMED_MAX: usize = 8;

/// What a task is about, as far as it matters to those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It goes on by itself, or may.
    Able,
    /// It stands still until what it wants is there.
    Still,
    /// It begins once these have ended.
    Unstarted(Vec<usize>),
    /// Nothing comes from it any more.
    Over,
}

/// What a task waits for on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Want {
    /// The server's number of this wait.
    pub(crate) number: u64,
    pub(crate) task: usize,
    /// As the message has it: the key, or `lock NAME`.
    pub(crate) what: String,
    /// Who could bring it about.
    pub(crate) from: Vec<usize>,
    pub(crate) deadline: Option<Instant>,
}

/// Tasks that wait for each other, and for nobody else.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    /// Those of them that have started.
    pub(crate) tasks: Vec<usize>,
    /// The numbers of all waits that make it one.
    pub(crate) waits: Vec<u64>,
    /// Those that can't be fulfilled. A wait that lasts longer than another may still be, by
    /// whoever goes on when the other has ended.
    pub(crate) doomed: Vec<u64>,
    pub(crate) why: String,
}

/// The circles among tasks in these states, each by its place.
pub(crate) fn circles(states: &[State], wants: &[Want], names: &[String]) -> Vec<Circle> {
    let stuck = stuck(states, wants);
    if !stuck.contains(&true) {
        return Vec::new();
    }
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); states.len()];
    for (task, state) in states.iter().enumerate() {
        if let State::Unstarted(needs) = state {
            edges[task].clone_from(needs);
        }
    }
    wants.iter().for_each(|want| edges[want.task].extend(&want.from));
    for (task, edges) in edges.iter_mut().enumerate() {
        edges.retain(|other| stuck[task] && stuck[*other]);
    }
    let reach: Vec<Vec<bool>> = (0..states.len()).map(|task| reached(task, &edges)).collect();
    let mut found = Vec::new();
    for first in (0..states.len()).filter(|task| stuck[*task]) {
        let members: Vec<usize> = (0..states.len()).filter(|task| reach[first][*task]).collect();
        // Whoever can be reached from here leads back, and this is the first of them.
        if members.first() == Some(&first) && members.iter().all(|task| reach[*task][first]) {
            found.push(circle(&members, &edges, states, wants, names));
        }
    }
    found
}

/// The tasks that go on only if one of them does.
fn stuck(states: &[State], wants: &[Want]) -> Vec<bool> {
    let waits = |task: usize| wants.iter().any(|want| want.task == task);
    let mut stuck: Vec<bool> = states
        .iter()
        .enumerate()
        .map(|(task, state)| match state {
            State::Still => waits(task),
            State::Unstarted(_) => true,
            State::Able | State::Over => false,
        })
        .collect();
    loop {
        let mut changed = false;
        for task in 0..states.len() {
            let holds = |other: &usize| stuck[*other];
            let stays = match &states[task] {
                // One that has not ended is enough to keep it from starting.
                State::Unstarted(needs) => needs.iter().any(holds),
                _ => {
                    let mut own = wants.iter().filter(|want| want.task == task);
                    own.all(|want| want.from.iter().all(holds))
                }
            };
            if stuck[task] && !stays {
                stuck[task] = false;
                changed = true;
            }
        }
        if !changed {
            return stuck;
        }
    }
}

/// What can be reached from `task` by one step or more.
fn reached(task: usize, edges: &[Vec<usize>]) -> Vec<bool> {
    let mut seen = vec![false; edges.len()];
    let mut open = edges[task].clone();
    while let Some(next) = open.pop() {
        if !std::mem::replace(&mut seen[next], true) {
            open.extend(&edges[next]);
        }
    }
    seen
}

fn circle(
    members: &[usize],
    edges: &[Vec<usize>],
    states: &[State],
    wants: &[Want],
    names: &[String],
) -> Circle {
    let mut waits: Vec<&Want> = wants.iter().filter(|want| members.contains(&want.task)).collect();
    waits.sort_by_key(|want| want.number);
    let earliest = waits.iter().filter_map(|want| want.deadline).min();
    let doomed = waits.iter().filter(|want| earliest.is_none() || want.deadline == earliest);
    let tasks = members.iter().copied().filter(|task| states[*task] == State::Still);
    Circle {
        doomed: doomed.map(|want| want.number).collect(),
        tasks: tasks.collect(),
        why: why(members, edges, states, &waits, names),
        waits: waits.iter().map(|want| want.number).collect(),
    }
}

/// `a circle: a waits for b.x, b waits for a.y`.
fn why(
    members: &[usize],
    edges: &[Vec<usize>],
    states: &[State],
    waits: &[&Want],
    names: &[String],
) -> String {
    let mut parts = Vec::new();
    for task in around(members, edges) {
        let name = &names[task];
        parts.push(match &states[task] {
            State::Unstarted(needs) => {
                let needs = needs.iter().filter(|need| members.contains(need));
                let needs: Vec<&str> = needs.map(|need| names[*need].as_str()).collect();
                format!("{name} starts only after {}", needs.join(" and "))
            }
            _ => {
                let mut wanted: Vec<&str> =
                    waits.iter().filter(|want| want.task == task).map(|want| &*want.what).collect();
                wanted.sort_unstable();
                wanted.dedup();
                format!("{name} waits for {}", wanted.join(" and "))
            }
        });
    }
    let more = parts.len().saturating_sub(NAMED_MAX);
    parts.truncate(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("a circle: {}{more}", parts.join(", "))
}

/// The members, each followed by one it waits for as far as that is possible.
fn around(members: &[usize], edges: &[Vec<usize>]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    for &start in members {
        let mut next = Some(start);
        while let Some(task) = next.filter(|task| !order.contains(task)) {
            order.push(task);
            next = edges[task].iter().copied().find(|other| !order.contains(other));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn names() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).to_vec()
    }

    fn want(number: u64, task: usize, what: &str, from: &[usize]) -> Want {
        Want { number, task, what: what.to_owned(), from: from.to_vec(), deadline: None }
    }

    fn found(states: &[State], wants: &[Want]) -> Vec<(String, Vec<u64>)> {
        let circles = circles(states, wants, &names());
        circles.into_iter().map(|circle| (circle.why, circle.doomed)).collect()
    }

    use State::{Able, Over, Still, Unstarted};

    #[test]
    fn two_that_wait_for_each_other() {
        let wants = [want(7, 0, "b.x", &[1]), want(8, 1, "a.y", &[0])];
        let why = "a circle: a waits for b.x, b waits for a.y".to_owned();
        assert_eq!(found(&[Still, Still], &wants), [(why, vec![7, 8])]);
        assert_eq!(found(&[Still, Able], &wants), []);
        assert_eq!(found(&[Able, Still], &wants), []);
        assert_eq!(found(&[Still, Still], &wants[..1]), [], "b waits for nothing that is known");
    }

    #[test]
    fn one_that_waits_for_itself() {
        let why = "a circle: a waits for a.x".to_owned();
        assert_eq!(found(&[Still], &[want(1, 0, "a.x", &[0])]), [(why, vec![1])]);
    }

    /// Whoever can get one of the things it waits for goes on.
    #[test]
    fn one_way_out_is_enough() {
        let mut wants =
            vec![want(1, 0, "b.x", &[1]), want(2, 1, "a.y", &[0]), want(3, 1, "c.z", &[2])];
        assert_eq!(found(&[Still, Still, Able], &wants), []);
        assert_eq!(found(&[Still, Still, Unstarted(vec![])], &wants), []);
        wants[2] = want(3, 1, "x", &[0, 2]);
        assert_eq!(found(&[Still, Still, Able], &wants), [], "c may set a key of no task");
        let why = "a circle: a waits for b.x, b waits for a.y and x, c waits for x";
        wants.push(want(4, 2, "x", &[0, 1]));
        assert_eq!(found(&[Still, Still, Still], &wants), [(why.to_owned(), vec![1, 2, 3, 4])]);
    }

    #[test]
    fn a_key_of_no_task_can_come_from_every_other() {
        let wants = [want(1, 0, "x", &[1]), want(2, 1, "y", &[0])];
        let why = "a circle: a waits for x, b waits for y".to_owned();
        assert_eq!(found(&[Still, Still, Over], &wants), [(why, vec![1, 2])]);
    }

    #[test]
    fn one_that_begins_only_after_the_other_has_ended() {
        let wants = [want(1, 0, "b.x", &[1])];
        let why = "a circle: a waits for b.x, b starts only after a".to_owned();
        assert_eq!(found(&[Still, Unstarted(vec![0])], &wants), [(why, vec![1])]);
        let why = "a circle: a waits for b.x, b starts only after c, c starts only after a";
        let states = [Still, Unstarted(vec![2, 3]), Unstarted(vec![0]), Able];
        assert_eq!(found(&states, &wants), [(why.to_owned(), vec![1])]);
        assert_eq!(found(&[Still, Unstarted(vec![2]), Able], &wants), []);
        assert_eq!(found(&[Still, Unstarted(vec![])], &wants), [], "it only has no place yet");
    }

    /// Who waits for a circle without being in it is not told of one: somebody may go on yet.
    #[test]
    fn who_only_waits_for_a_circle_goes_on_waiting() {
        let wants = [want(1, 0, "b.x", &[1]), want(2, 1, "c.y", &[2]), want(3, 2, "b.z", &[1])];
        let why = "a circle: b waits for c.y, c waits for b.z".to_owned();
        assert_eq!(found(&[Still, Still, Still], &wants), [(why, vec![2, 3])]);
    }

    #[test]
    fn two_circles_are_two() {
        let wants = [
            want(1, 0, "b.x", &[1]),
            want(2, 1, "a.x", &[0]),
            want(3, 2, "d.x", &[3]),
            want(4, 3, "c.x", &[2]),
        ];
        let doomed: Vec<Vec<u64>> =
            found(&[Still, Still, Still, Still], &wants).into_iter().map(|(_, d)| d).collect();
        assert_eq!(doomed, [[1, 2], [3, 4]]);
    }

    /// The wait that would end first can't be fulfilled; what happens then nobody knows.
    #[test]
    fn only_the_first_to_give_up_is_told() {
        let start = Instant::now();
        let mut wants = [want(1, 0, "b.x", &[1]), want(2, 1, "a.y", &[0])];
        wants[0].deadline = Some(start + Duration::from_secs(60));
        let doomed = |wants: &[Want]| found(&[Still, Still], wants)[0].1.clone();
        assert_eq!(doomed(&wants), [1]);
        wants[1].deadline = Some(start + Duration::from_secs(30));
        assert_eq!(doomed(&wants), [2]);
        wants[1].deadline = wants[0].deadline;
        assert_eq!(doomed(&wants), [1, 2]);
    }
}

//! What may start next. Decides, and touches nothing.

use crate::graph::Graph;
use std::collections::VecDeque;

/// The order of a run: groups of tasks, each group started as a whole.
#[derive(Debug)]
pub(crate) struct Schedule<'a> {
    graph: &'a Graph,
    group_of: Vec<usize>,
    chosen: Vec<bool>,
    /// Members of each group, at the place of its first member.
    members: Vec<Vec<usize>>,
    /// Ends each group still waits for.
    waits: Vec<usize>,
    ready: VecDeque<usize>,
    /// What has ended well.
    over: Vec<bool>,
    /// What will not start.
    given_up: Vec<bool>,
}

impl<'a> Schedule<'a> {
    /// Orders the chosen tasks, which must hold all that they need.
    pub(crate) fn new(graph: &'a Graph, chosen: &[bool]) -> Schedule<'a> {
        let group_of = graph.groups(chosen);
        let mut members = vec![Vec::new(); graph.len()];
        let mut waits = vec![0; graph.len()];
        for task in (0..graph.len()).filter(|task| chosen[*task]) {
            let group = group_of[task];
            members[group].push(task);
            waits[group] +=
                graph.needs[task].iter().filter(|need| group_of[**need] != group).count();
        }
        let ready = (0..graph.len())
            .filter(|group| !members[*group].is_empty() && waits[*group] == 0)
            .collect();
        let (chosen, over) = (chosen.to_vec(), vec![false; graph.len()]);
        let given_up = over.clone();
        Schedule { graph, group_of, chosen, members, waits, ready, over, given_up }
    }

    /// The next group that may start, if any.
    pub(crate) fn next(&mut self) -> Option<Vec<usize>> {
        self.ready.pop_front().map(|group| std::mem::take(&mut self.members[group]))
    }

    /// Whether something may start.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A group that may start and on which `task`, not started itself, depends, or which it is in.
    pub(crate) fn take_towards(&mut self, task: usize) -> Option<Vec<usize>> {
        let mut seen = vec![false; self.members.len()];
        let mut open = vec![self.group_of[task]];
        while let Some(group) = open.pop() {
            if self.members[group].is_empty() || std::mem::replace(&mut seen[group], true) {
                continue;
            }
            if let Some(place) = self.ready.iter().position(|ready| *ready == group) {
                self.ready.remove(place);
                return Some(std::mem::take(&mut self.members[group]));
            }
            let needs = self.members[group].iter().flat_map(|member| &self.graph.needs[*member]);
            open.extend(needs.map(|need| self.group_of[*need]));
        }
        None
    }

    /// What `task`, which has not started, still waits for, itself or with others of its group.
    pub(crate) fn holds_back(&self, task: usize) -> Vec<usize> {
        let group = self.group_of[task];
        let members = self.members[group].iter();
        let needs = members.flat_map(|member| &self.graph.needs[*member]).copied();
        needs.filter(|need| self.group_of[*need] != group && !self.over[*need]).collect()
    }

    /// Takes `task`, if it has not started, and all that need it out of the order, and returns them.
    /// Others of their groups start without them.
    pub(crate) fn give_up(&mut self, task: usize) -> Vec<usize> {
        let mut given_up: Vec<usize> = Vec::new();
        let mut open = vec![task];
        open.extend(&self.graph.needed_by[task]);
        while let Some(task) = open.pop() {
            let group = self.group_of[task];
            let Some(place) = self.members[group].iter().position(|member| *member == task) else {
                continue;
            };
            self.members[group].remove(place);
            self.given_up[task] = true;
            given_up.push(task);
            let needs = self.graph.needs[task].iter();
            let left = |need: &&usize| self.group_of[**need] != group && !self.over[**need];
            self.waits[group] -= needs.filter(left).count();
            if self.members[group].is_empty() {
                self.ready.retain(|ready| *ready != group);
            } else if self.waits[group] == 0 && !self.ready.contains(&group) {
                self.ready.push_back(group);
            }
            open.extend(&self.graph.needed_by[task]);
        }
        given_up.sort_unstable();
        given_up
    }

    /// `task` has ended well: what waited for it alone is ready.
    pub(crate) fn ended(&mut self, task: usize) {
        self.over[task] = true;
        for &user in &self.graph.needed_by[task] {
            let group = self.group_of[user];
            let waits = self.chosen[user] && !self.given_up[user];
            if waits && group != self.group_of[task] {
                self.waits[group] -= 1;
                if self.waits[group] == 0 {
                    self.ready.push_back(group);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_waited_for_is_reached_through_what_it_needs() {
        let config = crate::config::parse(
            "tasks:\n  a: {bash: x}\n  b: {bash: x}\n  c: {bash: x, before: [b]}\n  d: {bash: x, before: [c]}",
        )
        .unwrap();
        let graph = Graph::new(&config).unwrap();
        let mut schedule = Schedule::new(&graph, &[true; 4]);
        assert_eq!(schedule.next(), Some(vec![0]));
        assert_eq!(schedule.take_towards(0), None);
        assert_eq!(schedule.take_towards(3), Some(vec![1]));
        assert_eq!(schedule.take_towards(3), None);
        schedule.ended(1);
        assert_eq!(schedule.take_towards(3), Some(vec![2]));
        assert!(!schedule.has_ready());
    }

    #[test]
    fn what_needs_one_that_is_given_up_does_not_start() {
        let config = crate::config::parse(
            "tasks:\n  a: {bash: x}\n  b: {bash: x, before: [a]}\n  c: {bash: x, before: [b]}\n  \
             p: {bash: x, streaming: true}\n  q: {bash: x, streaming: true, before: [p, b]}\n  \
             z: {bash: x, before: [p]}",
        )
        .unwrap();
        let graph = Graph::new(&config).unwrap();
        let mut schedule = Schedule::new(&graph, &[true; 6]);
        assert_eq!(schedule.next(), Some(vec![0]));
        assert_eq!(schedule.next(), None, "p starts with q, which waits for b");
        // p goes on without q, and what a's users wait for is counted no more.
        assert_eq!(schedule.give_up(1), [1, 2, 4]);
        assert_eq!(schedule.next(), Some(vec![3]));
        schedule.ended(0);
        assert_eq!(schedule.next(), None);
        schedule.ended(3);
        assert!(schedule.give_up(0).is_empty(), "it has started, and so has all that needs it");
        assert_eq!(schedule.give_up(5), [5]);
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn groups_start_whole_and_once_their_needs_have_ended() {
        let config = crate::config::parse(
            "tasks:\n  a: {bash: x}\n  b: {bash: x}\n  p: {bash: x, streaming: true, before: [a]}\n  \
             c: {bash: x, streaming: true, before: [p, b]}\n  z: {bash: x, before: [p, c]}",
        )
        .unwrap();
        let graph = Graph::new(&config).unwrap();
        let mut schedule = Schedule::new(&graph, &[true; 5]);
        assert_eq!(schedule.next(), Some(vec![0]));
        assert_eq!(schedule.next(), Some(vec![1]));
        assert_eq!(schedule.next(), None);
        schedule.ended(0);
        assert_eq!(schedule.next(), None);
        schedule.ended(1);
        assert_eq!(schedule.next(), Some(vec![2, 3]));
        schedule.ended(3);
        assert_eq!(schedule.next(), None);
        schedule.ended(2);
        assert_eq!(schedule.next(), Some(vec![4]));
    }

    proptest! {
        /// The file as a whole is checked for cycles; whatever part of it is asked for then has an
        /// order, although its groups are others.
        #[test]
        fn whatever_is_asked_for_of_a_file_without_cycles_can_be_ordered(
            streaming in prop::collection::vec(any::<bool>(), 8),
            edges in prop::collection::vec((0..8_usize, 0..8_usize), 0..14),
            asked in prop::collection::vec(0..8_usize, 1..4),
        ) {
            let mut text = "tasks:\n".to_owned();
            for (task, streaming) in streaming.iter().enumerate() {
                let needs = edges.iter().filter(|(to, _)| *to == task);
                let needs: Vec<String> = needs.map(|(_, from)| format!("t{from}")).collect();
                let needs = needs.join(", ");
                text.push_str(&format!(
                    "  t{task}: {{bash: x, streaming: {streaming}, before: [{needs}]}}\n"
                ));
            }
            let config = crate::config::parse(&text).unwrap();
            let Ok(graph) = Graph::new(&config) else { return Ok(()) };
            let asked: Vec<String> = asked.iter().map(|task| format!("t{task}")).collect();
            let chosen = crate::select::select(&config, &graph, &asked).unwrap();
            let mut schedule = Schedule::new(&graph, &chosen);
            let mut started = vec![false; 8];
            while let Some(group) = schedule.next() {
                group.iter().for_each(|task| started[*task] = true);
                group.iter().for_each(|task| schedule.ended(*task));
            }
            prop_assert_eq!(started, chosen);
        }
    }
}

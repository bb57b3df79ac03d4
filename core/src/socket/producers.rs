//! Who can still set a key: the tasks of a run and which of them have ended.

use crate::key::task_of;
use std::collections::BTreeMap;

/// Tasks named in one line.
const NAMED_MAX: usize = 8;

/// What became of most tasks.
pub(super) const ENDED: &str = "has ended without setting it";

/// The tasks a runner has named. Without any, everybody can always set everything.
#[derive(Debug, Default)]
pub(super) struct Producers {
    /// What became of each, as it follows the task's name; nothing so far.
    ended: BTreeMap<Box<str>, Option<Box<str>>>,
}

impl Producers {
    pub(super) fn expect(&mut self, task: &str) {
        self.ended.insert(task.into(), None);
    }

    /// Nothing comes from `task` any more, because it `became` so: `was cancelled`.
    pub(super) fn end(&mut self, task: &str, became: &str) {
        self.ended.insert(task.into(), Some(became.into()));
    }

    /// Whether `key` can still get a value, as seen by a waiter that belongs to task `waiter`.
    /// A key of no task of this run can come from every task but the one that waits for it.
    pub(super) fn can_set(&self, key: &str, waiter: Option<&str>) -> bool {
        match self.ended.get(task_of(key)) {
            Some(became) => became.is_none(),
            None => self.is_free() || self.others(waiter).any(|(_, became)| became.is_none()),
        }
    }

    /// Why [`Producers::can_set`] says that nobody can.
    pub(super) fn who(&self, key: &str, waiter: Option<&str>) -> String {
        let task = task_of(key);
        if let Some(became) = self.ended.get(task) {
            return format!("task {task} {}", said(became.as_deref()));
        }
        let others: Vec<_> = self.others(waiter).collect();
        let more = others.len().saturating_sub(NAMED_MAX);
        let names: Vec<&str> = others.iter().take(NAMED_MAX).map(|(task, _)| &***task).collect();
        match (&others[..], more) {
            ([], _) => "there is no other task".to_owned(),
            ([(task, became)], _) => format!("task {task} {}", said(became.as_deref())),
            (_, 0) => format!("tasks {} have ended without setting it", names.join(", ")),
            _ => {
                let names = names.join(", ");
                format!("tasks {names} and {more} more have ended without setting it")
            }
        }
    }

    /// All tasks but the one of the waiter.
    fn others(&self, waiter: Option<&str>) -> impl Iterator<Item = (&Box<str>, &Option<Box<str>>)> {
        self.ended.iter().filter(move |(task, _)| waiter != Some(&***task))
    }

    /// Whether `task` is one that was named.
    pub(super) fn knows(&self, task: &str) -> bool {
        self.ended.contains_key(task)
    }

    /// Whether nothing more comes from `task`.
    pub(super) fn has_ended(&self, task: &str) -> bool {
        self.ended.get(task).is_some_and(Option::is_some)
    }

    /// Whether nothing is known about tasks, as under `otto-serve`.
    pub(super) fn is_free(&self) -> bool {
        self.ended.is_empty()
    }
}

fn said(became: Option<&str>) -> &str {
    became.unwrap_or(ENDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_can_come_while_its_task_lives() {
        let mut producers = Producers::default();
        assert!(producers.can_set("a.x", None));
        producers.expect("a");
        producers.expect("b");
        producers.end("a", ENDED);
        assert!(!producers.can_set("a.x", None));
        assert!(producers.can_set("b.x", Some("b")));
        assert!(producers.can_set("x", None));
        assert!(producers.can_set("other.x", Some("a")));
        // Only the waiter itself is left, and it waits.
        assert!(!producers.can_set("x", Some("b")));
        assert_eq!(producers.who("x", Some("b")), "task a has ended without setting it");
        producers.end("b", "was cancelled");
        assert!(!producers.can_set("x", None));
    }

    #[test]
    fn who_could_have_set_a_key_is_named() {
        let mut producers = Producers::default();
        producers.expect("only");
        assert_eq!(producers.who("x", Some("only")), "there is no other task");
        producers.end("only", "was cancelled");
        assert_eq!(producers.who("only.x", None), "task only was cancelled");
        for number in 1..9 {
            producers.end(&format!("t{number}"), ENDED);
        }
        let all = "tasks t1, t2, t3, t4, t5, t6, t7, t8 have ended without setting it";
        assert_eq!(producers.who("x", Some("only")), all);
        let more =
            "tasks only, t1, t2, t3, t4, t5, t6, t7 and 1 more have ended without setting it";
        assert_eq!(producers.who("no.x", None), more);
    }
}

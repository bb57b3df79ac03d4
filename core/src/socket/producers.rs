//! Who can still set a key: the tasks of a run and which of them have ended.

use crate::key::task_of;
use std::collections::HashMap;

/// The tasks a runner has named. Without any, everybody can always set everything.
#[derive(Debug, Default)]
pub(super) struct Producers {
    ended: HashMap<Box<str>, bool>,
}

impl Producers {
    pub(super) fn expect(&mut self, task: &str) {
        self.ended.insert(task.into(), false);
    }

    pub(super) fn end(&mut self, task: &str) {
        self.ended.insert(task.into(), true);
    }

    /// Whether `key` can still get a value, as seen by a waiter that belongs to task `waiter`.
    /// A key of no task of this run can come from every task but the one that waits for it.
    pub(super) fn can_set(&self, key: &str, waiter: Option<&str>) -> bool {
        match self.ended.get(task_of(key)) {
            Some(ended) => !ended,
            None => {
                self.is_free()
                    || self.ended.iter().any(|(task, ended)| !ended && waiter != Some(&**task))
            }
        }
    }

    /// Whether `task` was named.
    pub(super) fn knows(&self, task: &str) -> bool {
        self.ended.contains_key(task)
    }

    /// Whether nothing is known about tasks, as under `otto-serve`.
    pub(super) fn is_free(&self) -> bool {
        self.ended.is_empty()
    }
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
        producers.end("a");
        assert!(!producers.can_set("a.x", None));
        assert!(producers.can_set("b.x", Some("b")));
        assert!(producers.can_set("x", None));
        assert!(producers.can_set("other.x", Some("a")));
        // Only the waiter itself is left, and it waits.
        assert!(!producers.can_set("x", Some("b")));
        producers.end("b");
        assert!(!producers.can_set("x", None));
    }
}

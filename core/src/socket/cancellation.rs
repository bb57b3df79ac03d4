//! Which tasks were asked to end. No I/O here.

use crate::limits::CANCELLED_TASKS_MAX;
use std::collections::BTreeSet;

/// What was cancelled so far; nothing takes it back.
#[derive(Debug, Default)]
pub(super) struct Cancellation {
    run: bool,
    tasks: BTreeSet<Box<str>>,
}

impl Cancellation {
    /// Notes that `task`, or the whole run, was asked to end. Whether there was room to note it:
    /// names are kept only so many, since anybody can make them up.
    pub(super) fn cancel(&mut self, task: Option<&str>) -> bool {
        match task {
            None => self.run = true,
            Some(task) if self.tasks.contains(task) => {}
            Some(_) if self.tasks.len() >= CANCELLED_TASKS_MAX => return false,
            Some(task) => drop(self.tasks.insert(task.into())),
        }
        true
    }

    /// Whether `task`, or the whole run, was asked to end.
    pub(super) fn is_cancelled(&self, task: Option<&str>) -> bool {
        self.run || task.is_some_and(|task| self.tasks.contains(task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_is_all_its_tasks() {
        let mut cancellation = Cancellation::default();
        assert!(cancellation.cancel(Some("a")) && cancellation.cancel(Some("a")));
        assert!(cancellation.is_cancelled(Some("a")));
        assert!(!cancellation.is_cancelled(Some("b")) && !cancellation.is_cancelled(None));
        assert!(cancellation.cancel(None));
        assert!(cancellation.is_cancelled(Some("b")) && cancellation.is_cancelled(None));
    }

    #[test]
    fn names_are_bounded() {
        let mut cancellation = Cancellation::default();
        for n in 0..CANCELLED_TASKS_MAX {
            assert!(cancellation.cancel(Some(&format!("t{n}"))));
        }
        assert!(!cancellation.cancel(Some("more")));
        assert!(cancellation.cancel(Some("t0")) && cancellation.cancel(None));
    }
}

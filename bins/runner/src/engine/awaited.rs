//! A task that waits on the server for another's value leaves its place to that one: where all
//! places are taken by tasks that wait for some which have none, nothing would ever happen again.

use super::Engine;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

impl Engine<'_> {
    /// When [`Engine::start_awaited`] has something to do.
    pub(super) fn looks_for_awaited_at(&self) -> Option<Instant> {
        let is_full = self.live.len() >= self.parts.jobs;
        (is_full && !self.cancelled && self.schedule.has_ready()).then_some(self.look_at)
    }

    /// Starts, from time to time and beyond the number of jobs, what somebody waits for.
    pub(super) fn start_awaited(&mut self, now: Instant) {
        if self.looks_for_awaited_at().is_none_or(|at| now < at) {
            return;
        }
        self.look_at = now + PAUSE;
        // An error would be the server's end, which the next request reports.
        let waits = self.parts.server.waits().unwrap_or_default();
        let waiters: BTreeSet<&str> = waits.iter().filter_map(|(by, _)| by.as_deref()).collect();
        for (_, name) in &waits {
            let task = self.names.iter().position(|known| known == name);
            let task = task.filter(|task| self.parts.chosen[*task]);
            let group = match task {
                Some(task) => self.schedule.take_towards(task),
                // A key of no task can come from any, and whoever waits leaves its place to it.
                None => {
                    let at_work =
                        self.live.iter().filter(|live| !waiters.contains(self.name(live.task)));
                    let has_place = at_work.count() < self.parts.jobs;
                    if has_place { self.schedule.next() } else { None }
                }
            };
            if let Some(group) = group
                && let Err(message) = self.start_group(&group)
            {
                self.fail(1, message);
                // What began now would be asked by nobody to end.
                return;
            }
        }
    }
}

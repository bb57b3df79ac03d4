//! Watching over streams that are under way.

use super::Engine;
use crate::display::size;
use crate::streams::Ends;
use nix::unistd::Pid;
use otto_core::NO_TASK;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Streams named in one line.
const NAMED_MAX: usize = 5;

impl Engine<'_> {
    /// When [`Engine::watch_streams`] has something to do.
    pub(super) fn watches_at(&self) -> Option<Instant> {
        self.streams.are_active().then_some(self.watch_at)
    }

    /// Looks, from time to time, whether somebody waits for a task that streams, and what such
    /// tasks do.
    pub(super) fn watch_streams(&mut self, now: Instant) {
        if !self.streams.are_active() {
            self.work.forget();
            return;
        }
        if now < self.watch_at {
            return;
        }
        self.watch_at = now + PAUSE;
        // An error would be the server's end, which the next request reports.
        if let Ok(awaited) = self.parts.server.awaited_tasks() {
            let tasks = &self.parts.config.tasks;
            let of_run = |name: &str| tasks.iter().any(|task| task.name.as_str() == name);
            // A key of no task may come from any.
            let any = awaited.iter().any(|name| name == NO_TASK || !of_run(name));
            self.streams.set_waited_for(|task| any || awaited.contains(tasks[task].name.as_str()));
        }
        let streaming: Vec<usize> = self.streams.active().collect();
        let live = self.live.iter().filter(|live| streaming.contains(&live.task));
        self.work.look(live.map(|live| live.group), now);
        if self.parts.display.wants_edges(now) {
            self.parts.display.edges(&self.streams.edges(), now);
        }
    }

    /// An edge goes over the disk: said once.
    pub(super) fn take_spilling(&mut self, edge: Ends) {
        if self.spilling.insert(edge) {
            let edge = edge.named(&self.names);
            let limit = size(self.streams.spill_bytes());
            self.parts.display.say(&format!(
                "the edge {edge} is full while others wait: it spills to disk, up to {limit}"
            ));
        }
    }

    /// Streams wait for each other and nothing more may be kept on the disk. That can't be seen
    /// from the streams alone: a consumer that computes, or was stopped, will go on by itself. The
    /// relay says it again as long as nothing moves.
    pub(super) fn take_stalled(&mut self, full: &[Ends], starved: &[Ends]) {
        let consumers: Vec<usize> = full.iter().filter_map(|edge| edge.to).collect();
        let groups: Vec<Pid> = self
            .live
            .iter()
            .filter(|live| consumers.contains(&live.task))
            .map(|live| live.group)
            .collect();
        // What is written to a file waits for the disk alone.
        let known = consumers.len() == full.len();
        if self.cancelled || !known || groups.is_empty() || !self.work.are_idle(&groups) {
            return;
        }
        let names = &self.names;
        let full: Vec<String> = full.iter().map(|edge| edge.named(names)).collect();
        let waiting: Vec<String> = starved
            .iter()
            .filter_map(|edge| Some(format!("{} for {}", names[edge.to?], names[edge.from])))
            .collect();
        let awaited = self.parts.server.awaited_tasks().unwrap_or_default();
        let waiting = if waiting.is_empty() {
            format!("somebody waits for a key of {}", list(&Vec::from_iter(awaited)))
        } else {
            format!("others wait ({})", list(&waiting))
        };
        let spilled = match self.streams.spill_bytes() {
            0 => "nothing may spill to disk".to_owned(),
            limit => format!("all of {} that may spill to disk is used", size(limit)),
        };
        let are = if full.len() == 1 { "the edge" } else { "the edges" };
        let message = format!(
            "the streams stand still: {waiting} while nobody reads {are} {}, and {spilled}; \
             raise otto: {{spill: ...}}, or read before waiting",
            list(&full)
        );
        self.fail(1, message);
    }
}

/// Some names, and how many more there are.
fn list(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED_MAX)].join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

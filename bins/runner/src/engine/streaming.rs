//! Watching over streams that are under way.

use super::Engine;
use crate::display::size;
use crate::streams::Ends;
use nix::unistd::Pid;
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
        let groups: Vec<Vec<usize>> = self.streams.groups();
        let waiting = groups.iter().map(|group| self.is_awaited(group)).collect::<Vec<_>>();
        self.streams.set_waited_for(&waiting);
        let streaming: Vec<usize> = groups.concat();
        let live = self.live.iter().filter(|live| streaming.contains(&live.task));
        self.work.look(live.map(|live| live.group), now);
        if self.parts.display.wants_edges(now) {
            self.parts.display.edges(&self.streams.edges(), now);
        }
    }

    /// Whether a task of `group` waits for one of it by other means than streams: for a key of its,
    /// or of a task that can begin only when it has ended, and so on.
    fn is_awaited(&self, group: &[usize]) -> bool {
        // An error would be the server's end, which the next request reports.
        let waits = self.parts.server.waits().unwrap_or_default();
        let place = |name: &str| self.names.iter().position(|known| known == name);
        let of_group = |task: &usize| group.contains(task);
        let mut open: Vec<usize> = group.to_vec();
        let mut seen = vec![false; self.names.len()];
        // Who is no task that is known may be a part of any.
        let strangers =
            waits.iter().filter(|(waiter, _)| waiter.as_deref().and_then(place).is_none());
        let mut found: Vec<Option<usize>> = strangers.map(|(_, name)| place(name)).collect();
        loop {
            for task in found.drain(..) {
                // A key of no task may come from any.
                let task = task.unwrap_or(group[0]);
                if of_group(&task) {
                    return true;
                }
                if !std::mem::replace(&mut seen[task], true) {
                    open.push(task);
                }
            }
            let Some(task) = open.pop() else { return false };
            let name = self.names[task].as_str();
            let waits = waits.iter().filter(|(waiter, _)| waiter.as_deref() == Some(name));
            found.extend(waits.map(|(_, name)| place(name)));
            let has_begun = of_group(&task) || self.live.iter().any(|live| live.task == task);
            if !has_begun && self.parts.chosen[task] && !self.ended.contains(&task) {
                let needs = self.parts.graph.needs[task].iter();
                found.extend(needs.filter(|need| !self.ended.contains(need)).copied().map(Some));
            }
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
        let starved = starved.iter().filter_map(|edge| Some((edge.to?, edge.from)));
        let mut waiting: Vec<String> =
            starved.map(|(to, from)| format!("{} for {}", names[to], names[from])).collect();
        for (waiter, task) in self.parts.server.waits().unwrap_or_default() {
            waiting.push(format!("{} for {task}", waiter.as_deref().unwrap_or("somebody")));
        }
        let waiting = list(&waiting);
        let spilled = match self.streams.spill_bytes() {
            0 => "nothing may spill to disk".to_owned(),
            limit if self.streams.spilled_bytes() < limit => {
                "there is no room on the disk to spill to".to_owned()
            }
            limit => format!("all of {} that may spill to disk is used", size(limit)),
        };
        let are = if full.len() == 1 { "the edge" } else { "the edges" };
        let message = format!(
            "the streams stand still: others wait ({waiting}) while nobody reads {are} {}, and {spilled}; \
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

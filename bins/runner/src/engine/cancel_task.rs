//! otto-cancel: ending the run, or one task of it alone while the others go on.

use super::cancel::GRACE;
use super::{Engine, Verdict};
use crate::display::Ending;
use crate::process::{Asked, Live};
use std::time::{Duration, Instant};

/// The status of what was cancelled, as of what Ctrl-C ended.
pub(super) const STATUS: u8 = 130;

impl Engine<'_> {
    /// Somebody asks that a task, or the run, be ended.
    pub(super) fn take_cancel(&mut self, task: Option<&str>) {
        // Asking again does not hurry: several tasks may come to the same conclusion.
        if self.cancelled {
            return;
        }
        match task {
            None => self.cancel_run(),
            Some(name) => {
                let place = self.names.iter().position(|known| known == name);
                let is_left = |task: &usize| self.parts.chosen[*task] && !self.ended.contains(task);
                if let Some(task) = place.filter(is_left) {
                    self.cancel_task(task);
                }
            }
        }
    }

    fn cancel_run(&mut self) {
        self.parts.display.hurry();
        let folder = self.parts.workspace.root().display();
        let message = format!("cancelled by otto-cancel; outputs so far in {folder}");
        self.verdict.get_or_insert(Verdict { status: STATUS, message });
        self.parts.display.say("otto-cancel: ending all tasks");
        self.cancel(false);
    }

    fn cancel_task(&mut self, task: usize) {
        let name = self.name(task);
        let Some(live) = self.live.iter_mut().find(|live| live.task == task) else {
            self.parts.display.say(&format!("otto-cancel: {name} does not start"));
            self.asked_to_end.push(task);
            self.fallen.insert(task);
            self.give_up(task);
            return;
        };
        // What has ended needs no asking, and what was asked has its time.
        if live.exit.is_none() && matches!(live.asked, Asked::No | Asked::Spared(_)) {
            live.cancelled = true;
            live.ask(Instant::now() + GRACE);
            self.parts.display.say(&format!("otto-cancel: ending {name}"));
        }
    }

    /// Whether a task ended for what otto-cancel did, to it or to a producer whose stream it read.
    pub(super) fn falls(&self, live: &Live) -> bool {
        let of_producer = live.broken_by.is_some_and(|producer| self.fallen.contains(&producer));
        if live.cancelled {
            return !live.ended_as_asked();
        }
        of_producer && (live.interrupted || live.exit != Some(crate::process::Exit::Status(0)))
    }

    /// A task has ended before its time, and the run goes on without it and what needs it.
    pub(super) fn fall(&mut self, task: usize, ending: &Ending, time: Duration) {
        if *ending == Ending::Cancelled {
            self.asked_to_end.push(task);
        }
        self.fallen.insert(task);
        // Those that could not be told get no end of their input, and would wait for it.
        let now = Instant::now();
        let graph = self.parts.graph;
        for live in self.live.iter_mut() {
            let reads = graph.needs[live.task].contains(&task) && graph.streams(task, live.task);
            if reads && live.exit.is_none() {
                live.broken_by.get_or_insert(task);
                if live.asked == Asked::No {
                    live.ask(now + GRACE);
                }
            }
        }
        self.end(task, ending, time);
        self.give_up(task);
    }

    /// Takes `task`, if it has not started, and all that need it out of the run.
    fn give_up(&mut self, task: usize) {
        let given_up = self.schedule.give_up(task);
        let name = self.name(task);
        for &other in &given_up {
            self.ended.insert(other);
            let what = match other == task {
                true => "was cancelled".to_owned(),
                false => format!("does not start, since {name} was cancelled"),
            };
            // An error would be the server's end, which the next request reports.
            let _ = self.parts.server.task_became(&self.parts.config.tasks[other].name, &what);
        }
        let others: Vec<&str> = given_up
            .iter()
            .filter(|other| **other != task)
            .map(|other| self.name(*other))
            .collect();
        if !others.is_empty() {
            let others = others.join(", ");
            self.parts.display.say(&format!("not started, since {name} was cancelled: {others}"));
        }
    }

    /// What the last line says of tasks that were cancelled; `None` where none was.
    pub(super) fn cancelled_by_name(&self) -> Option<String> {
        let names: Vec<&str> = self.asked_to_end.iter().map(|task| self.name(*task)).collect();
        (!names.is_empty()).then(|| format!("cancelled by otto-cancel: {}", names.join(", ")))
    }
}

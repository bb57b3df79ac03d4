//! Ending a run early: TERM to every task's group, some grace, then KILL. Consumers that can tell a
//! stream that broke off from one that ended are told of it first.

use super::Engine;
use crate::process::Asked;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// Time for a task to end by itself once it was asked to.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// Time for a consumer to end by itself once it can know that its producer has failed.
const SAY: Duration = Duration::from_secs(1);
/// Time for that word to reach it, through others that have their time.
const WORD: Duration = Duration::from_secs(3);

impl Engine<'_> {
    /// Starts nothing more and ends what runs; `at_once` leaves no grace.
    pub(super) fn cancel(&mut self, at_once: bool) {
        let now = Instant::now();
        if !self.cancelled {
            self.cancelled = true;
            let spared = self.downstream_of_culprit();
            for live in self.live.iter_mut().filter(|live| live.asked == Asked::No) {
                if spared.contains(&live.task) && self.streams.is_checked(live.task) {
                    live.asked = Asked::Spared(now + WORD);
                } else {
                    live.ask(now + GRACE);
                }
            }
        }
        if at_once {
            for live in self.live.iter_mut().filter(|live| live.asked != Asked::Killed) {
                live.ask(now);
            }
        }
    }

    /// The running tasks that what the culprit streamed reaches.
    fn downstream_of_culprit(&self) -> Vec<usize> {
        let graph = self.parts.graph;
        let mut found: Vec<usize> = Vec::new();
        let mut open: Vec<usize> = self.culprit.into_iter().collect();
        while let Some(task) = open.pop() {
            for &user in graph.needed_by[task].iter().filter(|user| graph.streams(task, **user)) {
                if !found.contains(&user) && self.live.iter().any(|live| live.task == user) {
                    found.push(user);
                    open.push(user);
                }
            }
        }
        found
    }

    /// A producer did not come to its end: those of its consumers that ask get the rest of its
    /// stream, are told that it broke off, and have a moment to say so themselves.
    pub(super) fn tell_consumers(&mut self, task: usize) {
        let until = Instant::now() + SAY;
        let told = self.streams.fail(task, self.parts.config.tasks[task].name.as_str());
        for live in self.live.iter_mut().filter(|live| told.contains(&live.task)) {
            live.broken_by.get_or_insert(task);
            if matches!(live.asked, Asked::No | Asked::Spared(_)) {
                live.asked = Asked::Spared(until);
            }
        }
    }

    /// Somebody asks otto-run to end.
    pub(super) fn take_ending(&mut self) {
        let Some((signal, count)) = self.parts.signals.take_ending() else { return };
        self.parts.display.hurry();
        let again = count > 1 || self.cancelled;
        let name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
        if self.verdict.is_none() {
            let folder = self.parts.workspace.root().display();
            let message = format!("cancelled by {name}; outputs so far in {folder}");
            self.verdict = Some(super::Verdict { status: 128 + signal as u8, message });
        }
        if !again {
            let word = "ending all tasks; once more ends them without grace";
            self.parts.display.say(&format!("{name}: {word}"));
        }
        self.cancel(again);
    }

    /// What is due: tasks out of time, and the end of the grace.
    pub(super) fn watch_the_clock(&mut self) {
        let now = Instant::now();
        let mut expired = Vec::new();
        for live in self.live.iter_mut().filter(|live| live.exit.is_none() && !live.timed_out) {
            let is_asked = self.cancelled || live.cancelled;
            if live.deadline.is_some_and(|deadline| deadline <= now) && !is_asked {
                live.timed_out = true;
                expired.push(live.task);
            }
        }
        for task in expired {
            let timeout = self.parts.config.tasks[task].timeout.unwrap_or_default();
            self.culprit.get_or_insert(task);
            let message = format!(
                "task {:?} timed out after {} s; its output: {}",
                self.name(task),
                timeout.as_secs_f64(),
                self.parts.workspace.of_task(self.name(task)).display()
            );
            self.fail(4, message);
        }
        self.live.iter_mut().for_each(|live| live.press(now, GRACE));
        self.press_leftovers(now);
        self.watch_streams(now);
        self.start_awaited(now);
        self.look_for_circles(now);
        self.parts.display.tick(now);
    }
}

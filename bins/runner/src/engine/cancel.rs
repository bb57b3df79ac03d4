//! Ending a run early: TERM to every task's group, some grace, then KILL.

use super::Engine;
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// Time for tasks to end by themselves once they were asked to.
const GRACE: Duration = Duration::from_secs(3);

/// A cancellation under way.
#[derive(Debug)]
pub(super) struct Cancel {
    kill_at: Instant,
    killed: bool,
}

impl Cancel {
    /// When patience ends, unless it has.
    pub(super) fn kill_at(&self) -> Option<Instant> {
        (!self.killed).then_some(self.kill_at)
    }
}

impl Engine<'_> {
    /// Starts nothing more and ends what runs; `at_once` leaves no grace.
    pub(super) fn cancel(&mut self, at_once: bool) {
        let now = Instant::now();
        if self.cancel.is_none() {
            for live in &self.live {
                live.signal(Signal::SIGTERM);
                // A stopped process would not notice.
                live.signal(Signal::SIGCONT);
            }
            self.cancel = Some(Cancel { kill_at: now + GRACE, killed: false });
        }
        if at_once && let Some(cancel) = &mut self.cancel {
            cancel.kill_at = now;
        }
    }

    /// Somebody asks otto-run to end.
    pub(super) fn take_ending(&mut self) {
        let Some((signal, count)) = self.parts.signals.take_ending() else { return };
        self.parts.display.hurry();
        let again = count > 1 || self.cancel.is_some();
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
            if live.deadline.is_some_and(|deadline| deadline <= now) && self.cancel.is_none() {
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
        if let Some(cancel) = &mut self.cancel
            && !cancel.killed
            && cancel.kill_at <= now
        {
            cancel.killed = true;
            for live in &self.live {
                live.signal(Signal::SIGKILL);
            }
        }
        self.press_leftovers(now);
        self.parts.display.tick(now);
    }
}

//! Bringing tasks to their end.

use super::Engine;
use crate::display::Ending;
use crate::process::{Exit, Live, Stage};
use crate::results;
use nix::sys::signal::Signal;
use otto_core::run::{Process, processes_of, variable};
use std::time::{Duration, Instant};

/// Time for what a task leaves in its group, such as `>(tee log)`, to end by itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Time for it to end once it was asked to.
const SHORT_GRACE: Duration = Duration::from_millis(500);
/// Time for the kernel to bury what was killed.
const BURIAL: Duration = Duration::from_secs(1);

impl Engine<'_> {
    /// Takes note of every task that is over: its first process has ended, its group is gone, all
    /// it printed was read, and its stream has arrived.
    pub(super) fn finish_ended(&mut self) {
        let mut place = 0;
        while place < self.live.len() {
            if self.is_over(place) {
                let live = self.live.remove(place);
                self.finish(live);
                // Readers that have just ended may explain a producer's failure.
                place = 0;
            } else {
                place += 1;
            }
        }
    }

    fn is_over(&mut self, place: usize) -> bool {
        if self.live[place].exit.is_none() {
            return false;
        }
        for channel in 0..2 {
            self.read_output(place, channel);
        }
        let live = &self.live[place];
        let group_lives = live.group_lives();
        // A background job of the task may still open its stream, as long as we are patient.
        let is_patient = group_lives && matches!(live.stage, Stage::Patient(_));
        let broke_off = self.broke_off(live);
        if !is_patient && !broke_off {
            self.streams.close_output(live.task);
        }
        let live = &self.live[place];
        // A stream that broke off has no end that anybody may wait for.
        let stream_is_over = broke_off || self.streams.is_over(live.task);
        let given_up = matches!(live.stage, Stage::Killed(until) if until <= Instant::now());
        if given_up {
            return stream_is_over || !self.streams.is_closed(live.task);
        }
        !live.is_captured() && !group_lives && stream_is_over
    }

    fn has_failed(&self, live: &Live) -> bool {
        let failed = live.exit.is_some_and(|exit| exit != Exit::Status(0));
        let strict = self.parts.graph.is_strict(live.task);
        live.timed_out || failed && (strict || !self.streams.readers_gone(live.task))
    }

    /// Whether what the task streamed is not all of what it would have streamed.
    fn broke_off(&self, live: &Live) -> bool {
        live.interrupted && !live.ended_as_asked() || self.has_failed(live)
    }

    /// Ends, step by step, what tasks leave behind in their groups and at their streams.
    pub(super) fn press_leftovers(&mut self, now: Instant) {
        for place in 0..self.live.len() {
            let live = &self.live[place];
            if live.exit.is_none() {
                continue;
            }
            let stage = match live.stage {
                Stage::Patient(Some(until)) if until <= now => {
                    if live.group_lives() {
                        live.signal(Signal::SIGTERM);
                        Stage::Terminated(now + SHORT_GRACE)
                    } else {
                        self.kill_escaped(live);
                        Stage::Killed(now + BURIAL)
                    }
                }
                Stage::Terminated(until) if until <= now => {
                    live.signal(Signal::SIGKILL);
                    self.kill_escaped(live);
                    Stage::Killed(now + BURIAL)
                }
                stage => stage,
            };
            if stage != live.stage {
                let live = &mut self.live[place];
                live.stage = stage;
                if matches!(stage, Stage::Killed(_)) {
                    // Whoever still prints has left the task; the run's end sweeps it.
                    self.stop_capturing(place);
                }
            }
        }
    }

    fn stop_capturing(&mut self, place: usize) {
        for channel in 0..2 {
            self.read_output(place, channel);
            let live = &mut self.live[place];
            let (task, capture) = (live.task, &mut live.captures[channel]);
            let (display, channel) = (&mut self.parts.display, capture.channel);
            capture.close(|line| display.line(task, channel, line));
        }
    }

    /// Kills processes of the task that left its group, but only where they hold up its stream.
    fn kill_escaped(&self, live: &Live) {
        if self.broke_off(live) || self.streams.is_closed(live.task) {
            return;
        }
        let folder = self.parts.workspace.of_task(self.name(live.task));
        let wanted = format!("{}={}", variable::TASK_DIR, folder.display());
        let is_of_task = |process: &Process| {
            let environment = std::fs::read(format!("/proc/{}/environ", process.id));
            let mut entries = environment.iter().flat_map(|bytes| bytes.split(|byte| *byte == 0));
            entries.any(|entry| entry == wanted.as_bytes())
        };
        processes_of(self.parts.run.id()).iter().filter(|p| is_of_task(p)).for_each(Process::kill);
    }

    fn finish(&mut self, live: Live) {
        let (task, time) = (live.task, live.started.elapsed());
        let Some(exit) = live.exit else { return };
        if self.broke_off(&live) {
            self.tell_consumers(task);
        }
        if !self.cancelled && !live.timed_out && self.falls(&live) {
            let why = self.why_ended(&live);
            self.fall(task, &why, time);
            return;
        }
        if live.timed_out {
            self.end(task, &Ending::Failed("timed out".to_owned()), time);
        } else if live.interrupted && !live.ended_as_asked() {
            self.end(task, &self.why_ended(&live), time);
        } else if exit == Exit::Status(0) {
            self.check_stream(task);
            self.end_well(task, &Ending::Done, time);
        } else if live.broken_by.is_none() && !self.has_failed(&live) {
            self.end_well(task, &Ending::ReadersGone, time);
        } else if self.cancelled {
            self.end(task, &self.why_ended(&live), time);
        } else {
            self.finish_failed(task, exit, time);
        }
    }

    /// The first failure of the run.
    fn finish_failed(&mut self, task: usize, exit: Exit, time: Duration) {
        let why = match exit {
            Exit::Status(status) => format!("failed with status {status}"),
            Exit::Signal(signal) => match Signal::try_from(signal) {
                Ok(signal) => format!("was killed by {}", signal.as_str()),
                Err(_) => format!("was killed by signal {signal}"),
            },
        };
        let why = if self.streams.readers_gone(task) {
            format!("{why} after its readers had gone, which counts since it is strict")
        } else {
            why
        };
        let folder = self.parts.workspace.of_task(self.name(task));
        let message = format!("task {:?} {why}; its output: {}", self.name(task), folder.display());
        self.culprit = Some(task);
        self.end(task, &Ending::Failed(why), time);
        self.fail(exit.code(), message);
    }

    /// A task that ended well, and whose stream somebody holds open all the same.
    fn check_stream(&mut self, task: usize) {
        if !self.streams.is_closed(task) && !self.cancelled {
            self.culprit.get_or_insert(task);
            let name = self.name(task);
            let why = "is held open by a process that can't be ended";
            self.fail(1, format!("the stream of {name} {why}"));
        }
    }

    /// Why a task ended before its time: for what happened upstream of it, or for the run's end.
    fn why_ended(&self, live: &Live) -> Ending {
        if let Some(producer) = live.broken_by.filter(|producer| self.fallen.contains(producer)) {
            return Ending::ProducerCancelled(self.name(producer).to_owned());
        }
        let reads = |producer: &usize| {
            self.parts.graph.needs[live.task].contains(producer)
                && self.parts.graph.streams(*producer, live.task)
        };
        if let Some(producer) = live.broken_by.or(self.culprit.filter(reads)) {
            return Ending::ProducerFailed(self.name(producer).to_owned());
        }
        match self.culprit.filter(|culprit| self.reaches(*culprit, live.task)) {
            Some(producer) => Ending::UpstreamFailed(self.name(producer).to_owned()),
            None => Ending::Cancelled,
        }
    }

    /// Whether what `from` streams reaches `to`, directly or through others.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let graph = self.parts.graph;
        let (mut open, mut seen) = (vec![to], vec![to]);
        while let Some(task) = open.pop() {
            for &need in graph.needs[task].iter().filter(|need| graph.streams(**need, task)) {
                if need == from {
                    return true;
                }
                if !seen.contains(&need) {
                    seen.push(need);
                    open.push(need);
                }
            }
        }
        false
    }

    /// A task has ended and what waits for it may start.
    pub(super) fn end_well(&mut self, task: usize, ending: &Ending, time: Duration) {
        self.streams.close_output(task);
        if self.end(task, ending, time) {
            self.done += 1;
            self.schedule.ended(task);
        }
    }

    /// What every end of a task brings with it; whether its values could be kept.
    pub(super) fn end(&mut self, task: usize, ending: &Ending, time: Duration) -> bool {
        self.streams.close_input(task);
        self.ended.insert(task);
        let name = &self.parts.config.tasks[task].name;
        let folder = self.parts.workspace.of_task(name.as_str());
        let kept = results::keep(self.parts.run.id(), &self.parts.server, name, &folder);
        self.take_last_progress();
        // An error would be the server's end, which the next request reports.
        let _ = match ending {
            Ending::Cancelled => self.parts.server.task_became(name, "was cancelled"),
            _ => self.parts.server.task_ended(name),
        };
        self.parts.display.ended(task, ending, time);
        let moved = self.streams.ended(task);
        self.parts.display.moved(&moved);
        if let Err(error) = &kept {
            self.culprit.get_or_insert(task);
            self.fail(1, format!("the values of task {:?}: {error}", name.as_str()));
        }
        kept.is_ok()
    }
}

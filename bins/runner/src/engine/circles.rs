//! Tasks that wait on the server for each other: nothing would ever happen again, so their waits
//! are ended, with the reason.

use super::Engine;
use crate::circle::{Circle, State, Want, circles};
use crate::process::Asked;
use crate::still::{Still, members, still};
use otto_core::socket::Waiting;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How many times as long as a look took at least passes before the next one.
const REST: u32 = 20;

/// What was seen of tasks that may wait for each other.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// When to look next; not before somebody begins to wait.
    look_at: Option<Instant>,
    /// What stood still at the last look: the circles by their waits, the tasks by their place.
    circles: Vec<Vec<u64>>,
    tasks: HashMap<usize, Still>,
}

impl Engine<'_> {
    /// Somebody has begun to wait.
    pub(super) fn take_waiting(&mut self) {
        self.suspicion.look_at.get_or_insert_with(|| Instant::now() + PAUSE);
    }

    /// When [`Engine::look_for_circles`] has something to do.
    pub(super) fn looks_for_circles_at(&self) -> Option<Instant> {
        self.suspicion.look_at
    }

    /// Looks, as long as somebody waits, whether tasks wait for each other; what two looks agree
    /// about is so.
    pub(super) fn look_for_circles(&mut self, now: Instant) {
        if self.suspicion.look_at.is_none_or(|at| now < at) {
            return;
        }
        let before = std::mem::take(&mut self.suspicion);
        // From here on the next one who begins to wait is told of.
        self.parts.inbox.listen_for_waits();
        // An error would be the server's end, which the next request reports.
        let waits = self.parts.server.waiting().unwrap_or_default();
        if waits.is_empty() || self.cancelled {
            return;
        }
        let mut wants = self.wants(&waits);
        let states = self.states(|_| State::Still);
        // Most of what is waited for comes from tasks that wait for nobody themselves.
        let suspects = circles(&states, &wants, &self.names);
        if !suspects.is_empty() {
            self.suspicion.tasks = self.stand_still(&suspects, &waits);
            let tasks = &self.suspicion.tasks;
            let states = self.states(|task| match tasks.contains_key(&task) {
                true => State::Still,
                false => State::Able,
            });
            wants.retain(|want| states[want.task] == State::Still);
            for circle in circles(&states, &wants, &self.names) {
                let is_still = |task: &usize| {
                    let now = self.suspicion.tasks.get(task);
                    now.zip(before.tasks.get(task)).is_some_and(|(now, then)| now.is_still_as(then))
                };
                let seen = before.circles.contains(&circle.waits);
                if seen && circle.tasks.iter().all(is_still) {
                    self.end_circle(&circle);
                }
                self.suspicion.circles.push(circle.waits);
            }
        }
        let end = Instant::now();
        self.suspicion.look_at = Some(end + PAUSE.max((end - now) * REST));
    }

    fn end_circle(&mut self, circle: &Circle) {
        let server = &self.parts.server;
        let why = &circle.why;
        let ended = server.end_waits(&circle.waits, &circle.doomed, why).unwrap_or_default();
        // Said once, however often they try again.
        if ended && !self.circles_told.contains(why) {
            self.circles_told.insert(why.clone());
            self.parts
                .display
                .say(&format!("{why}: nobody can go on, which is told with status 6"));
        }
    }

    /// What tasks of this run that are known wait for.
    fn wants(&self, waits: &[Waiting]) -> Vec<Want> {
        let place = |name: &str| self.names.iter().position(|known| known == name);
        let is_left = |task: usize| self.parts.chosen[task] && !self.ended.contains(&task);
        let of_wait = |wait: &Waiting| {
            let task = place(wait.task.as_deref()?)?;
            let from = match place(&wait.wanted).filter(|task| self.parts.chosen[*task]) {
                Some(wanted) => vec![wanted],
                // A key of no task can come from every other.
                None => (0..self.names.len()).filter(|t| *t != task && is_left(*t)).collect(),
            };
            let (number, what) = (wait.number, wait.key.clone());
            Some(Want { number, task, what, from, deadline: wait.deadline })
        };
        waits.iter().filter_map(of_wait).collect()
    }

    /// What each task is about; `of_live` says it of those that run undisturbed.
    fn states(&self, of_live: impl Fn(usize) -> State) -> Vec<State> {
        let mut states: Vec<State> = (0..self.names.len())
            .map(|task| {
                if !self.parts.chosen[task] || self.ended.contains(&task) {
                    State::Over
                } else {
                    State::Unstarted(self.schedule.holds_back(task))
                }
            })
            .collect();
        for live in &self.live {
            let runs = live.exit.is_none() && live.asked == Asked::No;
            // Whatever is about to end comes to its end.
            states[live.task] = if runs { of_live(live.task) } else { State::Able };
        }
        states
    }

    /// Those tasks of `suspects` whose processes do nothing, every one of them.
    fn stand_still(&self, suspects: &[Circle], waits: &[Waiting]) -> HashMap<usize, Still> {
        let Some(members) = members(self.parts.run.id(), &self.names) else {
            return HashMap::new();
        };
        let mut answers: HashMap<u32, usize> = HashMap::new();
        for process in waits.iter().filter_map(|wait| wait.process) {
            *answers.entry(process).or_default() += 1;
        }
        let locks = self.parts.common.locks();
        let tasks = suspects.iter().flat_map(|circle| &circle.tasks);
        tasks
            .filter_map(|&task| {
                let members = members.get(&task)?;
                // A wait of a process that can't be seen is one of a task that can't be judged.
                let name = self.names[task].as_str();
                let mut own = waits.iter().filter(|wait| wait.task.as_deref() == Some(name));
                own.all(|wait| wait.process.is_some_and(|id| members.contains(&id)))
                    .then(|| still(members, &answers, &locks))
                    .flatten()
                    .map(|still| (task, still))
            })
            .collect()
    }
}

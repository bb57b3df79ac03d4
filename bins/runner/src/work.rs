//! Whether tasks are at work: the processor time and the states of their processes.

use crate::process::children;
use crate::stat::Stat;
use nix::unistd::Pid;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Time over which a task that does nothing has used next to none.
const SPAN: Duration = Duration::from_secs(8);
/// What a process uses that only waits: timers of its runtime, a signal.
const IDLE: Duration = Duration::from_millis(50);
/// Looks kept: one more than the span needs.
const LOOKS: usize = 6;

/// What the processes of each group have used, look by look.
#[derive(Debug, Default)]
pub(crate) struct Work {
    looks: VecDeque<Look>,
}

#[derive(Debug)]
struct Look {
    at: Instant,
    groups: HashMap<Pid, Used>,
}

/// What the processes of one group have used in all, those included that they have waited for.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    ticks: u64,
    /// One of them runs, waits for a disk or a page, or is stopped.
    busy: bool,
}

impl Work {
    /// When [`Work::look`] has something to do.
    pub(crate) fn looks_at(&self) -> Option<Instant> {
        self.looks.back().map(|look| look.at + PAUSE)
    }

    /// Takes note of what `groups` have used by `now`, from time to time.
    pub(crate) fn look(&mut self, groups: impl Iterator<Item = Pid>, now: Instant) {
        if self.looks_at().is_none_or(|at| at <= now) {
            if self.looks.len() == LOOKS {
                self.looks.pop_front();
            }
            self.looks.push_back(Look { at: now, groups: used(groups) });
        }
    }

    /// Forgets everything: nobody is of interest any more.
    pub(crate) fn forget(&mut self) {
        self.looks.clear();
    }

    /// Whether all of `groups` have done nothing for about ten seconds and do nothing now. Where
    /// that is not known, they have not.
    pub(crate) fn are_idle(&self, groups: &[Pid]) -> bool {
        let now = Instant::now();
        let Some(before) = self.looks.iter().rfind(|look| now - look.at >= SPAN) else {
            return false;
        };
        let used = used(groups.iter().copied());
        groups.iter().all(|group| {
            let (Some(before), Some(now)) = (before.groups.get(group), used.get(group)) else {
                return false;
            };
            !now.busy && time(now.ticks.saturating_sub(before.ticks)) <= IDLE
        })
    }
}

fn time(ticks: u64) -> Duration {
    /// What the kernel counts in towards programs, whatever its own clock, on Linux.
    const TICKS_PER_SECOND: u64 = 100;
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// What each of `groups` has used. A process that left its group counts for the group of its
/// nearest ancestor that has one of these.
fn used(groups: impl Iterator<Item = Pid>) -> HashMap<Pid, Used> {
    let mut used: HashMap<Pid, Used> = groups.map(|group| (group, Used::default())).collect();
    let mut open = vec![(std::process::id(), None)];
    while let Some((id, of_parent)) = open.pop() {
        for child in children(id) {
            let Some(stat) = Stat::of(child) else { continue };
            let own = used.contains_key(&stat.group).then_some(stat.group);
            let group = own.or(of_parent);
            if let Some(used) = group.and_then(|group| used.get_mut(&group)) {
                used.ticks += stat.ticks;
                used.busy |= matches!(stat.state, 'R' | 'D' | 'T' | 't');
            }
            open.push((child, group));
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal, kill};
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    /// Ended, whatever becomes of the test.
    struct Started(Child);

    impl Started {
        fn new(script: &str) -> Started {
            let mut command = Command::new("bash");
            command.args(["-c", script]).process_group(0);
            Started(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        }

        fn group(&self) -> Pid {
            Pid::from_raw(self.0.id().cast_signed())
        }
    }

    impl Drop for Started {
        fn drop(&mut self) {
            let left = children(self.0.id()).into_iter().map(u32::cast_signed).map(Pid::from_raw);
            for id in left.chain([self.group()]) {
                let _ = kill(id, Signal::SIGKILL);
            }
            let _ = self.0.wait();
        }
    }

    #[test]
    fn who_sleeps_is_idle_and_who_works_or_is_stopped_is_not() {
        let begin = Instant::now();
        let scripts = [
            "exec sleep 100",
            "while :; do :; done",
            "kill -STOP $$",
            "setsid bash -c 'while :; do :; done' & wait",
        ];
        let started = scripts.map(Started::new);
        let groups = started.each_ref().map(Started::group);
        let mut work = Work::default();
        work.look(groups.into_iter(), begin);
        assert!(!work.are_idle(&groups[..1]), "not known so soon");
        // As if that had been seen long ago.
        work.looks[0].at = begin - SPAN;
        let ready = || {
            let used = used(groups.into_iter());
            let [_, busy, stopped, escaped] = groups.map(|group| used[&group]);
            busy.ticks >= 10 && stopped.busy && escaped.ticks >= 10
        };
        while !ready() {
            assert!(begin.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(5));
        }
        let idle = groups.map(|group| work.are_idle(&[group]));
        assert_eq!(idle, [true, false, false, false]);
    }
}

//! Whether a task stands still: none of its processes will do anything until the server answers
//! one of them. Whatever is not known to be so counts as able to go on.

use crate::lock_holder::{Locks, holds_for};
use crate::process::children;
use crate::stat::Stat;
use crate::system_call::{Waits, waits_for};
use otto_core::run::{RunId, processes_by_task};
use std::collections::{HashMap, HashSet};
use std::fs;

/// Signals that a process has handlers for so that others may wake it: SIGUSR1, SIGUSR2, SIGALRM,
/// SIGVTALRM, SIGPROF, SIGIO.
const WAKING: u64 = bit(10) | bit(12) | bit(14) | bit(26) | bit(27) | bit(29);

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// A task's processes as they stood still.
#[derive(Debug)]
pub(crate) struct Still(Vec<Seen>);

/// A process that waits.
#[derive(Debug)]
struct Seen {
    id: u32,
    started: u64,
    ticks: u64,
    threads: Vec<Thread>,
}

/// A thread that waits: in which system call, and how often it has gone to sleep.
#[derive(Debug)]
struct Thread {
    id: u32,
    call: String,
    /// It looks up from time to time.
    sliced: bool,
    sleeps: u64,
}

impl Still {
    /// Whether nothing has happened since `earlier` that shows in what was seen.
    pub(crate) fn is_still_as(&self, earlier: &Still) -> bool {
        let pairs = self.0.iter().zip(&earlier.0);
        self.0.len() == earlier.0.len() && pairs.into_iter().all(|(now, then)| now.is_as(then))
    }
}

impl Seen {
    fn is_as(&self, then: &Seen) -> bool {
        let mut threads = self.threads.iter().zip(&then.threads);
        (self.id, self.started, self.ticks) == (then.id, then.started, then.ticks)
            && self.threads.len() == then.threads.len()
            && threads.all(|(now, then)| now.is_as(then))
    }
}

impl Thread {
    fn is_as(&self, then: &Thread) -> bool {
        // Our own clients ask every few milliseconds whether to go on waiting. One that sleeps
        // for longer than that, and not for ever, may go on by itself when its time is over.
        let slept =
            if self.sliced { self.sleeps > then.sleeps } else { self.sleeps == then.sleeps };
        (self.id, &self.call) == (then.id, &then.call) && slept
    }
}

/// The processes of each task, by what they were started with and by whom. `None` where one of the
/// run's may belong to any task.
pub(crate) fn members(run: RunId, names: &[String]) -> Option<HashMap<usize, Vec<u32>>> {
    let by_environment = processes_by_task(run).into_iter();
    let mut left: HashMap<u32, Option<String>> =
        by_environment.map(|(process, task)| (process.id, task)).collect();
    let place = |name: &Option<String>| {
        let name = name.as_deref()?;
        names.iter().position(|known| known == name)
    };
    let mut members: HashMap<usize, Vec<u32>> = HashMap::new();
    let mut open = vec![(std::process::id(), None)];
    while let Some((id, of_parent)) = open.pop() {
        for child in children(id) {
            if Stat::of(child).is_none_or(|stat| is_dead(stat.state)) {
                left.remove(&child);
                continue;
            }
            let task = left.remove(&child).and_then(|name| place(&name)).or(of_parent)?;
            members.entry(task).or_default().push(child);
            open.push((child, Some(task)));
        }
    }
    // Those that are no descendants of ours.
    for (id, name) in left {
        if Stat::of(id).is_some_and(|stat| !is_dead(stat.state)) {
            members.entry(place(&name)?).or_default().push(id);
        }
    }
    Some(members)
}

fn is_dead(state: char) -> bool {
    matches!(state, 'Z' | 'X')
}

/// What a task with these processes does, if that is nothing. `waits` counts the answers that
/// processes wait for.
pub(crate) fn still(members: &[u32], waits: &HashMap<u32, usize>, locks: &Locks) -> Option<Still> {
    let mut pipes = HashSet::new();
    let mut seen = Vec::with_capacity(members.len());
    for &id in members {
        let answers = waits.get(&id).copied().unwrap_or_default();
        let is_lock = answers == 0 && locks.has(id);
        seen.push(look(id, members, answers, is_lock, &mut pipes)?);
    }
    if !pipes.is_empty() && is_open_elsewhere(&pipes, members) {
        return None;
    }
    seen.sort_by_key(|seen| seen.id);
    Some(Still(seen))
}

/// `is_lock`: it is an `otto-lock`, which the server does not answer now.
fn look(
    id: u32,
    members: &[u32],
    mut answers: usize,
    is_lock: bool,
    pipes: &mut HashSet<String>,
) -> Option<Seen> {
    let stat = Stat::of(id)?;
    if stat.state != 'S' || is_woken(id) {
        return None;
    }
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten() {
        let path = entry.path();
        let thread: u32 = entry.file_name().to_str()?.parse().ok()?;
        let call = fs::read_to_string(path.join("syscall")).ok()?;
        let waits = waits_for(&call);
        let is_answer = match waits {
            Waits::Answer { .. } => true,
            Waits::Descriptor(descriptor) => {
                let open = fs::read_link(format!("/proc/{id}/fd/{descriptor}")).ok()?;
                let open = open.to_str()?.to_owned();
                let is_pipe = open.starts_with("pipe:");
                if !is_pipe && !open.starts_with("socket:") {
                    return None;
                }
                if is_pipe {
                    pipes.insert(open);
                }
                !is_pipe
            }
            Waits::Children => {
                let children = children(id);
                let is_over = |child| Stat::of(child).is_none_or(|stat| is_dead(stat.state));
                let ours = |child: &u32| members.contains(child);
                if !children.iter().any(ours)
                    || !children.iter().all(|child| ours(child) || is_over(*child))
                {
                    return None;
                }
                false
            }
            Waits::Thread => false,
            // The end of whom it holds the lock for, or of the server.
            Waits::OneOf(2) if is_lock && holds_for(id, members) => false,
            Waits::OneOf(_) | Waits::Other => return None,
        };
        let sliced = matches!(waits, Waits::Answer { sliced: true });
        // While its command runs the other threads of `otto-lock` look for signals to send on and
        // for the server's end. Neither has the task go on.
        let looks_on = is_lock && thread != id && !sliced;
        if is_answer && !looks_on {
            answers = answers.checked_sub(1)?;
        }
        threads.push(Thread {
            id: thread,
            sliced,
            sleeps: sleeps(&fs::read_to_string(path.join("status")).ok()?)?,
            call,
        });
    }
    threads.sort_by_key(|thread| thread.id);
    Some(Seen { id, started: stat.started, ticks: stat.ticks, threads })
}

/// Whether something is set up that would wake the process: a timer, or a signal it has a handler
/// for. Nobody tells of `alarm` in a process that has none.
fn is_woken(id: u32) -> bool {
    let told = |what: &str| fs::read_to_string(format!("/proc/{id}/{what}"));
    let Ok(status) = told("status") else { return true };
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_none_or(|caught| caught & WAKING != 0)
        || told("timers").map_or(true, |timers| !timers.is_empty())
}

/// How often a thread has gone to sleep or had to leave its processor.
fn sleeps(status: &str) -> Option<u64> {
    let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
    lines.map(|line| line.split_ascii_whitespace().last()?.parse::<u64>().ok()).sum()
}

/// Whether a process that is none of `members` has one of `pipes` open, and so could write to it.
fn is_open_elsewhere(pipes: &HashSet<String>, members: &[u32]) -> bool {
    let Ok(entries) = fs::read_dir("/proc") else { return true };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| !members.contains(id)).any(|id: u32| {
        let Ok(entries) = fs::read_dir(format!("/proc/{id}/fd")) else { return false };
        let mut open = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        open.any(|path| path.to_str().is_some_and(|path| pipes.contains(path)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    /// Ended, whatever becomes of the test.
    struct Started(Child);

    impl Drop for Started {
        fn drop(&mut self) {
            for child in children(self.0.id()) {
                let child = nix::unistd::Pid::from_raw(child.cast_signed());
                let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn start(script: &str) -> Started {
        let mut command = Command::new("bash");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null());
        Started(command.spawn().unwrap())
    }

    /// The process and its children, once there are as many and each sleeps in a system call.
    fn settled(started: &Started, children_wanted: usize) -> Vec<u32> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut members = vec![started.0.id()];
            members.extend(children(started.0.id()));
            let sleeps = |id: &u32| {
                let call = fs::read_to_string(format!("/proc/{id}/syscall")).unwrap_or_default();
                !matches!(call.split(' ').next(), None | Some("" | "-1" | "running\n" | "running"))
            };
            if members.len() > children_wanted && members.iter().all(sleeps) {
                return members;
            }
            assert!(Instant::now() < deadline, "{members:?} never rest");
            std::thread::yield_now();
        }
    }

    /// Whether they stand still in the end: a shell is on its way into its wait for a moment.
    fn stands(members: &[u32]) -> bool {
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            if still(members, &HashMap::new(), &Locks::default()).is_some() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    #[test]
    fn a_pipe_within_a_task_is_a_reason_to_stand_still_and_one_from_elsewhere_is_none() {
        // Both ends of the pipe that cat reads are with these two alone.
        let mut within = start("read -r; exec 3< <(read -r; echo); cat <&3; true");
        // cat reads what this test may write.
        let from_here = start("cat; true");
        within.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let from_here = settled(&from_here, 1);
        assert!(!stands(&from_here));
        // So does the child that would write into the other pipe.
        let members = settled(&within, 2);
        assert!(!stands(&members));
        // A wait for somebody who is not of the task is none for it.
        assert!(!stands(&members[..1]));
    }

    #[test]
    fn who_sleeps_with_a_limit_may_go_on() {
        let sleeping = start("sleep 1000; true");
        assert!(!stands(&settled(&sleeping, 1)));
    }

    /// One that reads a pipe of its own, for ever.
    #[test]
    fn two_looks_at_one_who_does_nothing_agree() {
        let started = start("exec python3 -c 'import os; os.read(os.pipe()[0], 1)'");
        let id = started.0.id();
        let deadline = Instant::now() + Duration::from_secs(30);
        let look = || still(&[id], &HashMap::new(), &Locks::default());
        // On its way to where it rests it may stand still for a moment.
        let first = loop {
            if let (Some(first), Some(second)) = (look(), look())
                && second.is_still_as(&first)
                && second.0[0].threads[0].call.starts_with("0 ")
            {
                break second;
            }
            assert!(Instant::now() < deadline, "it never stands still");
            std::thread::yield_now();
        };
        let id = nix::unistd::Pid::from_raw(id.cast_signed());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGSTOP).unwrap();
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGCONT).unwrap();
        let changed = || {
            let third = still(&[started.0.id()], &HashMap::new(), &Locks::default());
            third.is_some_and(|third| !third.is_still_as(&first))
        };
        while !changed() {
            assert!(Instant::now() < deadline, "it was stopped and woken in between");
            std::thread::yield_now();
        }
    }
}

//! Whether a task stands still: none of its processes will do anything until the server answers
//! one of them. Whatever is not known to be so counts as able to go on.

use crate::process::children;
use crate::stat::Stat;
use nix::libc;
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
pub(crate) fn still(members: &[u32], waits: &HashMap<u32, usize>) -> Option<Still> {
    let mut pipes = HashSet::new();
    let mut seen = Vec::with_capacity(members.len());
    for &id in members {
        let answers = waits.get(&id).copied().unwrap_or_default();
        seen.push(look(id, members, answers, &mut pipes)?);
    }
    if !pipes.is_empty() && is_open_elsewhere(&pipes, members) {
        return None;
    }
    seen.sort_by_key(|seen| seen.id);
    Some(Still(seen))
}

fn look(id: u32, members: &[u32], mut answers: usize, pipes: &mut HashSet<String>) -> Option<Seen> {
    let stat = Stat::of(id)?;
    if stat.state != 'S' || is_woken(id) {
        return None;
    }
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{id}/task")).ok()?.flatten() {
        let path = entry.path();
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
            Waits::Other => return None,
        };
        if is_answer {
            answers = answers.checked_sub(1)?;
        }
        threads.push(Thread {
            id: entry.file_name().to_str()?.parse().ok()?,
            sliced: matches!(waits, Waits::Answer { sliced: true }),
            sleeps: sleeps(&fs::read_to_string(path.join("status")).ok()?)?,
            call,
        });
    }
    threads.sort_by_key(|thread| thread.id);
    Some(Seen { id, started: stat.started, ticks: stat.ticks, threads })
}

/// What a thread waits for, by the system call it is in.
#[derive(Debug, PartialEq, Eq)]
enum Waits {
    /// What comes from a socket, if an answer is due to its process; with a limit of time, or
    /// without.
    Answer { sliced: bool },
    /// What is in one descriptor.
    Descriptor(u64),
    /// The end of a child.
    Children,
    /// Another thread of its process, without a limit.
    Thread,
    /// Anything else, or nothing.
    Other,
}

/// Reads `/proc/<id>/syscall`: the number of the call, then its arguments.
fn waits_for(line: &str) -> Waits {
    let mut words = line.split_ascii_whitespace();
    let Some(call) = words.next().and_then(|word| word.parse().ok()) else { return Waits::Other };
    let arguments: Vec<u64> =
        words.map_while(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()).collect();
    let argument = |place: usize| arguments.get(place).copied();
    #[cfg(target_arch = "x86_64")]
    if call == libc::SYS_poll && argument(1) == Some(1) {
        return Waits::Answer { sliced: argument(2).is_none_or(|limit| (limit as i32) >= 0) };
    }
    match call {
        libc::SYS_ppoll if argument(1) == Some(1) => {
            Waits::Answer { sliced: argument(2) != Some(0) }
        }
        libc::SYS_recvfrom | libc::SYS_recvmsg => Waits::Answer { sliced: false },
        libc::SYS_read => argument(0).map_or(Waits::Other, Waits::Descriptor),
        libc::SYS_wait4 | libc::SYS_waitid => Waits::Children,
        libc::SYS_futex if is_unlimited_wait(argument(1), argument(3)) => Waits::Thread,
        _ => Waits::Other,
    }
}

/// Whether a futex call waits, within its process, for as long as it takes.
fn is_unlimited_wait(operation: Option<u64>, timeout: Option<u64>) -> bool {
    let private = libc::FUTEX_PRIVATE_FLAG as u64;
    let waits = [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].map(|operation| operation as u64);
    operation
        .is_some_and(|operation| operation & private != 0 && waits.contains(&(operation & 0x7f)))
        && timeout == Some(0)
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

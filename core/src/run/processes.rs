//! The processes of a run, found by the environment they inherited.

use super::{RunId, variable};
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::{ClockId, clock_gettime};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};
use std::{fs, process, thread};

/// A live process, held by a descriptor: a signal never reaches a successor of its number.
#[derive(Debug)]
pub struct Process {
    /// Its process ID.
    pub id: u32,
    descriptor: OwnedFd,
}

impl Process {
    /// Holds the process `id`; `None` when there is none.
    #[must_use]
    pub fn hold(id: u32) -> Option<Process> {
        let pid = Pid::from_raw(i32::try_from(id).ok()?)?;
        Some(Process { id, descriptor: pidfd_open(pid, PidfdFlags::empty()).ok()? })
    }

    /// Sends any signal by its number; nothing happens when the process is gone, or there is no
    /// such signal.
    pub fn signal(&self, number: i32) {
        if let Some(signal) = Signal::from_named_raw(number) {
            let _ = pidfd_send_signal(&self.descriptor, signal);
        }
    }

    /// Ends the process (SIGKILL); nothing happens when it is gone already.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.descriptor, Signal::KILL);
    }
}

/// Every process but this one that runs in the environment of `run`, as far as this user may look:
/// root also finds those that a task started as somebody else.
///
/// ```
/// use otto_core::run::{RunId, processes_of};
/// assert!(processes_of(RunId(u64::MAX)).is_empty());
/// ```
#[must_use]
pub fn processes_of(run: RunId) -> Vec<Process> {
    processes_by_task(run).into_iter().map(|(process, _)| process).collect()
}

/// As [`processes_of`], each with the task that it was started in.
///
/// ```
/// use otto_core::run::{RunId, processes_by_task, variable};
/// let mut sleep = std::process::Command::new("sleep");
/// sleep.arg("60").env(variable::RUN_ID, "18446744073709551614").env(variable::TASK_NAME, "nap");
/// let mut child = sleep.spawn().unwrap();
/// let found = processes_by_task(RunId(u64::MAX - 1));
/// assert_eq!((found[0].0.id, found[0].1.as_deref()), (child.id(), Some("nap")));
/// child.kill().unwrap();
/// child.wait().unwrap();
/// ```
#[must_use]
pub fn processes_by_task(run: RunId) -> Vec<(Process, Option<String>)> {
    let wanted = format!("{}={run}", variable::RUN_ID);
    let named = format!("{}=", variable::TASK_NAME);
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| *id != process::id())
        .filter_map(|id: u32| {
            // Held before its environment is read, so that what was read is what is signalled.
            let process = Process::hold(id)?;
            let environment = environment_of(id)?;
            let mut entries = environment.split(|byte| *byte == 0);
            if !entries.any(|entry| entry == wanted.as_bytes()) {
                return None;
            }
            let mut entries = environment.split(|byte| *byte == 0);
            let task = entries.find_map(|entry| entry.strip_prefix(named.as_bytes()));
            Some((process, task.map(|task| String::from_utf8_lossy(task).into_owned())))
        })
        .collect()
}

/// The environment a process was started with; `None` for one of another user, or none at all.
///
/// A process that is becoming another program has none for a moment, or only a part of it can be
/// read: then it is looked at again.
fn environment_of(id: u32) -> Option<Vec<u8>> {
    for _ in 0..BECOMING_LOOKS {
        let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
        match environment_bytes(id)? {
            bytes if bytes > 0 && bytes == environment.len() => return Some(environment),
            _ => thread::sleep(BECOMING_PAUSE),
        }
    }
    None
}

/// Looks at a process that is becoming another program, and the time between two.
const BECOMING_LOOKS: u32 = 50;
const BECOMING_PAUSE: Duration = Duration::from_micros(100);

/// How large a process's environment is now, 0 while it is not there yet; `None` where there will
/// be none: an empty one, a kernel thread, a zombie.
fn environment_bytes(id: u32) -> Option<usize> {
    let stat = stat_of(id)?;
    let (size, start, end) = (field(&stat, 23)?, field(&stat, 50)?, field(&stat, 51)?);
    let is_empty = start > 0 && start == end;
    (size > 0 && !is_empty).then(|| end.saturating_sub(start))
}

/// Whether process `id` lives and did so at `moment`: one that started later bears its number by
/// chance.
pub(crate) fn was_running(id: u32, moment: SystemTime) -> bool {
    /// Start times are counted in ticks of 10 ms.
    const BLUR: Duration = Duration::from_millis(100);
    let Some(stat) = stat_of(id) else { return false };
    // A zombie has no memory any more.
    let (Some(1..), Some(ticks)) = (field(&stat, 23), field(&stat, 22)) else { return false };
    let started = Duration::from_millis(ticks as u64 * 1000 / clock_ticks_per_second());
    let up = clock_gettime(ClockId::Boottime);
    let up = Duration::new(up.tv_sec.unsigned_abs(), up.tv_nsec as u32);
    let age = SystemTime::now().duration_since(moment).unwrap_or_default();
    up.saturating_sub(started) + BLUR >= age
}

/// What `/proc/<id>/stat` says behind the program's name, which may hold anything.
fn stat_of(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

/// A number in what [`stat_of`] returned, by proc(5)'s count: the third field comes first.
fn field(stat: &str, number: usize) -> Option<usize> {
    stat.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

/// Kills every process of `run` and what they may have started meanwhile; gives up on those that
/// can't be ended after some time.
pub(super) fn sweep(run: RunId) {
    let deadline = Instant::now() + SWEEP_LIMIT;
    loop {
        let left = processes_of(run);
        left.iter().for_each(Process::kill);
        if left.is_empty() || Instant::now() >= deadline {
            return;
        }
        // What was killed needs a moment to go.
        thread::sleep(SWEEP_PAUSE);
    }
}

const SWEEP_LIMIT: Duration = Duration::from_secs(2);
const SWEEP_PAUSE: Duration = Duration::from_millis(2);

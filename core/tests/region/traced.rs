//! A role under ptrace, between two marks that it sets itself: by instruction or by system call.

use crate::roles::start;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

/// In the role: what follows is traced.
pub(crate) fn begin() {
    let traced = || {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    };
    while !traced() {
        thread::yield_now();
    }
    raise(Signal::SIGSTOP).unwrap();
}

/// In the role: what was traced is over.
pub(crate) fn end() {
    raise(Signal::SIGSTOP).unwrap();
}

/// A stopped role, killed on drop.
pub(crate) struct Traced {
    child: Child,
    thread: Pid,
}

impl Traced {
    /// Starts the role `name` and lets it run up to [`begin`].
    pub(crate) fn start(name: &str, place: &Path, count: u64) -> Traced {
        share_one_processor();
        let child = start(name, place, count);
        let thread = thread_of(&child, name);
        ptrace::seize(thread, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL).unwrap();
        let traced = Traced { child, thread };
        assert!(!traced.goes_on(), "no mark");
        traced
    }

    /// Executes one instruction, a whole system call at most; false at [`end`].
    pub(crate) fn step(&self) -> bool {
        ptrace::step(self.thread, None).unwrap();
        self.goes_on()
    }

    /// Goes to where the next system call begins and stops before it is done; false at [`end`].
    pub(crate) fn enter_call(&self) -> bool {
        ptrace::syscall(self.thread, None).unwrap();
        self.goes_on()
    }

    /// Executes the system call that [`Traced::enter_call`] stopped before.
    pub(crate) fn leave_call(&self) -> bool {
        self.enter_call()
    }

    /// The number of the system call that [`Traced::enter_call`] stopped before, and its arguments.
    pub(crate) fn call(&self) -> Option<(i64, Vec<u64>)> {
        let told = fs::read_to_string(format!("/proc/{}/syscall", self.thread)).ok()?;
        let mut words = told.split_whitespace();
        let number = words.next()?.parse().ok()?;
        let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        Some((number, words.filter_map(hex).collect()))
    }

    /// Waits for the next stop; false when it is a mark.
    fn goes_on(&self) -> bool {
        match waitpid(self.thread, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::Stopped(_, Signal::SIGTRAP) | WaitStatus::PtraceSyscall(_) => true,
            WaitStatus::Stopped(_, Signal::SIGSTOP) => false,
            other => panic!("the role did not stop: {other:?}"),
        }
    }
}

/// Keeps this thread, and what it starts from now on, where waking the other is a mere switch: on
/// two processors a step takes twenty times as long.
fn share_one_processor() {
    let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let first = (0..CpuSet::count()).find(|n| all.is_set(*n).unwrap()).unwrap();
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
}

/// The thread in which `child` runs its test `name`, once it does: it has that name. Never its first
/// one, which bears the name of ours until it becomes the test program.
fn thread_of(child: &Child, name: &str) -> Pid {
    let tasks = format!("/proc/{}/task", child.id());
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        for task in fs::read_dir(&tasks).unwrap().flatten() {
            let found = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            // The kernel keeps 15 bytes.
            let id = task.file_name().to_str().unwrap().parse().unwrap();
            let is_first = child.id().cast_signed() == id;
            if !is_first && name.starts_with(found.trim_end()) && !found.is_empty() {
                return Pid::from_raw(id);
            }
        }
        assert!(Instant::now() < deadline, "no thread {name}");
        thread::yield_now();
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // A thread under ptrace is gone only when its tracer knows.
        while let Ok(WaitStatus::Stopped(..) | WaitStatus::PtraceSyscall(_)) =
            waitpid(self.thread, Some(WaitPidFlag::__WALL))
        {}
        let _ = self.child.wait();
    }
}

//! Listening: to signals, outputs, other threads and the clock, all in one place.

use super::Engine;
use crate::process::{Exit, Stage};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use std::time::Instant;

/// Places in the list of what is polled.
const CHILDREN: usize = 0;
const ENDING: usize = 1;
const INBOX: usize = 2;

impl Engine<'_> {
    /// Waits until something happens, and takes note of it.
    pub(super) fn wait(&mut self) {
        let timeout = self.timeout();
        let [children, ending] = self.parts.signals.poll_fds();
        let inbox = PollFd::new(self.parts.inbox.fd(), PollFlags::POLLIN);
        let mut fds = vec![children, ending, inbox];
        let mut readable = Vec::new();
        for (place, live) in self.live.iter().enumerate() {
            for (channel, capture) in live.captures.iter().enumerate() {
                if let Some(fd) = capture.fd() {
                    fds.push(PollFd::new(fd, PollFlags::POLLIN));
                    readable.push((place, channel));
                }
            }
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                let message = format!("can't wait for tasks: {}", errno.desc());
                self.fail(1, message);
                return;
            }
        }
        let is_ready = |fd: &PollFd<'_>| fd.any() == Some(true);
        let ready = [CHILDREN, ENDING, INBOX].map(|place| is_ready(&fds[place]));
        let outputs = fds[INBOX + 1..].iter().zip(readable);
        let outputs: Vec<_> =
            outputs.filter(|(fd, _)| is_ready(fd)).map(|(_, place)| place).collect();
        for (place, channel) in outputs {
            self.read_output(place, channel);
        }
        if ready[INBOX] {
            self.take_inbox();
        }
        if ready[ENDING] {
            self.take_ending();
        }
        if ready[CHILDREN] {
            self.reap();
        }
        self.watch_the_clock();
    }

    pub(super) fn read_output(&mut self, place: usize, channel: usize) {
        let live = &mut self.live[place];
        let (task, capture) = (live.task, &mut live.captures[channel]);
        let display = &mut self.parts.display;
        let channel = capture.channel;
        capture.read(&mut self.buffer, |line| display.line(task, channel, line));
        if let Some(error) = capture.take_log_error() {
            let name = self.parts.config.tasks[task].name.as_str();
            display.say(&format!("{name}: its log ends here: {error}"));
        }
    }

    /// Takes note of all children that have ended: the tasks' first processes, and those that
    /// their descendants left to us.
    pub(super) fn reap(&mut self) {
        self.parts.signals.take_children();
        loop {
            let (pid, exit) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, Exit::Status(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Exit::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) => return,
                Ok(_) | Err(Errno::EINTR) => continue,
                // No children at all.
                Err(_) => return,
            };
            if let Some(live) =
                self.live.iter_mut().find(|live| live.group == pid && live.exit.is_none())
            {
                live.exit = Some(exit);
                live.stage = Stage::Patient(Some(Instant::now() + super::finish::PATIENCE));
            }
        }
    }

    /// How long nothing can happen by the clock.
    fn timeout(&self) -> PollTimeout {
        let now = Instant::now();
        let stages = self.live.iter().filter_map(|live| match live.stage {
            Stage::Patient(until) => until,
            Stage::Terminated(until) => Some(until),
            // Once that is over only events count, such as the last of a stream being kept.
            Stage::Killed(until) => (until > now).then_some(until),
        });
        let running = self.live.iter().filter(|live| live.exit.is_none() && !live.timed_out);
        let deadlines = running.filter_map(|live| live.deadline);
        let pressed = self.live.iter().filter_map(|live| live.press_at());
        let next = stages
            .chain(deadlines)
            .chain(pressed)
            .chain(self.parts.display.wakes_at())
            .chain(self.watches_at())
            .chain(self.looks_for_awaited_at())
            .chain(self.looks_for_circles_at())
            .min();
        let Some(next) = next else { return PollTimeout::NONE };
        let left = next.saturating_duration_since(now);
        // Rounded up, or the last millisecond would be spent asking.
        let left = left + std::time::Duration::from_micros(999);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }
}

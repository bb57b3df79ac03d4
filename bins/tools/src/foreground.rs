//! A command in this program's place at the terminal.

use crate::{Done, say};
use otto_core::run::Process;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

/// The signals that end a program, but for those its caller had it ignore, as nohup does.
#[must_use]
pub fn ending_signals() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT].into_iter();
    signals.filter(|signal| ignored >> (signal - 1) & 1 == 0).collect()
}

/// A command that was started, and is waited for.
#[derive(Debug)]
pub struct Foreground {
    child: Child,
}

impl Foreground {
    /// Starts `command` for `program`. The status where that can't be done, as the shell has it: 127
    /// not found, 126 found but not to be run; why has been said then.
    ///
    /// ```
    /// use otto_tools::Foreground;
    /// use std::process::Command;
    /// let command = Foreground::start("otto-lock", &mut Command::new("true")).unwrap();
    /// assert_eq!(command.wait().unwrap(), 0);
    /// assert_eq!(Foreground::start("otto-lock", &mut Command::new("/no")).unwrap_err(), 127);
    /// ```
    ///
    /// # Errors
    /// That status.
    pub fn start(program: &str, command: &mut Command) -> Result<Foreground, u8> {
        match command.spawn() {
            Ok(child) => Ok(Foreground { child }),
            Err(error) => {
                say(&format!("{program}: can't run {}: {error}", command.get_program().display()));
                Err(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
            }
        }
    }

    /// What to send it signals by; `None` where it has ended already.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        Process::hold(self.child.id())
    }

    /// Waits for its end and returns its exit status, 128 + N for signal N.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn wait(mut self) -> Done {
        Ok(passed_on(self.child.wait()?))
    }
}

/// Whether a signal that came here has to be sent on: the terminal sends these two to the command
/// as well.
#[must_use]
pub fn is_sent_on(signal: i32) -> bool {
    signal != SIGINT && signal != SIGQUIT
}

/// The exit status that stands for how a command ended.
#[must_use]
pub fn passed_on(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

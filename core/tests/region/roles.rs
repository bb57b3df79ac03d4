//! Other processes for tests: this test program once more, as one of its `role_...` tests.
//!
//! A role is a test that does nothing unless it is started by [`Role::start`]. Its parameters are
//! environment variables; what it reports outlives its death in a file of one number.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use std::env;
use std::fmt::Arguments;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const ROLE: &str = "OTTO_TEST_ROLE";
const PLACE: &str = "OTTO_TEST_PLACE";
const COUNT: &str = "OTTO_TEST_COUNT";

/// `full` in a soak run (`OTTO_SOAK=1`), `short` otherwise.
pub(crate) fn scaled(short: u64, full: u64) -> u64 {
    if env::var_os("OTTO_SOAK").is_some_and(|value| value == "1") { full } else { short }
}

/// Shows what was measured when the test fails, and at the end of a soak run
/// (`OTTO_FIGURES`, a file) also when it passes.
pub(crate) fn figures(what: Arguments<'_>) {
    eprintln!("figures: {what}");
    if let Some(path) = env::var_os("OTTO_FIGURES") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        // In one write: others append, too.
        file.write_all(format!("{what}\n").as_bytes()).unwrap();
    }
}

/// The command that runs the role `name` of this test program at `place`.
pub(crate) fn command(name: &str, place: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ROLE, name).env(PLACE, place).stdout(Stdio::null());
    command
}

/// Starts the role `name`; `count` is its to interpret.
pub(crate) fn start(name: &str, place: &Path, count: u64) -> Child {
    command(name, place).env(COUNT, count.to_string()).spawn().unwrap()
}

/// As [`start`], of a role that may well fail: without its complaints.
pub(crate) fn start_silently(name: &str, place: &Path, count: u64) -> Child {
    let mut command = command(name, place);
    command.env(COUNT, count.to_string()).stderr(Stdio::null()).spawn().unwrap()
}

/// Within a role: its place and count. `None` in an ordinary test run.
pub(crate) fn assigned(name: &str) -> Option<(PathBuf, u64)> {
    if env::var(ROLE).ok()? != name {
        return None;
    }
    // A test that fails leaves no role running.
    set_pdeathsig(Signal::SIGKILL).unwrap();
    let count = env::var(COUNT).ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    Some((env::var_os(PLACE)?.into(), count))
}

/// A number that one process sets and another reads, whoever is killed.
pub(crate) struct Report(File);

impl Report {
    pub(crate) fn at(path: &Path) -> Report {
        let mut options = OpenOptions::new();
        Report(options.read(true).write(true).create(true).truncate(false).open(path).unwrap())
    }

    pub(crate) fn set(&self, number: u64) {
        self.0.write_all_at(&number.to_le_bytes(), 0).unwrap();
    }

    /// The number last set, 0 before that.
    pub(crate) fn get(&self) -> u64 {
        let mut bytes = [0; 8];
        let size = self.0.read_at(&mut bytes, 0).unwrap();
        if size == 8 { u64::from_le_bytes(bytes) } else { 0 }
    }

    /// Waits until the number is above `floor`; panics after a minute.
    pub(crate) fn wait_above(&self, floor: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.get() <= floor {
            assert!(Instant::now() < deadline, "the other process makes no progress");
            thread::yield_now();
        }
    }

    /// As [`Report::wait_above`]; false when `child`, whose report it is, has ended before that.
    pub(crate) fn rises_above(&self, floor: u64, child: &mut Child) -> bool {
        while child.try_wait().unwrap().is_none() {
            if self.get() > floor {
                return true;
            }
            thread::yield_now();
        }
        false
    }
}

/// Kills `child` (SIGKILL) after `wait` and takes its status.
pub(crate) fn kill_after(mut child: Child, wait: Duration) {
    spin(wait);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Lets so much time pass, exactly.
pub(crate) fn spin(wait: Duration) {
    let start = Instant::now();
    while start.elapsed() < wait {
        std::hint::spin_loop();
    }
}

/// A cheap sequence of numbers, the same in each run of a test.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// An object that shows whether it is whole: `n`, and padding that follows from `n`.
pub(crate) fn checked_object(n: u64) -> String {
    let (filler, size) = padding(n);
    format!(r#"{{"n":{n},"pad":"{}"}}"#, filler.repeat(size))
}

fn padding(n: u64) -> (&'static str, usize) {
    let at = (n % 26) as usize;
    (&"abcdefghijklmnopqrstuvwxyz"[at..=at], (n * 7919 % 150_000) as usize)
}

/// The `n` of a [`checked_object`]; `None` when it is not whole.
pub(crate) fn number_of(json: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(json).ok()?.trim_end();
    let digits = text.strip_prefix(r#"{"n":"#)?.split_once(',')?.0;
    let n = digits.parse().ok()?;
    (text == checked_object(n)).then_some(n)
}

/// Runs `script` as root of a user namespace of its own, where file systems can be mounted: `$1` is
/// `place`, `$2` and on the command of the role `role`, which it should `exec`. False, with a
/// printed reason, where the system does not let us.
pub(crate) fn in_namespace(script: &str, role: &str, place: &Path) -> bool {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
        command.arg(place);
        command
    };
    let probe = unshare("mount -t tmpfs none /mnt").stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this system allows no mounts in a user namespace (unshare)");
        return false;
    }
    let role = command(role, place);
    let mut command = unshare(script);
    command.arg(role.get_program()).args(role.get_args());
    // Who is root in there does not own root's folders, so the run's goes here.
    fs::set_permissions(place, fs::Permissions::from_mode(0o700)).unwrap();
    command.stdout(Stdio::null()).env("XDG_RUNTIME_DIR", place);
    command.envs(role.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(command.status().unwrap().success(), "the role failed");
    true
}

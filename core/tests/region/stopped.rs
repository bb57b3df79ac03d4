//! A writer that is stopped in the middle, lock in hand.

use crate::killed::{await_commit, counted_object, counts_of};
use crate::roles::{Random, Report, figures, scaled, spin, start};
use crate::{own_run, task};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use otto_core::ErrorKind;
use otto_core::region::{Document, SIZE_DEFAULT};
use otto_core::run::RunId;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Child;
use std::time::{Duration, Instant};

/// Stops `writer` and waits until it has stopped.
fn stop(writer: &Child) -> Pid {
    let pid = Pid::from_raw(writer.id() as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    let status = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(status, WaitStatus::Stopped(pid, Signal::SIGSTOP));
    pid
}

fn is_locked(control: &File) -> bool {
    match Flock::lock(control.try_clone().unwrap(), FlockArg::LockExclusiveNonblock) {
        Err(_) => true,
        Ok(held) => held.unlock().is_err(),
    }
}

#[test]
fn a_stopped_writer_holds_up_no_reader() {
    let own = own_run();
    let run = own.run.id();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = folder.path().join("0");
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    document.write(counted_object(&[0]).as_bytes()).unwrap();
    let control = File::open(run.control_path(&task("t"))).unwrap();
    let mut writer = start("killed::role_writer", &place, run.0);
    let mut random = Random(0x57);
    let (mut midway, mut times) = (0, Vec::new());
    let mut last = 0;
    for turn in 0..scaled(20, 400) {
        let before = Report::at(&place).get();
        Report::at(&place).wait_above(before);
        if turn % 2 == 0 {
            await_commit(&control, writer.id());
        } else {
            spin(Duration::from_micros(random.below(1000)));
        }
        let pid = stop(&writer);
        let mut sequence = [0; 8];
        control.read_exact_at(&mut sequence, 0x40).unwrap();
        midway += sequence[0] % 2;
        let mut others = Document::open(run, &task("t")).unwrap();
        for _ in 0..20 {
            let start = Instant::now();
            let json = others.snapshot().unwrap();
            times.push(start.elapsed());
            let n = counts_of(json).expect("a torn document")[0];
            assert!(n >= last, "{n} after {last}");
            last = n;
        }
        kill(pid, Signal::SIGCONT).unwrap();
    }
    times.sort_unstable();
    let (half, worst) = (times[times.len() / 2], times[times.len() - 1]);
    figures(format_args!(
        "stopped-writer: {} reads, {midway} stops between commit and end; a read takes {half:?}, at \
         most {worst:?}",
        times.len()
    ));
    assert!(half <= Duration::from_millis(1), "a read takes {half:?}");

    writer.kill().unwrap();
    writer.wait().unwrap();
}

#[test]
fn a_writer_stopped_with_the_lock_is_named_to_the_others() {
    // A run of nobody's, so that the other tests need not wait for this long one.
    let run = RunId((1 << 40) + u64::from(std::process::id()));
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let place = folder.path().join("0");
    let mut document = Document::create(run, &task("t"), SIZE_DEFAULT).unwrap();
    document.write(counted_object(&[0]).as_bytes()).unwrap();
    let control = File::open(run.control_path(&task("t"))).unwrap();
    let mut writer = start("killed::role_writer", &place, run.0);
    Report::at(&place).wait_above(0);
    let mut random = Random(0x57);
    loop {
        let pid = stop(&writer);
        if is_locked(&control) {
            break;
        }
        kill(pid, Signal::SIGCONT).unwrap();
        spin(Duration::from_micros(random.below(1000)));
    }
    let error = document.write(b"2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(error.to_string().contains(&format!("process {}", writer.id())), "{error}");
    counts_of(document.snapshot().unwrap()).expect("a torn document");
    writer.kill().unwrap();
    writer.wait().unwrap();
    document.write(b"3").unwrap();
    Document::remove(run, &task("t")).unwrap();
}

//! Locks: in turn, as long as the connection that holds them, whatever ends it.

use crate::wire::{DEADLINE, Serving, frame, keyed, until};
use otto_core::socket::Client;
use otto_core::{Error, ErrorKind, Key, Pattern};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn key(name: &str) -> Key {
    Key::parse(name).unwrap()
}

fn client(serving: &Serving) -> Client {
    Client::connect(serving.path()).unwrap()
}

/// A process that asks for a lock and then sleeps; it belongs to the task `build`.
fn process(path: &Path, line: &str) -> Child {
    let program = "import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                   s.sendall(sys.argv[2].encode()+b'\\n')\ns.recv(99)\ntime.sleep(600)";
    Command::new("python3")
        .args(["-c", program])
        .arg(path)
        .arg(line)
        .env("OTTO_TASK_NAME", "build")
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn holders(serving: &Serving, name: &str) -> serde_json::Value {
    let locks = client(serving).locks(&Pattern::parse(name).unwrap()).unwrap();
    let locks: serde_json::Value = serde_json::from_str(locks.as_str()).unwrap();
    locks[0].clone()
}

#[test]
fn a_killed_holder_gives_its_place_to_who_waited_longest() {
    let serving = Serving::start();
    let mut holder = process(serving.path(), "LOCK db");
    until("it has the lock", || holders(&serving, "db")["holders"][0]["pid"] == holder.id());
    assert_eq!(holders(&serving, "db")["holders"][0]["task"], "build");
    let mut dies = process(serving.path(), "LOCK db");
    serving.until("waiting", 1);
    let (mut gives_up, mut second, mut third) = (serving.wire(), serving.wire(), serving.wire());
    gives_up.send("LOCK db\n");
    serving.until("waiting", 2);
    second.send(frame(0x12, &keyed("db", &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff])));
    serving.until("waiting", 3);
    third.send("LOCK db 1 60\n");
    serving.until("waiting", 4);
    // Waiters that go are passed over.
    dies.kill().unwrap();
    dies.wait().unwrap();
    drop(gives_up);
    serving.until("waiting", 2);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let (status, token) = second.frame();
    assert_eq!(status, 0);
    serving.until("waiting", 1);
    drop(second);
    let later: u64 = third.line().parse().unwrap();
    assert!(later > String::from_utf8(token).unwrap().parse().unwrap());
    assert_eq!(third.ask("UNLOCK db"), "OK");
    assert_eq!(third.ask("LOCKS"), "[]");
}

/// Many threads, some of which go without a word while they hold or wait: never two at a time, and
/// each holder's number is above the last one's.
#[test]
fn one_at_a_time_and_numbers_grow() {
    let serving = Serving::start();
    let (inside, last, held) = (AtomicU32::new(0), AtomicU64::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for thread in 0..16u64 {
            let (serving, inside, last, held) = (&serving, &inside, &last, &held);
            scope.spawn(move || {
                let mut own = client(serving);
                for round in 0..50 {
                    let choice = (thread * 50 + round) % 7;
                    // Some look for a moment only, or go while they wait.
                    let deadline = (choice == 1).then(Instant::now);
                    let mut ticks = 0;
                    let mut tick = || {
                        ticks += 1;
                        match choice == 2 && ticks > 1 {
                            true => Err(Error::new(ErrorKind::Interrupted, "enough")),
                            false => Ok(()),
                        }
                    };
                    let Ok(token) = own.lock(&key("db"), 1, deadline, &mut tick) else { continue };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at a time");
                    assert!(last.swap(token, Ordering::SeqCst) < token, "{token} came late");
                    held.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    match choice {
                        3 | 4 => own = client(serving),
                        _ => own.unlock(&key("db")).unwrap(),
                    }
                }
            });
        }
    });
    assert!(held.into_inner() > 400);
    until("nobody has it", || client(&serving).locks(&Pattern::all()).unwrap().as_str() == "[]");
}

#[test]
fn slots_are_for_so_many() {
    let serving = Serving::start();
    let (inside, most) = (Mutex::new(0), Mutex::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut own = client(&serving);
                for _ in 0..50 {
                    own.lock(&key("gpu"), 3, None, &mut || Ok(())).unwrap();
                    let now = {
                        let mut inside = inside.lock().unwrap();
                        *inside += 1;
                        *inside
                    };
                    let mut most = most.lock().unwrap();
                    *most = now.max(*most);
                    drop(most);
                    *inside.lock().unwrap() -= 1;
                    own.unlock(&key("gpu")).unwrap();
                }
            });
        }
    });
    let most = most.into_inner().unwrap();
    assert!((1..=3).contains(&most), "{most}");
}

#[test]
fn what_is_wrong_with_a_lock_is_said() {
    let serving = Serving::start();
    let (mut first, mut second) = (client(&serving), client(&serving));
    let soon = || Some(Instant::now() + Duration::from_millis(20));
    first.lock(&key("db"), 1, None, &mut || Ok(())).unwrap();
    for (slots, who, says) in [
        (1, &mut first, "db: this connection holds the lock already"),
        (2, &mut second, "db: its holders have it with 1 slots, not 2"),
    ] {
        let error = who.lock(&key("db"), slots, soon(), &mut || Ok(())).unwrap_err();
        assert_eq!(error.to_string(), says);
    }
    let error = second.lock(&key("db"), 1, soon(), &mut || Ok(())).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::TimedOut, "timeout: db".into()));
    let error = second.unlock(&key("db")).unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, "not found: db".into()));
    second.ping().unwrap();
}

/// Requests behind a LOCK wait for it; a client that has sent all gets its replies, and the lock
/// goes with it.
#[test]
fn a_lock_holds_up_its_own_connection_alone() {
    let serving = Serving::start();
    let (mut holder, mut other) = (serving.wire(), serving.wire());
    assert_eq!(holder.ask("LOCK db"), "1");
    other.send("SET a 1\nLOCK db\nSET b 2\nGET b");
    other.end();
    assert_eq!(other.line(), "OK");
    serving.until("waiting", 1);
    assert_eq!(holder.ask("GET b"), "null");
    assert_eq!(holder.ask("UNLOCK db"), "OK");
    assert_eq!(other.rest(), b"3\nOK\n2\n");
    until("it is free again", || holder.ask("LOCKS") == "[]");
}

/// Whoever gives up a wait must not be given the lock later, while it does something else.
#[test]
fn a_wait_that_was_given_up_is_over() {
    let serving = Serving::start();
    let (mut holder, mut other) = (client(&serving), client(&serving));
    let mut stop = || Err(Error::new(ErrorKind::Interrupted, "enough"));
    holder.lock(&key("db"), 1, None, &mut || Ok(())).unwrap();
    let error = other.lock(&key("db"), 1, None, &mut stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    serving.until("waiting", 0);
    let error = other.barrier(&key("all"), 2, None, &mut stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    serving.until("waiting", 0);
    other.ping().unwrap();
    // Who holds another lock keeps it until it asks again, and hears that it is gone.
    other.lock(&key("own"), 1, None, &mut || Ok(())).unwrap();
    other.lock(&key("db"), 1, None, &mut stop).unwrap_err();
    serving.until("waiting", 1);
    assert_eq!(holders(&serving, "own")["name"], "own");
    let error = other.ping().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("lost with the connection they were held on: own"));
    serving.until("waiting", 0);
    assert!(holders(&serving, "own").is_null());
    other.ping().unwrap();
}

/// A lock is the connection's, not the process's that asked: whoever has inherited it holds it.
#[test]
fn an_inherited_connection_holds_on() {
    let serving = Serving::start();
    let mut first = client(&serving);
    first.lock(&key("db"), 1, None, &mut || Ok(())).unwrap();
    let inherited = first.as_fd().try_clone_to_owned().unwrap();
    drop(first);
    let soon = Some(Instant::now() + Duration::from_millis(50));
    let error = client(&serving).lock(&key("db"), 1, soon, &mut || Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(inherited);
    let later = Some(Instant::now() + DEADLINE);
    client(&serving).lock(&key("db"), 1, later, &mut || Ok(())).unwrap();
}

#[test]
fn a_stopped_server_is_given_up_after_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let host = crate::hosts::Host::start(&path, "");
    assert_eq!(host.said, "serves");
    let mut own = Client::connect(&path).unwrap();
    own.ping().unwrap();
    let stop = |signal| {
        let pid = nix::unistd::Pid::from_raw(host.pid() as i32);
        nix::sys::signal::kill(pid, signal).unwrap();
    };
    stop(nix::sys::signal::Signal::SIGSTOP);
    until("every thread of it has stopped", || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", host.pid())).unwrap();
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap();
            stat.rsplit(')').next().unwrap().starts_with(" T")
        })
    });
    let soon = Some(Instant::now() + Duration::from_millis(50));
    let error = own.lock(&key("db"), 1, soon, &mut || Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    stop(nix::sys::signal::Signal::SIGCONT);
    let mut other = Client::connect(&path).unwrap();
    let later = Some(Instant::now() + DEADLINE);
    // What was granted to nobody is free.
    other.lock(&key("db"), 1, later, &mut || Ok(())).unwrap();
    host.kill();
}

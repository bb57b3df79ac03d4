//! The socket's place: its path, its mode, its lock, and what is found there already.

use crate::hosts::Host;
use crate::wire::{Wire, until};
use otto_core::socket::{Client, Options, Server};
use otto_core::{Condition, Json, Key, Values};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_server_leaves_its_folder_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let running = Server::bind(&path, Options::default()).unwrap().spawn();
    assert_eq!(names(folder.path()), ["s", "s.lock"]);
    running.stop().unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
    // Bound and never run, too.
    drop(Server::bind(&path, Options::default()).unwrap());
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_second_server_is_refused_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let running = Server::bind(&path, Options::default()).unwrap().spawn();
    let error = Server::bind(&path, Options::default()).err().unwrap().to_string();
    assert!(error.contains("running at") && error.contains("another path"), "{error}");
    let said = Host::start(&path, "").ended();
    assert!(said.starts_with("refused: a server is running"), "{said}");
    assert_eq!(Wire::connect(&path).ask("PING"), "OK");
    running.stop().unwrap();
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, make) in [
        ("file", (|path: &Path| fs::write(path, "precious").unwrap()) as fn(&Path)),
        ("folder", |path| fs::create_dir(path).unwrap()),
        ("link", |path| std::os::unix::fs::symlink("file", path).unwrap()),
    ] {
        let path = folder.path().join(name);
        make(&path);
        let error = Server::bind(&path, Options::default()).err().unwrap().to_string();
        assert!(error.contains("is no socket"), "{error}");
    }
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"precious");
    let error = Server::bind(&folder.path().join("none/s"), Options::default()).err().unwrap();
    assert!(error.to_string().contains("none/s"), "{error}");
}

/// Killed again and again, while clients connect: the next server is there at once, and alone.
#[test]
fn a_killed_server_blocks_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    for _ in 0..20 {
        let host = Host::start(&path, "");
        assert_eq!(host.said, "serves");
        let mut wire = Wire::connect(&path);
        assert_eq!(wire.ask("SET a 1"), "OK");
        host.kill();
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket(), "left behind");
        assert!(UnixStream::connect(&path).is_err());
    }
    let running = Server::bind(&path, Options::default()).unwrap().spawn();
    assert_eq!(Wire::connect(&path).ask("GET a"), "null");
    running.stop().unwrap();
    assert!(names(folder.path()).iter().all(|name| name.ends_with(".new")), "at most its own");
}

/// Starts and ends at one path by many threads: never two at a time, never none without a reason.
#[test]
fn starts_and_ends_at_one_path_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let holder = std::sync::Mutex::new(());
    let barrier = Barrier::new(8);
    let deadline = Instant::now() + Duration::from_secs(120);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                let mut served = 0;
                while served < 10 {
                    assert!(Instant::now() < deadline, "served {served} times");
                    match Server::bind(&path, Options::default()) {
                        Ok(server) => {
                            let alone = holder.try_lock().expect("two servers at one path");
                            let running = server.spawn();
                            assert_eq!(Wire::connect(&path).ask("PING"), "OK");
                            drop(alone);
                            running.stop().unwrap();
                            served += 1;
                        }
                        Err(error) => {
                            assert!(error.to_string().contains("running at"), "{error}");
                            thread::yield_now();
                        }
                    }
                }
            });
        }
    });
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn the_mode_is_0600_under_any_umask() {
    let folder = tempfile::tempdir().unwrap();
    for umask in ["0", "022", "0777"] {
        let path = folder.path().join(umask);
        let host = Host::start(&path, &format!("umask {umask}"));
        assert_eq!(host.said, "serves");
        for name in [umask.to_owned(), format!("{umask}.lock")] {
            let mode = fs::metadata(folder.path().join(&name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{name}");
        }
    }
}

/// Whoever gets past the mode, as by a descriptor passed on, is still another user.
#[test]
fn another_user_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("s");
    let running = Server::bind(&path, Options::default()).unwrap().spawn();
    let client = |path: &Path| {
        let program = "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n\
                       s.sendall(b'SET a 1\\n')\nprint(s.recv(99).decode(), end='')";
        let ran = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["python3", "-c", program])
            .arg(path)
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned()
    };
    let said = client(&path);
    assert!(said.contains("PermissionError"), "{said}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let said = client(&path);
    let refusal = "ERROR: this server belongs to another user\n";
    assert!(said == refusal || said.contains("BrokenPipe"), "{said}");
    assert_eq!(Wire::connect(&path).ask("GET a"), "null");
    running.stop().unwrap();
}

#[test]
fn paths_of_any_length_serve() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("d".repeat(100)).join("e".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let to = |bytes: usize| {
        let start = folder.path().join("x").as_os_str().len();
        folder.path().join("x".repeat(bytes - start + 1))
    };
    for path in [to(106), to(107), to(108), to(109), to(200), deep.join("s")] {
        let running = Server::bind(&path, Options::default()).unwrap().spawn();
        let mut client = Client::connect(&path).unwrap();
        let key = Key::parse("a").unwrap();
        client.set(&key, &Json::number(1), Condition::Always).unwrap();
        assert_eq!(client.get(&key).unwrap(), Some(Json::number(1)));
        running.stop().unwrap();
        assert!(!path.exists());
    }
}

/// Out of descriptors: whoever is connected is served, the rest waits without cost, and when there
/// are descriptors again it is served too.
#[test]
fn running_out_of_descriptors_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let host = Host::start(&path, "ulimit -n 40");
    assert_eq!(host.said, "serves");
    let mut first = Wire::connect(&path);
    assert_eq!(first.ask("PING"), "OK");
    let mut wires: Vec<Wire> = (0..100).map(|_| Wire::connect(&path)).collect();
    let served = wires.iter_mut().take(20).map(|wire| wire.ask("PING")).count();
    assert_eq!((served, first.ask("PING")), (20, "OK".into()));
    // A stretch of time is what this is about: processor time of two seconds without descriptors.
    let (before, start) = (host.ticks(), Instant::now());
    let mut asked = 0;
    while start.elapsed() < Duration::from_secs(2) {
        thread::sleep(Duration::from_millis(100));
        assert_eq!(first.ask("PING"), "OK");
        asked += 1;
    }
    let spent = host.ticks() - before;
    assert!(asked > 5 && spent < 20, "{spent} of 200 ticks were spent on nothing");
    let last = wires.split_off(80);
    drop(wires);
    for mut wire in last {
        assert_eq!(wire.ask("PING"), "OK");
    }
    until("they are forgotten", || first.ask("STATS").contains("\"clients\":1,"));
}

//! Servers that are killed and started again at one path, and who may connect to them.

use nix::sys::signal::Signal;
use otto_e2e::talk::Talk;
use otto_e2e::{ORDINARY_USER, Place, Running, figures, root, times};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn start(place: &Place, socket: &Path) -> Running {
    place.job("otto-serve").arg("--socket").arg(socket).interactive().start()
}

/// Killed again and again while clients connect, two started at once each time: one serves, the
/// other says why not, and nobody has to tidy up.
#[test]
fn killed_servers_block_no_start_and_never_two_serve() {
    let place = Place::new();
    let socket = place.path().join("s");
    let (over, met) = (AtomicBool::new(false), AtomicU32::new(0));
    let rounds = times(500);
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // Nobody may be there just now; who is there answers, or is killed meanwhile.
                    if let Ok(stream) = UnixStream::connect(&socket) {
                        let mut talk = Talk::over(stream);
                        talk.send("INCR met\n");
                        let said = talk.rest_of_line();
                        let answered = said.is_empty() || said.parse::<u32>().is_ok();
                        assert!(answered, "{said:?}");
                        met.fetch_add(u32::from(!said.is_empty()), Ordering::Relaxed);
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
        // However this ends, the clients end with it.
        let _end = Ends(&over);
        for round in 0..rounds {
            let begin = Instant::now();
            let mut both = [start(&place, &socket), start(&place, &socket)];
            // Who serves prints how to reach it; who does not ends.
            let lines = both.each_mut().map(Running::line_or_end);
            slowest = slowest.max(begin.elapsed());
            let serving = lines.iter().filter(|line| line.is_some()).count();
            assert_eq!(serving, 1, "round {round}: {lines:?}");
            let mut talk = Talk::new(&socket.to_string_lossy());
            assert_eq!(talk.ask("PING"), "OK", "round {round}");
            assert_eq!(talk.ask("GET secret"), "null", "round {round}: an older server's store");
            assert_eq!(talk.ask("SET secret 1"), "OK");
            for (server, line) in both.into_iter().zip(lines) {
                if line.is_some() {
                    server.signal(Signal::SIGKILL);
                    let _ = server.finish().with_status(128 + 9);
                } else {
                    let why = server.finish().refused(1);
                    assert!(why.contains("running at") && why.contains("another path"), "{why}");
                }
            }
            assert_eq!(talk.line(), "", "round {round}: somebody else serves");
        }
    });
    figures(format_args!(
        "stale-socket: {rounds} kills, {} clients answered meanwhile, slowest start {slowest:?}",
        met.load(Ordering::Relaxed)
    ));
    assert!(met.load(Ordering::Relaxed) > 0, "no client ever met a server");
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whatever the umask, the socket is for its user, who can use it, and for nobody else.
#[test]
fn the_socket_is_for_its_user_alone_under_any_umask() {
    let place = Place::ordinary();
    for umask in ["0", "022", "0777"] {
        let script = "stat -Lc %a \"$OTTO_SOCKET\" \"$OTTO_RUN_DIR\"; \
                      otto-set --global k v; otto-get k; echo; read -r line";
        let mut server = place
            .bash(&format!("umask {umask}; exec otto-serve -- bash -euc '{script}'"))
            .interactive()
            .start();
        let said = [server.line(), server.line(), server.line()];
        assert_eq!(said, ["600", "700", "v"], "umask {umask}");
        server.send("go\n");
        let _ = server.finish().ok();
    }
}

/// Another user who gets past the modes is told who may.
#[test]
fn another_user_is_refused() {
    if !root() {
        eprintln!("left out: needs two users");
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("ours");
    let socket = place.path().join("s");
    let mut server = start(&place, &socket);
    let _ = server.line();
    let user = ORDINARY_USER.to_string();
    let client = || {
        place
            .job("setpriv")
            .args(["--reuid", &user, "--regid", &user, "--clear-groups"])
            .args(["nc", "-U", "-N"])
            .arg(&socket)
            .input("SET k 1\n")
            .run()
    };
    let refused = client();
    assert!(refused.status != 0 && refused.stderr.contains("denied"), "{refused:?}");
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("ours");
    let said = client().stdout;
    assert!(said.is_empty() || said == "ERROR: this server belongs to another user\n", "{said}");
    assert_eq!(Talk::new(&socket.to_string_lossy()).ask("GET k"), "null");
    server.signal(Signal::SIGTERM);
    let _ = server.finish();
}

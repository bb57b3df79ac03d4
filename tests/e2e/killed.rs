//! Processes that die in the middle: the others go on, and hear of it in one line.

use nix::sys::signal::Signal;
use otto_e2e::{Place, Server, times, wait_for};
use std::fs;

#[test]
fn a_dead_server_is_one_clear_line() {
    let place = Place::new();
    for client in [
        "otto-get --wait k",
        "otto-subscribe 'k*'",
        "python3 -c 'import otto, sys\ntry: otto.wait(\"k\")\n\
         except otto.OttoError as error: sys.exit(f\"python3: {error}\")'",
    ] {
        let server = Server::start(&place);
        let waiting = server.client(&format!("exec {client}")).start();
        let connected = format!("/proc/{}/fd", waiting.pid());
        wait_for("the client is connected", || {
            let mut files = fs::read_dir(&connected).ok()?.flatten();
            files.find(|file| {
                fs::read_link(file.path())
                    .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
            })
        });
        server.signal(Signal::SIGKILL);
        let _ = server.finish();
        let line = waiting.finish().refused(1);
        let program = client.split(' ').next().unwrap_or_default();
        assert!(line.starts_with(&format!("{program}: ")), "{line}");
    }
}

#[test]
fn a_server_that_is_gone_is_one_clear_line() {
    let place = Place::new();
    let server = Server::start(&place);
    server.signal(Signal::SIGKILL);
    let exports = server.exports().to_owned();
    let _ = server.finish();
    for command in ["otto-set k v", "otto-get k", "otto-list", "otto-incr k", "otto-delete k"] {
        let line = place.bash(&format!("{exports}\nexec {command}")).run().refused(1);
        assert!(line.contains("otto-serve") || line.contains(".sock"), "{command}: {line}");
    }
}

/// Helpers and SDK processes killed at any moment: no update of anybody else is lost or torn.
#[test]
fn killed_writers_leave_the_others_working() {
    let place = Place::new();
    let rounds = times(1000);
    for via in ["socket", "files", "mmap"] {
        let script = format!(
            "export OTTO_VIA={via} OTTO_TASK_DIR=$PWD/{via}; mkdir {via}
             $PAIRS/increment.sh t.mine {rounds} & mine=$!
             big=$(head -c 50000 /dev/zero | tr '\\0' x); i=0
             while kill -0 $mine 2>/dev/null; do
               i=$((i + 1))
               case $((i % 3)) in
                 0) otto-set t.big \"$big$i\" & ;;
                 1) $RUST_CLIENT increment t.theirs 100000 & ;;
                 2) python3 $PAIRS/pair.py increment t.theirs 100000 & ;;
               esac
               victim=$!
               otto-list >/dev/null
               kill -KILL $victim 2>/dev/null || true
               wait $victim 2>/dev/null || true
             done
             wait $mine
             otto-get t.mine; otto-get --default none t.big >/dev/null
             otto-set t.after fine; otto-get t.after"
        );
        let finished = place.serve(&script).within(otto_e2e::DEADLINE * 5).run().ok();
        assert_eq!(finished.stdout, format!("{rounds}\nfine\n"), "{via}");
    }
}

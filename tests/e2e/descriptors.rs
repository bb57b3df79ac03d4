//! More clients than descriptors.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use otto_e2e::{Place, wait_for};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CLIENTS: u64 = 5000;

/// Lets this process have as many clients; whether it may.
fn may_have_many() -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let needed = CLIENTS + 1000;
    soft >= needed || hard >= needed && setrlimit(Resource::RLIMIT_NOFILE, needed, hard).is_ok()
}

fn ask(stream: &UnixStream, line: &str) -> String {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(format!("{line}\n").as_bytes()).expect("the server reads");
    let mut reply = String::new();
    stream.read_line(&mut reply).expect("the server answers");
    reply.trim_end().to_owned()
}

fn connect(socket: &PathBuf) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    stream
}

/// All of them are served, and what is started meanwhile has the low limit that select needs.
#[test]
fn five_thousand_clients_are_taken_whatever_the_soft_limit() {
    if !may_have_many() {
        return;
    }
    let place = Place::new();
    place.write(
        "otto.yml",
        "tasks:\n  a: {bash: 'echo \"id $OTTO_RUN_ID\"; until otto-get go >/dev/null 2>&1; do sleep 0.1; done'}\n  \
         b: {before: [a], bash: 'echo \"limit $(ulimit -Sn)\"'}\n",
    );
    for program in [
        "otto-serve -- bash -c 'echo \"id $OTTO_RUN_ID\"; ulimit -Sn; otto-get --wait go'",
        "otto-run",
    ] {
        let script = format!("ulimit -Sn 1024; exec {program}");
        let mut run = place.bash(&script).start();
        let id = run.line_where(|line| line.contains("id "));
        let id = id.rsplit(' ').next().expect("it is there");
        let socket = PathBuf::from(format!("/tmp/otto-{id}.sock"));
        let clients: Vec<UnixStream> = (0..CLIENTS).map(|_| connect(&socket)).collect();
        for client in clients.iter().rev() {
            assert_eq!(ask(client, "PING"), "OK", "{program}");
        }
        assert_eq!(ask(&clients[0], "SET go 1"), "OK");
        let finished = run.finish().ok();
        assert!(finished.stdout.contains("1024\n"), "{program}: {}", finished.stdout);
    }
}

/// Processor time that a process has used, in ticks of 10 ms.
fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("it lives");
    let fields = stat.rsplit(") ").next().expect("fields").split(' ').skip(11).take(2);
    fields.map(|field| field.parse::<u64>().expect("a number")).sum()
}

/// Whoever finds no place waits for one, and the server does not spin meanwhile.
#[test]
fn a_server_without_descriptors_rests_and_recovers() {
    let place = Place::new();
    let script = "ulimit -n 64; exec otto-serve -- bash -c 'echo \"id $OTTO_RUN_ID\"; exec otto-get --wait go'";
    let mut serve = place.bash(script).start();
    let id = serve.line_where(|line| line.contains("id ")).replace("id ", "");
    let socket = PathBuf::from(format!("/tmp/otto-{id}.sock"));
    let id = serve.pid().as_raw().unsigned_abs();
    let open = || fs::read_dir(format!("/proc/{id}/fd")).expect("it lives").count();
    let clients: Vec<UnixStream> = (0..100).map(|_| connect(&socket)).collect();
    wait_for("all descriptors are taken", || (open() >= 64).then_some(()));
    let (start, before) = (Instant::now(), ticks(id));
    while start.elapsed() < Duration::from_secs(2) {
        assert_eq!(ask(&clients[0], "PING"), "OK", "who is in is served");
        std::thread::park_timeout(Duration::from_millis(200));
    }
    let share = (ticks(id) - before) as f64 / 100.0 / start.elapsed().as_secs_f64();
    assert!(share < 0.05, "{:.0} % of a processor", share * 100.0);
    // As some go, those who waited for a place get it.
    let (gone, left) = clients.split_at(60);
    gone.iter().for_each(|client| drop(client.shutdown(std::net::Shutdown::Both)));
    for client in left {
        assert_eq!(ask(client, "PING"), "OK");
    }
    assert_eq!(ask(&left[0], "SET go 1"), "OK");
    let _ = serve.finish().ok();
}

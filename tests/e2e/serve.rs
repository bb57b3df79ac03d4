//! otto-serve: alone, and around a command.

use nix::sys::signal::Signal;
use otto_e2e::{Place, Server, readable_by_others, traces_of, wait_for};
use std::collections::HashMap;
use std::path::PathBuf;

#[test]
fn a_value_from_bash_to_python_in_one_line() {
    let place = Place::new();
    let out = place
        .job("otto-serve")
        .args(["--", "bash", "-c"])
        .arg("otto-set --global a 1; python3 -c \"import otto; print(otto.get(\\\"a\\\"))\"")
        .run()
        .ok();
    assert_eq!(out.stdout, "1\n");
    assert_eq!(out.stderr, "");
}

/// The module and the helpers are within reach even where the caller has set up nothing.
#[test]
fn a_makefile_gets_the_toolkit() {
    let place = Place::new();
    place.write(
        "Makefile",
        "all: report\nversion:\n\t@otto-set --global version 1.10\nreport: version\n\t\
         @python3 -c 'import otto; print(\"from Python\", otto.get(\"version\"))'\n\t\
         @bash -c 'source $$OTTO_SH; otto_get -v v version; echo \"from bash $$v\"'\n",
    );
    let serve = otto_e2e::prefix().join("bin/otto-serve");
    let out = place
        .job(serve.to_str().expect("UTF-8"))
        .args(["--", "make", "-s"])
        .env("PATH", std::env::var("PATH").unwrap_or_default().replace("target/otto/bin", "none"))
        .without("PYTHONPATH")
        .run()
        .ok();
    assert_eq!(out.stdout, "from Python 1.10\nfrom bash 1.10\n");
}

#[test]
fn the_status_of_the_command_is_passed_on() {
    let place = Place::new();
    let _ = place.serve("exit 7").run().with_status(7);
    let _ = place.serve("kill -TERM $$").run().with_status(128 + 15);
    let line = place.job("otto-serve").args(["--", "no-such-program"]).run().refused(127);
    assert!(line.contains("no-such-program"), "{line}");
    let _ = place.job("otto-serve").args(["--", "/"]).run().refused(126);
}

#[test]
fn the_environment_of_a_command() {
    let place = Place::new();
    let out = place
        .job("otto-serve")
        .args(["--", "env"])
        .env("OTTO_TASK_NAME", "outer")
        .env("OTTO_TASK", "outer")
        .env("OTTO_TASK_DIR", "/nowhere")
        .run()
        .ok()
        .stdout;
    let variables: HashMap<&str, &str> = out.lines().filter_map(|l| l.split_once('=')).collect();
    for name in ["OTTO_TASK_NAME", "OTTO_TASK", "OTTO_TASK_DIR"] {
        assert!(!variables.contains_key(name), "{name} came through");
    }
    let run = variables["OTTO_RUN_ID"];
    assert!(variables["OTTO_RUN_DIR"].ends_with(&format!("/{run}")));
    assert!(variables["OTTO_SOCKET"].starts_with(variables["OTTO_RUN_DIR"]));
    assert!(variables["OTTO_SH"].ends_with("/share/otto/otto.sh"));
}

/// The run ID is the process ID of the command's parent, as the sketch's scripts count on.
#[test]
fn a_direct_child_finds_the_run_through_getppid() {
    let place = Place::new();
    let out = place.serve("echo $PPID $OTTO_RUN_ID").run().ok().stdout;
    let (parent, run) = out.trim().split_once(' ').expect("two words");
    assert_eq!(parent, run);
}

#[test]
fn alone_it_prints_what_to_export_and_serves_until_ended() {
    let place = Place::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let server = Server::start(&place);
        let out = server.client("otto-set --global k v; otto-get k; echo $OTTO_RUN_ID").run().ok();
        let (value, run) = out.stdout.trim().split_once('\n').expect("two lines");
        assert_eq!(value, "v");
        assert!(!traces_of(run).is_empty());
        let exports = server.exports().to_owned();
        server.signal(signal);
        let ended = server.finish();
        assert!(ended.status == 0 || ended.status == 128 + signal as i32, "{ended:?}");
        assert_eq!(traces_of(run), Vec::<PathBuf>::new(), "after {signal}");
        let line = place.bash(&(exports + "otto-get k")).run().refused(1);
        assert!(line.contains("otto-get: "), "{line}");
    }
}

#[test]
fn readiness_is_announced() {
    let place = Place::new();
    let script = "exec 3<>fifo; otto-serve --socket \"$PWD/s\" --ready-fd 4 4>&3 >/dev/null & \
        server=$!; read -r ready <&3; test -S s; stat -c %a s; \
        OTTO_SOCKET=$PWD/s otto-set --global k v; OTTO_SOCKET=$PWD/s otto-get k; \
        kill $server; wait $server || true; test ! -e s && echo gone";
    let out = place.bash(&format!("mkfifo fifo; {script}")).run().ok().stdout;
    assert_eq!(out, "600\nv\ngone\n");
}

#[test]
fn nothing_of_a_run_is_for_others() {
    let place = Place::new();
    let mut run = place
        .serve(
            "umask 0; otto-set --via mmap t.a 1; otto-pipe create p; \
            echo data | otto-mmap-write --dataset d -; echo $OTTO_RUN_ID; read -r line",
        )
        .interactive()
        .start();
    let id = run.line_where(|line| line.parse::<u32>().is_ok());
    let traces = traces_of(&id);
    assert!(traces.len() >= 4, "{traces:?}");
    assert_eq!(readable_by_others(&traces), Vec::<PathBuf>::new());
    run.send("go\n");
    let _ = run.finish().ok();
    assert_eq!(traces_of(&id), Vec::<PathBuf>::new());
}

#[test]
fn what_a_killed_server_left_goes_at_the_next_start() {
    let place = Place::new();
    let mut run = place
        .serve("otto-set --via mmap t.a 1; echo $OTTO_RUN_ID; read -r line || true")
        .interactive()
        .start();
    let id = run.line();
    run.signal(Signal::SIGKILL);
    run.end_input();
    let _ = run.finish().with_status(128 + 9);
    assert!(!traces_of(&id).is_empty(), "the test needs something left over");
    let _ = place.serve("true").run().ok();
    wait_for("the dead run is cleaned up", || traces_of(&id).is_empty().then_some(()));
}

//! Tasks that are killed or stopped while streams flow.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use otto_e2e::{DEADLINE, Place, Random, Running, Tasks, Watched, figures, seed, times};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

/// Waits until each of `tasks` has said `at <process>`.
fn processes(running: &mut Running, tasks: &[&str]) -> HashMap<String, Pid> {
    let mut found = HashMap::new();
    while found.len() < tasks.len() {
        let line = running.line_where(|line| line.contains("] at "));
        let (task, process) = line.trim_start_matches('[').split_once("] at ").expect("as found");
        if tasks.contains(&task) {
            found.insert(task.to_owned(), Pid::from_raw(process.parse().expect("a number")));
        }
    }
    found
}

/// A moment within the next `most` microseconds.
fn some_time(random: &mut Random, most: u64) {
    thread::sleep(Duration::from_micros(random.below(most)));
}

fn load(words: &str) -> String {
    let to = if words.starts_with("check") { "" } else { " > \"$OTTO_OUTPUT_PIPE\"" };
    format!("echo \"at $$\"; exec \"$LOAD\" {words}{to}")
}

/// Whichever it is: its end is the run's, nobody takes it for the end of the stream, and nothing
/// is left.
#[test]
fn any_task_killed_at_any_moment() {
    let endless = "seed=3 count=1000000000 most=5000";
    let tasks = Tasks::new()
        .stream("p", &[], &load(&format!("produce id=p {endless}")))
        .stream("q", &[], &load(&format!("produce id=q {endless}")))
        .stream("a", &["p"], &load("pass id=a"))
        .stream("b", &["p", "q"], &load("pass id=b"))
        .stream("join", &["a", "b"], &load(&format!("check {endless} paths=3")))
        .stream("end", &["p"], &load(&format!("check {endless}")));
    let names = ["p", "q", "a", "b", "join", "end"];
    let mut slowest = Duration::ZERO;
    let kills = times(500);
    for number in 0..kills {
        let seed = seed().wrapping_add(u64::from(number));
        let mut random = Random(seed);
        let victim = names[random.below(names.len() as u64) as usize];
        let place = Place::new();
        let mut run = Watched::start(&place, &tasks);
        let found = processes(run.running(), &names);
        some_time(&mut random, 50_000);
        let killed = Instant::now();
        kill(found[victim], Signal::SIGKILL).expect("it runs");
        let (finished, _) = run.finish();
        slowest = slowest.max(killed.elapsed());
        let (out, err) = (&finished.stdout, &finished.stderr);
        let told = format!("OTTO_SEED={seed}, {victim} killed\n-- out\n{out}\n-- err\n{err}");
        assert_eq!(finished.status, 128 + 9, "{told}");
        assert!(err.contains(&format!("task \"{victim}\" was killed by SIGKILL")), "{told}");
        for end in ["whole", "the end after", "is not what it was"] {
            assert!(!err.contains(end) && !out.contains(end), "{told}");
        }
    }
    figures(format_args!("streams: {kills} tasks killed: the last run ended {slowest:.1?} later"));
}

/// What a killed producer had begun and not finished is no record.
#[test]
fn a_torn_record_is_never_merged() {
    let tasks = Tasks::new()
        .stream(
            "torn",
            &[],
            "otto-get --wait c.up; printf 'x\\n12' > \"$OTTO_OUTPUT_PIPE\"; kill -9 $$",
        )
        .stream("other", &[], "sleep 100")
        .stream("c", &["torn", "other"], "trap '' TERM; otto-set up yes; cat");
    let (finished, _) = Watched::start(&Place::new(), &tasks).finish();
    let lines: Vec<&str> =
        finished.stdout.lines().filter(|line| line.starts_with("[c] ")).collect();
    assert_eq!(lines, ["[c] x"], "{}", finished.stderr);
}

/// Readers killed inside tasks that go on: the others miss nothing. Without any reader left, the
/// producer is told so.
#[test]
fn killed_readers_cost_the_others_nothing() {
    let bytes = "seed=4 bytes=60000000";
    let mut tasks = Tasks::new().stream("p", &[], &load(&format!("noise {bytes}")));
    let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
    for name in &names {
        let script = format!(
            "\"$LOAD\" hear {bytes} < \"$OTTO_INPUT_PIPE\" & echo \"at $!\"; wait $! || echo gone"
        );
        tasks = tasks.stream(name, &["p"], &script);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut killed = 0;
    while killed < times(500) {
        let seed = seed().wrapping_add(u64::from(killed));
        let mut random = Random(seed);
        let place = Place::new();
        let mut run = Watched::start(&place, &tasks);
        let found = processes(run.running(), &names);
        let survivor = random.below(16) as usize;
        for (number, name) in names.iter().enumerate() {
            if number != survivor {
                some_time(&mut random, 3000);
                kill(found[*name], Signal::SIGKILL).expect("its task waits for it");
                killed += 1;
            }
        }
        let (finished, _) = run.finish();
        let (out, err) = (&finished.stdout, &finished.stderr);
        let told = format!("OTTO_SEED={seed}\n-- out\n{out}\n-- err\n{err}");
        let whole = |name: &&str| out.contains(&format!("[{name}] whole: "));
        let gone = |name: &&str| out.contains(&format!("[{name}] gone"));
        for name in &names {
            assert!(whole(name) != gone(name), "{name}: {told}");
        }
        match names.get(survivor) {
            Some(name) => assert!(whole(name), "{name}: {told}"),
            // Its status is 1 here, but all its readers had gone.
            None => assert_eq!(finished.status, 0, "{told}"),
        }
    }
}

/// A consumer that is stopped holds up its own stream. What need not wait for it flows on.
#[test]
fn a_stopped_consumer_holds_up_its_own_stream_alone() {
    let settings = "seed=8 count=3000 most=50000";
    let pass = |letter: char| {
        format!(
            "\"$LOAD\" pass id={letter} <&0 > \"$OTTO_OUTPUT_PIPE\" & echo \"at $!\"; wait $!; echo passed"
        )
    };
    let tasks = Tasks::new()
        .stream("p", &[], &load(&format!("produce id=p {settings}")))
        .stream("q", &[], &load(&format!("produce id=q {settings}")))
        .stream("c", &["p"], &pass('c'))
        .stream("d", &["q"], &pass('d'))
        .stream("join", &["c", "d"], &load(&format!("check {settings} paths=2")));
    let place = Place::new();
    let job = place.otto_run(&tasks.to_string()).within(DEADLINE * 2);
    let mut run = Watched::of(job);
    let found = processes(run.running(), &["c", "d"]);
    kill(found["c"], Signal::SIGSTOP).expect("it runs");
    let stopped = Instant::now();
    let line = run.running().line_where(|line| line.contains("passed"));
    assert_eq!(line, "[d] passed");
    thread::sleep(Duration::from_secs(2).saturating_sub(stopped.elapsed()));
    kill(found["c"], Signal::SIGCONT).expect("it is stopped");
    let (finished, _) = run.finish();
    let finished = finished.ok();
    assert!(finished.stdout.contains("[join] whole: 6000 records"), "{}", finished.stdout);
}

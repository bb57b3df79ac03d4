//! One to many, many to one, records and bytes of every size: what goes in comes out.

use super::MEMORY_KIB_MAX;
use otto_e2e::{DEADLINE, Finished, Place, Tasks, Watched, figures, times};
use std::fmt::Display;

/// Runs to the end within the memory allowed; insists that every one of `readers` got all.
fn whole(place: &Place, tasks: &Tasks, readers: &[String]) -> (Finished, u64) {
    let job = place.otto_run(&tasks.to_string()).within(DEADLINE * 10);
    let (finished, peak) = Watched::of(job).finish();
    let finished = finished.ok();
    for reader in readers {
        let line = format!("[{reader}] whole: ");
        assert!(finished.stdout.contains(&line), "no {line}: {}", finished.stdout);
    }
    assert!(peak > 0 && peak <= MEMORY_KIB_MAX, "otto-run had {peak} KiB");
    (finished, peak)
}

fn named(letter: char, count: u32) -> Vec<String> {
    (0..count).map(|number| format!("{letter}{number}")).collect()
}

fn names(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

fn load(verb: &str, settings: impl Display) -> String {
    let to = if matches!(verb, "check" | "hear") { "" } else { " > \"$OTTO_OUTPUT_PIPE\"" };
    format!("exec \"$LOAD\" {verb} {settings}{to}")
}

/// Producers `p0` and so on, with the letters a, b, ...
fn producers(mut tasks: Tasks, count: u32, settings: &str) -> Tasks {
    for (letter, name) in ('a'..).zip(named('p', count)) {
        tasks = tasks.stream(&name, &[], &load("produce", format!("id={letter} {settings}")));
    }
    tasks
}

#[test]
fn sixteen_consumers_one_a_hundred_times_slower() {
    let mebibytes = u64::from(times(1024));
    let bytes = format!("bytes={}", mebibytes << 20);
    let mut tasks = Tasks::new().stream("p", &[], &load("noise", &bytes));
    let readers = named('c', 16);
    for (number, name) in readers.iter().enumerate() {
        // Alone, each would take more than a GiB a second.
        let pace = if number == 7 { "pace=12000000" } else { "" };
        tasks = tasks.stream(name, &["p"], &load("hear", format!("{bytes} {pace}")));
    }
    let (finished, peak) = whole(&Place::new(), &tasks, &readers);
    figures(format_args!(
        "streams: {mebibytes} MiB to 16 consumers, one slow: {:.1?}, otto-run {peak} KiB",
        finished.took
    ));
}

#[test]
fn sixteen_producers_of_records_up_to_a_mebibyte() {
    let settings = format!("seed=46 count={} most={}", times(2000), 1 << 20);
    let sources = named('p', 16);
    let check = load("check", format!("{settings} paths=16"));
    let tasks = producers(Tasks::new(), 16, &settings).stream("c", &names(&sources), &check);
    let (finished, peak) = whole(&Place::new(), &tasks, &["c".into()]);
    let took = finished.took;
    figures(format_args!("streams: 16 producers merged: {took:.1?}, otto-run {peak} KiB"));
}

#[test]
fn a_million_lines_of_sixteen_producers() {
    let settings = "seed=16 count=62500 most=100";
    let sources = named('p', 16);
    let check = load("check", format!("{settings} paths=16"));
    let tasks = producers(Tasks::new(), 16, settings).stream("c", &names(&sources), &check);
    let (finished, _) = whole(&Place::new(), &tasks, &["c".into()]);
    assert!(finished.stdout.contains("whole: 1000000 records"), "{}", finished.stdout);
    figures(format_args!("streams: 1,000,000 lines of 16 producers: {:.1?}", finished.took));
}

/// To one consumer, to two, and merged, where the last line of each gets the newline it lacks.
#[test]
fn records_up_to_16_mebibytes_and_no_newline_at_the_end() {
    let settings = format!("seed=5 count={} most={} end=open", times(100), 16 << 20);
    let tasks = producers(Tasks::new(), 2, &settings)
        .stream("one", &["p0"], &load("check", &settings))
        .stream("both", &["p0", "p1"], &load("check", format!("{settings} paths=2")));
    let readers = ["one".to_owned(), "both".to_owned()];
    let _ = whole(&Place::new(), &tasks, &readers);
    let place = Place::new();
    let text = "printf 'a\\nb' > \"$OTTO_OUTPUT_PIPE\"";
    let tasks = Tasks::new()
        .stream("p", &[], text)
        .stream("q", &[], text)
        .stream("alone", &["p"], "wc -lc")
        .stream("merged", &["p", "q"], "wc -lc");
    let out = place.otto_run(&tasks.to_string()).run().ok().stdout;
    let counts = |task: &str| -> Vec<u32> {
        let mark = format!("[{task}] ");
        let line = out.lines().find_map(|line| line.strip_prefix(&mark)).unwrap_or_default();
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    assert_eq!((counts("alone"), counts("merged")), (vec![1, 3], vec![4, 8]), "{out}");
}

/// Bytes of any value, zero and newlines among them, from one producer to one and to several.
#[test]
fn any_bytes_pass_unchanged() {
    for place in [Place::new(), Place::ordinary()] {
        for count in [1, 4] {
            let bytes = format!("seed=9 bytes={}", 20_000_000 + u64::from(count));
            let mut tasks = Tasks::new().stream("p", &[], &load("noise", &bytes));
            let readers = named('c', count);
            for name in &readers {
                tasks = tasks.stream(name, &["p"], &load("hear", &bytes));
            }
            let _ = whole(&place, &tasks, &readers);
        }
    }
}

/// An ordinary user has 64 MiB for pipes; streams beyond that are slower, and no worse.
#[test]
fn more_streams_than_there_is_room_for_in_large_pipes() {
    let bytes = "bytes=1000000";
    let mut tasks = Tasks::new().stream("p", &[], &load("noise", bytes));
    let readers = named('c', 70);
    for name in &readers {
        tasks = tasks.stream(name, &["p"], &load("hear", bytes));
    }
    let _ = whole(&Place::ordinary(), &tasks, &readers);
}

#[test]
fn five_stream_at_once_with_one_job() {
    let settings = "seed=1 count=20000 most=1000";
    let pass = |letter: char| load("pass", format!("id={letter}"));
    let tasks = producers(Tasks::new(), 1, settings)
        .stream("left", &["p0"], &pass('l'))
        .stream("right", &["p0"], &pass('r'))
        .stream("join", &["left", "right"], &pass('j'))
        .stream("end", &["join"], &load("check", format!("{settings} paths=2")))
        .task("after", &["end"], "", "echo after");
    let place = Place::new();
    let job = place.otto_run(&tasks.to_string()).args(["-j", "1"]);
    let out = Watched::of(job).finish().0.ok().stdout;
    assert!(out.contains("[end] whole: 40000 records") && out.contains("[after] after"), "{out}");
}

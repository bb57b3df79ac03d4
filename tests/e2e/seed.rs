//! The scripts of the design sketch, in tests/seed, run as they stand there.

use otto_e2e::{DEADLINE, Place, repository};
use std::fs;
use std::time::Instant;

fn script(name: &str) -> String {
    let path = repository().join("tests/seed").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A task of an otto.yml with a script in it.
fn task(name: &str, keys: &str, language: &str, script: &str) -> String {
    let indented: String = script.lines().map(|line| format!("      {line}\n")).collect();
    format!("  {name}:\n{keys}    {language}: |\n{indented}")
}

const STREAMING: &str = "    streaming: true\n";

/// Both users where there are two: streams must not need root.
fn places() -> [Place; 2] {
    [Place::new(), Place::ordinary()]
}

#[test]
fn bash_functions_over_nc() {
    let place = Place::new();
    // The sketch's shell runs without `set -u`; its name for the task is `build`.
    let file = format!("tasks:\n{}", task("build", "", "bash", &script("socket.sh")));
    let out = place.otto_run(&file).run().ok().stdout;
    assert!(out.contains("build_version=1.2.3"), "{out}");
    assert_eq!(out.lines().filter(|line| line.ends_with("OK")).count(), 2, "{out}");
}

#[test]
fn bash_functions_over_nc_under_otto_serve() {
    let place = Place::new();
    let path = place.write("socket.sh", script("socket.sh"));
    let run = format!("OTTO_TASK_NAME=build bash {}", path.display());
    let out = place.serve(&run).run().ok().stdout;
    assert_eq!(out, "OK\nOK\nbuild_version=1.2.3\n");
}

#[test]
fn python_client() {
    let place = Place::new();
    let client = script("client.py") + "print('read', build_version, otto.list_keys())\n";
    let file = format!("tasks:\n{}", task("build", "", "python3", &client));
    let out = place.otto_run(&file).run().ok().stdout;
    assert!(out.contains("read 1.2.3 ['build.status', 'build.version']"), "{out}");
}

#[test]
fn raw_python_reads_what_the_helpers_write() {
    let place = Place::new();
    let read = script("region.py") + "print('read', read_task_data('task_a')['key'])\n";
    let file = format!(
        "tasks:\n  task_a:\n    bash: otto-mmap-write task_a key 'a \"value\"'\n{}",
        task("task_b", "    before: [task_a]\n", "python3", &read)
    );
    let out = place.otto_run(&file).run().ok().stdout;
    assert!(out.contains("read a \"value\""), "{out}");
}

#[test]
fn the_helpers_read_what_raw_python_writes() {
    let place = Place::new();
    let write = script("region.py") + "write_task_data('task_a', {'key': 'v', 'n': [1, None]})\n";
    let file = format!(
        "tasks:\n{}{}",
        task("task_a", "", "python3", &write),
        task(
            "task_b",
            "    before: [task_a]\n",
            "bash",
            "value=$(otto-mmap-read task_a key)\n\
             echo \"read $value $(otto-mmap-read task_a n)\"\n\
             otto-mmap-write task_a key w\n\
             echo \"then $(otto-mmap-read task_a)\""
        )
    );
    let out = place.otto_run(&file).run().ok().stdout;
    assert!(out.contains("read v [1,null]"), "{out}");
    assert!(out.contains(r#"then {"key":"w","n":[1,null]}"#), "{out}");
}

#[test]
fn fifo_producers_and_consumers() {
    let (bash, python) = ("bash", "python3");
    for place in places() {
        for (producer, source) in [(bash, "fifo-producer.sh"), (python, "fifo-producer.py")] {
            for (consumer, sink) in [(bash, "fifo-consumer.sh"), (python, "fifo-consumer.py")] {
                let file = format!(
                    "tasks:\n{}{}",
                    task("produce", STREAMING, producer, &script(source)),
                    task(
                        "consume",
                        "    streaming: true\n    before: [produce]\n",
                        consumer,
                        &script(sink)
                    )
                );
                let out = place.otto_run(&file).run().ok().stdout;
                let word = if consumer == bash { "Received: {" } else { "Processing: {" };
                let records = out.lines().filter(|line| line.contains(word)).count();
                let sent = if producer == bash { 2 } else { 100 };
                assert_eq!(records, sent, "{producer} to {consumer}: {out}");
            }
        }
    }
}

/// The consumer must show its first item while the producer still has most of its own to make.
#[test]
fn the_streaming_file_streams() {
    for place in places() {
        let mut run = place.otto_run(&script("streaming.yml")).start();
        run.line_where(|line| line.contains("Processing item 1..."));
        let first = Instant::now();
        run.line_where(|line| line.contains("Processing item 20..."));
        assert!(first.elapsed().as_millis() > 300, "the items came all at once");
        let finished = run.finish().ok();
        let all: Vec<&str> =
            finished.stdout.lines().filter(|line| line.contains("Processing item")).collect();
        assert_eq!(all.len(), 20, "{}", finished.stdout);
        // The sketch's process_data prints to its standard output, not into its stream.
        assert!(finished.stdout.contains("Total: 0 items"), "{}", finished.stdout);
    }
}

/// No clock: the producer goes on only after the consumer has had its first record.
#[test]
fn a_consumer_works_while_its_producer_still_runs() {
    for place in places() {
        let file = "tasks:\n  producer:\n    streaming: true\n    bash: |\n      \
             echo first > \"$OTTO_OUTPUT_PIPE\"\n      \
             otto-get --wait --timeout 30 consumer.had\n      \
             echo second > \"$OTTO_OUTPUT_PIPE\"\n  \
           consumer:\n    streaming: true\n    before: [producer]\n    bash: |\n      \
             while read -r item; do echo \"got $item\"; otto-set had \"$item\"; done\n";
        let finished = place.otto_run(file).run().ok();
        assert!(finished.stdout.contains("got first"), "{}", finished.stdout);
        assert!(finished.stdout.contains("got second"), "{}", finished.stdout);
        assert!(finished.took < DEADLINE / 3, "{:?}", finished.took);
    }
}

#[test]
fn the_log_file() {
    for place in places() {
        place.write("app.log", "INFO start\nERROR disk is full\nINFO go on\nERROR again\n");
        let out = place.otto_run(&script("logs.yml")).run().ok().stdout;
        let found: Vec<&str> = out.lines().filter(|line| line.contains("Found error: ")).collect();
        assert_eq!(found.len(), 2, "{out}");
        assert!(found[0].ends_with("Found error: ERROR disk is full"), "{out}");
    }
}

#[test]
fn the_progress_loop() {
    let place = Place::new();
    let file = format!("tasks:\n{}", task("work", "", "bash", &script("progress.sh")));
    let finished = place.otto_run(&file).run().ok();
    let shown = format!("{}{}", finished.stdout, finished.stderr);
    assert!(shown.contains("Processing item 20"), "{shown}");
    // Outside a run the same loop says the same on standard error.
    let path = place.write("progress.sh", script("progress.sh"));
    let alone = place.job("bash").arg(path).run().ok();
    assert!(alone.stderr.contains("Processing item 20"), "{}", alone.stderr);
    assert_eq!(alone.stdout, "");
}

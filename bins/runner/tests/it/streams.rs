//! The rules of one stream: when it begins, when it ends, and who is told.

use crate::project::{Project, streaming};
use std::os::unix::fs::FileTypeExt;
use std::time::{Duration, Instant};

/// The seed's three tasks; its thousand items are ten and its second is a hundredth.
const SEED: &str = r#"
tasks:
  generate_data:
    streaming: true
    bash: |
      for i in {1..10}; do
        echo "{\"id\": $i, \"timestamp\": \"$(date -Iseconds)\"}"
        sleep 0.01
      done > "$OTTO_OUTPUT_PIPE"

  process_data:
    before: [generate_data]
    streaming: true
    bash: |
      while read -r item; do
        echo "Processing item $item..."
        echo "$item" > "$OTTO_OUTPUT_PIPE"
      done < "$OTTO_INPUT_PIPE"

  aggregate:
    before: [process_data]
    streaming: true
    python3: |
      import json
      import sys

      count = 0
      with open(os.environ['OTTO_INPUT_PIPE'], 'r') as pipe:
          for line in pipe:
              count += 1
              if count % 5 == 0:
                  print(f"Processed {count} items so far...", file=sys.stderr)

      print(f"Total: {count} items")
"#;

#[test]
fn the_seeds_three_tasks() {
    let project = Project::new(SEED);
    for jobs in ["-j1", "-j8"] {
        let ended = project.run(&[jobs]);
        ended.ok();
        assert_eq!(ended.lines("process_data").len(), 10);
        assert_eq!(ended.lines("aggregate"), ["Total: 10 items"]);
        assert!(ended.err.contains("[aggregate] Processed 10 items so far..."));
    }
}

#[test]
fn the_seeds_log_parser_reads_its_standard_input() {
    let project = Project::new(
        r#"
tasks:
  tail_logs:
    streaming: true
    bash: |
      tail -n +1 app.log > "$OTTO_OUTPUT_PIPE"

  parse_logs:
    before: [tail_logs]
    streaming: true
    python3: |
      import re
      for line in sys.stdin:  # Connected to tail_logs pipe
          if re.search(r'ERROR', line):
              print(f"Found error: {line}")
"#,
    );
    project.write("app.log", "INFO fine\nERROR one\nINFO fine\nERROR two\n");
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(
        ended.lines("parse_logs"),
        ["Found error: ERROR one", "", "Found error: ERROR two", ""]
    );
}

#[test]
fn an_item_arrives_while_the_producer_runs() {
    // The producer holds its second item back until the consumer has shown the first.
    let project = Project::new(
        r#"
tasks:
  produce:
    streaming: true
    bash: |
      echo first > "$OTTO_OUTPUT_PIPE"
      for i in {1..3000}; do
        if [ -e seen ]; then echo second > "$OTTO_OUTPUT_PIPE"; exit 0; fi
        sleep 0.01
      done
      exit 1
  consume:
    before: [produce]
    streaming: true
    bash: |
      while read -r item; do
        echo "got $item"
        touch seen
      done < "$OTTO_INPUT_PIPE"
"#,
    );
    for jobs in ["-j1", "-j2"] {
        let _ = std::fs::remove_file(project.path("seen"));
        let ended = project.run(&[jobs]);
        ended.ok();
        assert_eq!(ended.lines("consume"), ["got first", "got second"]);
    }
}

/// Runs a producer and a consumer, both given as bash.
pub(crate) fn pair(producer: &str, consumer: &str) -> crate::project::Ended {
    let project = Project::new(&streaming(&[("p", "", producer), ("c", "p", consumer)]));
    let begin = Instant::now();
    let ended = project.run(&["-j1"]);
    assert!(begin.elapsed() < Duration::from_secs(30), "slow");
    ended
}

#[test]
fn any_number_of_openings_is_one_stream() {
    let echoes = "echo $SECONDS > \"$OTTO_OUTPUT_PIPE\"\n".repeat(5);
    let ended = pair(&echoes, "wc -l < \"$OTTO_INPUT_PIPE\"");
    ended.ok();
    assert_eq!(ended.lines("c"), ["5"]);
    let ended =
        pair("for i in {1..1000}; do echo $i > \"$OTTO_OUTPUT_PIPE\"; done", "sort -n | md5sum");
    ended.ok();
    assert_eq!(ended.lines("c"), ["53d025127ae99ab79e8502aae2d9bea6  -"]);
}

#[test]
fn nothing_written_and_never_opened_is_an_empty_stream() {
    let ended = pair(": > \"$OTTO_OUTPUT_PIPE\"", "wc -c < \"$OTTO_INPUT_PIPE\"");
    ended.ok();
    assert_eq!(ended.lines("c"), ["0"]);
    let ended = pair("true", "wc -c < \"$OTTO_INPUT_PIPE\"; wc -c");
    ended.ok();
    assert_eq!(ended.lines("c"), ["0", "0"]);
    // Nor does a consumer that never opens its input hold up a producer of little.
    pair("echo x > \"$OTTO_OUTPUT_PIPE\"", "true").ok();
}

#[test]
fn a_consumer_may_come_after_its_producer_has_ended() {
    let ended = pair(
        "for i in {1..20}; do echo $i; done > \"$OTTO_OUTPUT_PIPE\"; echo $PPID",
        "until grep -qs \"\" \"$OTTO_TASK_DIR/../p/output.p.json\"; do sleep 0.01; done; wc -l < \"$OTTO_INPUT_PIPE\"",
    );
    ended.ok();
    assert_eq!(ended.lines("c"), ["20"]);
}

#[test]
fn a_late_consumer_gets_more_than_a_pipe_holds() {
    // As much as fits between them without anybody reading.
    let ended = pair(
        "seq 200000 > \"$OTTO_OUTPUT_PIPE\"",
        "until [ -e \"$OTTO_TASK_DIR/../p/output.p.json\" ]; do sleep 0.01; done; md5sum < \"$OTTO_INPUT_PIPE\"; seq 200000 | md5sum",
    );
    ended.ok();
    let sums = ended.lines("c");
    assert_eq!(sums[0], sums[1]);
}

#[test]
fn what_a_group_moved_is_said_at_its_end() {
    let ended = pair(
        "head -c 3000000 /dev/zero > \"$OTTO_OUTPUT_PIPE\"",
        "wc -c; echo one > \"$OTTO_OUTPUT_PIPE\"",
    );
    ended.ok();
    let said: Vec<&str> = ended.err.lines().filter(|line| line.contains(" -> ")).collect();
    assert_eq!(said.len(), 2, "{}", ended.err);
    assert!(said[0].starts_with("otto-run: p -> c: 2.9 MiB") && said[0].contains("MiB/s"));
    assert!(said[1].starts_with("otto-run: c -> output.c.stream: 4 B"), "{said:?}");
    assert!(!pair("true", "wc -c").err.contains(" -> "), "nothing was moved");
}

#[test]
fn paths_are_pipes_nobody_else_may_read() {
    let project = Project::new(
        "tasks:\n  p: {streaming: true, bash: 'test -p \"$OTTO_OUTPUT_PIPE\"; test -z \"${OTTO_INPUT_PIPE-}\"; dirname \"$OTTO_OUTPUT_PIPE\"; echo \"$OTTO_RUN_DIR\"'}\n",
    );
    let ended = project.run(&[]);
    ended.ok();
    let lines = ended.lines("p");
    assert_eq!(lines[0], lines[1]);
    assert!(!std::path::Path::new(lines[0]).exists());
    // A FIFO on the disk would be named by the type of its file.
    assert!(std::fs::metadata(project.path("otto.yml")).is_ok_and(|m| !m.file_type().is_fifo()));
}

#[test]
fn tasks_hold_no_ends_of_streams_they_were_not_given() {
    let list = "ls -l /proc/self/fd";
    let ended = pair(list, &format!("{list}; cat > /dev/null"));
    ended.ok();
    let project = Project::new(&format!("tasks:\n  alone: {{bash: {list}}}\n"));
    let alone = project.run(&[]);
    // What this test itself was given to inherit, a task without streams has as well.
    let more = |ended: &crate::project::Ended, task| {
        let pipes = |line: &&&str| line.contains("pipe:");
        let standard = |line: &&&str| (0..3).any(|fd| line.contains(&format!(" {fd} -> ")));
        let lines = ended.lines(task);
        lines.iter().filter(pipes).filter(|line| !standard(line)).count()
    };
    let inherited = more(&alone, "alone");
    assert_eq!((more(&ended, "p"), more(&ended, "c")), (inherited, inherited), "{}", ended.out);
}

#[test]
fn a_background_process_that_holds_a_stream_open_is_ended() {
    for holder in
        ["sleep 1000", "setsid sleep 1000", "setsid bash -c 'trap \"\" TERM; sleep 1000; :'"]
    {
        let ended = pair(
            &format!("exec 5> \"$OTTO_OUTPUT_PIPE\"; echo x >&5; {holder} > /dev/null 2>&1 &"),
            "wc -l",
        );
        ended.ok();
        assert_eq!(ended.lines("c"), ["1"], "{holder}");
    }
}

#[test]
fn a_daemon_that_still_writes_is_waited_for_briefly() {
    let ended = pair(
        "(sleep 0.1; echo late > \"$OTTO_OUTPUT_PIPE\") & echo early > \"$OTTO_OUTPUT_PIPE\"",
        "cat",
    );
    ended.ok();
    assert_eq!(ended.lines("c"), ["early", "late"]);
}

#[test]
fn what_left_a_consumer_holds_up_its_producer_no_longer() {
    let ended = pair(
        "yes > \"$OTTO_OUTPUT_PIPE\"",
        "setsid sleep 1000 < \"$OTTO_INPUT_PIPE\" > /dev/null 2>&1 & head -1",
    );
    ended.ok();
    assert_eq!(ended.lines("c"), ["y"]);
}

#[test]
fn what_left_a_producer_writes_into_nobody_elses_stream() {
    // The descriptor behind the path of p is, by then, that of q.
    let late =
        "until [ -e go ]; do sleep 0.01; done; echo late > \"$OTTO_OUTPUT_PIPE\"; touch done";
    let project = Project::new(&format!(
        "{}  between: {{bash: ':', before: [p, c]}}\n{}",
        streaming(&[
            (
                "p",
                "",
                &format!(
                    "setsid bash -c '{late}' > /dev/null 2>&1 &\necho p > \"$OTTO_OUTPUT_PIPE\""
                ),
            ),
            ("c", "p", "cat"),
        ]),
        streaming(&[
            (
                "q",
                "between",
                "touch go; until [ -e done ]; do sleep 0.01; done; echo q > \"$OTTO_OUTPUT_PIPE\"",
            ),
            ("d", "q", "cat"),
        ])
        .trim_start_matches("tasks:\n"),
    ));
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!((ended.lines("c"), ended.lines("d")), (vec!["p"], vec!["q"]));
    let left = std::fs::read_dir(project.path("runtime/otto")).unwrap().count();
    assert_eq!(left, 0, "the run's folder is left");
}

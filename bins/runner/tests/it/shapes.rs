//! Shapes of streams: fans, chains, diamonds, and streams that nobody reads while they flow.

use crate::project::Project;

/// Pseudo-random lines, reproducible, in Python.
const NOISE: &str = "import random\n      r = random.Random(SEED)\n      with open(os.environ['OTTO_OUTPUT_PIPE'], 'w') as out:\n          for n in range(20000):\n              out.write('NAME %d ' % n + 'x' * r.randrange(200) + '\\n')\n";

fn noise(name: &str, seed: usize) -> String {
    let body = NOISE.replace("SEED", &seed.to_string()).replace("NAME", name);
    format!("  {name}:\n    streaming: true\n    python3: |\n      {body}\n")
}

#[test]
fn every_consumer_gets_every_record() {
    let mut text = format!("tasks:\n{}", noise("p", 1));
    for n in 0..4 {
        text.push_str(&format!("  c{n}: {{streaming: true, before: [p], bash: md5sum}}\n"));
    }
    let project = Project::new(&text);
    let ended = project.run(&["-j1"]);
    ended.ok();
    let expected = ended.lines("c0");
    assert_eq!(expected.len(), 1);
    assert_ne!(expected[0], "d41d8cd98f00b204e9800998ecf8427e  -");
    for n in 1..4 {
        assert_eq!(ended.lines(&format!("c{n}")), expected);
    }
}

#[test]
fn several_producers_are_merged_by_whole_lines() {
    let names = ["a", "b", "c", "d"];
    let mut text = "tasks:\n".to_owned();
    for (seed, name) in names.iter().enumerate() {
        text.push_str(&noise(name, seed));
    }
    text.push_str(concat!(
        "  all:\n    streaming: true\n    before: [a, b, c, d]\n    python3: |\n",
        "      next_of = dict.fromkeys('abcd', 0)\n",
        "      for line in sys.stdin:\n",
        "          name, number, rest = line.split(' ')\n",
        "          assert int(number) == next_of[name], line\n",
        "          assert not rest.strip('x\\n'), line\n",
        "          next_of[name] += 1\n",
        "      print(next_of)\n",
    ));
    let project = Project::new(&text);
    let ended = project.run(&["-j1"]);
    ended.ok();
    assert_eq!(ended.lines("all"), ["{'a': 20000, 'b': 20000, 'c': 20000, 'd': 20000}"]);
}

#[test]
fn one_of_several_consumers_may_leave() {
    let project = Project::new(&format!(
        "tasks:\n{}  one: {{streaming: true, before: [p], bash: head -1}}\n  all: {{streaming: true, before: [p], bash: wc -l}}\n",
        noise("p", 3)
    ));
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(ended.lines("all"), ["20000"]);
    assert!(ended.lines("one")[0].starts_with("p 0 "));
}

#[test]
fn a_chain_of_five_runs_together_at_one_job() {
    let mut text =
        "tasks:\n  t0: {streaming: true, bash: 'seq 100000 > \"$OTTO_OUTPUT_PIPE\"'}\n".to_owned();
    for n in 1..5 {
        let last = n - 1;
        text.push_str(&format!(
            "  t{n}: {{streaming: true, before: [t{last}], bash: 'cat > \"$OTTO_OUTPUT_PIPE\"'}}\n"
        ));
    }
    text.push_str("  after: {before: [t4], bash: 'md5sum < \"$OTTO_TASK_DIR/../t4/output.t4.stream\"; seq 100000 | md5sum'}\n");
    let project = Project::new(&text);
    let ended = project.run(&["-j1"]);
    ended.ok();
    let sums = ended.lines("after");
    assert_eq!((sums.len(), sums[0]), (2, sums[1]));
}

#[test]
fn a_stream_nobody_consumes_is_kept_for_later_tasks() {
    let project = Project::new(
        "tasks:\n  p: {streaming: true, bash: 'echo one > \"$OTTO_OUTPUT_PIPE\"; echo two > \"$OTTO_OUTPUT_PIPE\"'}\n  \
         later: {before: [p], bash: 'cat \"$OTTO_TASK_DIR/../p/output.p.stream\"'}\n",
    );
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(ended.lines("later"), ["one", "two"]);
    assert_eq!(
        std::fs::read_to_string(project.of_task("p", "output.p.stream")).unwrap(),
        "one\ntwo\n"
    );
    // The streaming consumer of a task counts only when it takes part.
    let project = Project::new(
        "tasks:\n  p: {streaming: true, bash: 'echo x > \"$OTTO_OUTPUT_PIPE\"'}\n  c: {streaming: true, before: [p], bash: cat}\n",
    );
    project.run(&["p"]).ok();
    assert_eq!(std::fs::read_to_string(project.of_task("p", "output.p.stream")).unwrap(), "x\n");
    project.run(&["c"]).ok();
    assert!(!project.of_task("p", "output.p.stream").exists());
}

#[test]
fn a_streaming_task_waits_for_what_does_not_stream() {
    let project = Project::new(
        "tasks:\n  prepare: {bash: 'sleep 0.1; echo ready > prepared'}\n  p: {streaming: true, bash: 'cat prepared > \"$OTTO_OUTPUT_PIPE\"'}\n  \
         c: {streaming: true, before: [p, prepare], bash: cat}\n",
    );
    // Even though the producer itself does not: the group starts as a whole.
    let ended = project.run(&["-j4"]);
    ended.ok();
    assert_eq!(ended.lines("c"), ["ready"]);
}

#[test]
fn a_diamond() {
    let project = Project::new(&format!(
        "tasks:\n{}  left: {{streaming: true, before: [p], bash: 'sed s/^p/left/ > \"$OTTO_OUTPUT_PIPE\"'}}\n  \
         right: {{streaming: true, before: [p], bash: 'sed s/^p/right/ > \"$OTTO_OUTPUT_PIPE\"'}}\n  \
         join: {{streaming: true, before: [left, right], bash: 'cut -d\" \" -f1 | sort | uniq -c'}}\n",
        noise("p", 5)
    ));
    let ended = project.run(&["-j1"]);
    ended.ok();
    let counts: Vec<Vec<&str>> =
        ended.lines("join").iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(counts, [["20000", "left"], ["20000", "right"]]);
}

#[test]
fn a_consumer_of_two_shapes_at_once() {
    // p goes to both, q to one of them alone: fan-out and fan-in share a producer.
    let project = Project::new(&format!(
        "tasks:\n{}{}  both: {{streaming: true, before: [p, q], bash: wc -l}}\n  only: {{streaming: true, before: [p], bash: wc -l}}\n",
        noise("p", 6),
        noise("q", 7)
    ));
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!((ended.lines("both"), ended.lines("only")), (vec!["40000"], vec!["20000"]));
}

#[test]
fn a_consumer_may_take_its_time_after_its_producers_end() {
    // Longer than the patience with what a task leaves behind, and more than the pipes hold.
    let project = Project::new(&format!(
        "tasks:\n{}  slow: {{streaming: true, before: [p], bash: 'sleep 2; wc -l'}}\n  also: {{streaming: true, before: [p], bash: 'sleep 2; wc -l'}}\n",
        noise("p", 8)
    ));
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!((ended.lines("slow"), ended.lines("also")), (vec!["20000"], vec!["20000"]));
}

#[test]
fn a_group_larger_than_the_limit_of_descriptors_runs_all_the_same() {
    let mut text =
        "tasks:\n  p: {streaming: true, bash: 'seq 3 > \"$OTTO_OUTPUT_PIPE\"'}\n".to_owned();
    for n in 0..40 {
        text.push_str(&format!("  c{n}: {{streaming: true, before: [p], bash: 'wc -l'}}\n"));
    }
    let project = Project::new(&text);
    let output = limited("ulimit -Sn 64; exec \"$0\"", &project);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(out.lines().filter(|line| line.ends_with("] 3")).count(), 40, "{out}");
    // Where the hard limit has no room for them, nothing is begun.
    let output = limited("ulimit -n 256; exec \"$0\"", &project);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("otto.yml:2: the 41 streaming tasks that start together with \"p\""));
    assert!(said.ends_with("ulimit -Hn allows 256\n"), "{said}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_group_that_is_let_start_has_descriptors_enough_when_all_its_edges_spill() {
    let wait = "until [ -e read ]; do sleep 0.01; done; wc -c";
    let mut text =
        "tasks:\n  p: {streaming: true, bash: 'head -c 5000000 /dev/zero > \"$OTTO_OUTPUT_PIPE\"'}\n  \
         c: {streaming: true, before: [p], bash: 'wc -c; touch read'}\n"
            .to_owned();
    for n in 0..40 {
        text.push_str(&format!("  c{n}: {{streaming: true, before: [p], bash: '{wait}'}}\n"));
    }
    let project = Project::new(&text);
    let output = limited("ulimit -n 128; exec \"$0\"", &project);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let needed = said.split("need ").nth(1).unwrap().split(' ').next().unwrap();
    let output = limited(&format!("ulimit -n {needed}; exec \"$0\""), &project);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.lines().filter(|line| line.ends_with("] 5000000")).count(), 41, "{out}");
}

/// Runs otto-run from a line of bash.
fn limited(script: &str, project: &Project) -> std::process::Output {
    let program = project.command(&[]).get_program().to_owned();
    let mut limited = std::process::Command::new("bash");
    limited.args(["-c", script]).arg(program).current_dir(project.path(""));
    limited.env("HOME", project.path("home")).env("XDG_RUNTIME_DIR", project.path("runtime"));
    limited.output().unwrap()
}

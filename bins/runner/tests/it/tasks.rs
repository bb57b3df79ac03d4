//! Tasks: their languages, surroundings and order.

use crate::project::Project;

#[test]
fn order_follows_before_and_after() {
    let project = Project::new(
        "tasks:\n  last: {bash: echo last >> log, before: [mid]}\n  mid: {bash: echo mid >> log, after: [also]}\n  \
         also: {bash: \"cat log; echo also >> log2\"}\n  first: {bash: echo first >> log, after: [mid]}\n",
    );
    for jobs in ["-j1", "-j8"] {
        let _ = std::fs::remove_file(project.path("log"));
        project.run(&[jobs]).ok();
        assert_eq!(project.read("log"), "first\nmid\nlast\n");
    }
}

#[test]
fn jobs_bounds_what_runs_at_a_time() {
    // Each task counts itself in, sees how many there are, and counts itself out.
    let mut text = "tasks:\n".to_owned();
    for n in 0..12 {
        text.push_str(&format!(
            "  t{n}: {{bash: \"mkdir on/{n}; ls on | wc -l; ls on | wc -l; rmdir on/{n}\"}}\n"
        ));
    }
    let project = Project::new(&text);
    std::fs::create_dir(project.path("on")).unwrap();
    for (flag, most) in [("-j1", 1), ("-j3", 3)] {
        let ended = project.run(&[flag]);
        let counts = ended.ok().lines().map(|line| line.rsplit(' ').next().unwrap());
        let highest = counts.map(|count| count.parse::<usize>().unwrap()).max().unwrap();
        assert!(highest <= most, "{highest} at {flag}");
    }
}

#[test]
fn tasks_that_need_each_other_alive_run_together_when_jobs_allow() {
    let meet = |mine: &str, theirs: &str| {
        format!(
            "{{bash: \"touch {mine}; for i in {{1..3000}}; do [ -e {theirs} ] && exit 0; sleep 0.01; done; exit 1\"}}"
        )
    };
    let project =
        Project::new(&format!("tasks:\n  a: {}\n  b: {}\n", meet("x", "y"), meet("y", "x")));
    project.run(&["-j2"]).ok();
}

#[test]
fn bash_is_strict() {
    for script in ["false; echo on", "echo $unset_variable; echo on", "false | cat; echo on"] {
        let project = Project::new(&format!("tasks:\n  a: {{bash: '{script}'}}\n"));
        let ended = project.run(&[]);
        assert_eq!(ended.code(), 1, "{script}");
        assert!(!ended.out.contains("on"), "{script}");
    }
}

#[test]
fn python_has_its_modules_and_keeps_its_rules() {
    let project = Project::new(concat!(
        "tasks:\n  p:\n    python3: |\n",
        "      \"\"\"A docstring.\"\"\"\n",
        "      from __future__ import annotations\n",
        "      def f(x: not_defined): pass\n",
        "      print(json.dumps({'n': 1}), os.sep, sys.argv[0] == __file__, glob.glob('otto.y*'))\n",
        "      print(__doc__, __name__, '_run' in globals(), sys.path[0] == '')\n",
        "      if __name__ == '__main__':\n",
        "          import mine\n",
        "          print(mine.answer, type(sys.modules['__main__'].f).__name__)\n",
    ));
    project.write("mine.py", "answer = 42\n");
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(
        ended.lines("p"),
        ["{\"n\": 1} / True ['otto.yml']", "A docstring. __main__ False True", "42 function"]
    );
}

#[test]
fn python_tracebacks_show_the_script_alone_with_its_own_lines() {
    let project = Project::new(
        "tasks:\n  p:\n    python: |\n      import os\n\n      def f():\n          return 1 / 0\n      f()\n",
    );
    let ended = project.run(&[]);
    assert_eq!(ended.code(), 1);
    let trace: Vec<&str> = ended.err.lines().filter_map(|line| line.strip_prefix("[p] ")).collect();
    assert_eq!(trace.first(), Some(&"Traceback (most recent call last):"));
    assert!(trace[1].ends_with("/tasks/p/script\", line 5, in <module>"), "{trace:?}");
    assert_eq!(trace[2].trim(), "f()");
    assert!(trace.iter().any(|line| line.ends_with("line 4, in f")), "{trace:?}");
    assert!(!ended.err.contains("<string>"), "{}", ended.err);
    assert_eq!(trace.last(), Some(&"ZeroDivisionError: division by zero"));

    project.write("otto.yml", "tasks:\n  p:\n    python3: |\n      x = 1\n      if:\n");
    let ended = project.run(&[]);
    assert!(ended.err.contains("/tasks/p/script\", line 2\n"), "{}", ended.err);
    project.write("otto.yml", "tasks:\n  p: {python3: sys.exit(7)}\n");
    assert_eq!(project.run(&[]).code(), 7);
}

#[test]
fn python_prints_as_it_goes() {
    let project = Project::new(
        "tasks:\n  p:\n    python3: |\n      import time\n      print('first')\n      end = time.monotonic() + 50\n      \
         log = os.path.join(os.environ['OTTO_TASK_DIR'], 'stdout.log')\n      \
         while time.monotonic() < end and not os.path.getsize(log): time.sleep(0.01)\n      \
         print(os.path.getsize(log) > 0)\n",
    );
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(ended.lines("p"), ["first", "True"]);
}

#[test]
fn action_runs_what_its_first_line_names() {
    let project = Project::new(
        "tasks:\n  a:\n    action: |\n      #!/usr/bin/env -S python3 -B\n      import sys\n      print('py', sys.flags.dont_write_bytecode)\n  b:\n    action: |\n      #!/bin/sh -e\n      echo sh $-\n",
    );
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(ended.lines("a"), ["py 1"]);
    assert!(ended.lines("b")[0].starts_with("sh ") && ended.lines("b")[0].contains('e'));
}

#[test]
fn interpreters_that_are_missing_are_named() {
    let project = Project::new("tasks:\n  a: {python3: print(1)}\n");
    let mut command = project.command(&[]);
    let output = command.env("PATH", project.path("home")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("task \"a\" can't be started: no python3 on PATH"), "{err}");
}

#[test]
fn the_environment_is_the_contract() {
    let project =
        Project::new("tasks:\n  a: {bash: 'env; echo PPID=$PPID; readlink -f /dev/stdin'}\n");
    let mut command = project.command(&[]);
    command.env("OTTO_INPUT_PIPE", "/outer").env("OTTO_OUTPUT_PIPE", "/outer");
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let get = |name: &str| {
        let line = out.lines().find_map(|line| line.strip_prefix(&format!("[a] {name}=")));
        line.unwrap_or_default().to_owned()
    };
    assert_eq!((get("OTTO_TASK_NAME"), get("OTTO_TASK")), ("a".to_owned(), "a".to_owned()));
    assert_eq!(get("OTTO_RUN_ID"), get("PPID"));
    let runtime = project.path("runtime/otto").join(get("OTTO_RUN_ID"));
    assert_eq!(get("OTTO_RUN_DIR"), runtime.to_str().unwrap());
    assert_eq!(get("OTTO_SOCKET"), runtime.join("otto.sock").to_str().unwrap());
    assert!(get("OTTO_TASK_DIR").ends_with("/tasks/a"));
    assert_eq!(get("OTTO_INPUT_PIPE") + &get("OTTO_OUTPUT_PIPE"), "");
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_otto-run")).canonicalize().unwrap();
    assert!(get("PATH").starts_with(bin.parent().unwrap().to_str().unwrap()));
    assert!(out.ends_with("[a] /dev/null\n"), "{out}");
}

#[test]
fn envs_are_literal_and_a_tasks_own_win() {
    let project = Project::new(concat!(
        "otto:\n  envs: {A: global, B: '$HOME `x`', V: 1.10, EMPTY: }\n",
        "tasks:\n  a:\n    envs: {A: own, OTTO_VIA: files}\n",
        "    bash: 'echo \"$A|$B|$V|$EMPTY|$OTTO_VIA\"'\n  b: {bash: 'echo $A'}\n",
    ));
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(ended.lines("a"), ["own|$HOME `x`|1.10||files"]);
    assert_eq!(ended.lines("b"), ["global"]);
}

#[test]
fn a_name_without_a_script_gathers_others() {
    let project = Project::new(
        "tasks:\n  all: {before: [a, b]}\n  a: {bash: echo a}\n  b: {bash: echo b}\n  c: {bash: echo c}\n",
    );
    let ended = project.run(&["all"]);
    ended.ok();
    assert_eq!(
        (ended.lines("a"), ended.lines("b"), ended.lines("c")),
        (vec!["a"], vec!["b"], vec![])
    );
}

#[test]
fn output_is_prefixed_whole_and_plain_elsewhere_than_on_a_terminal() {
    let project = Project::new(
        "tasks:\n  a: {bash: 'printf one; printf \"\\ntwo\"; printf \"\\377\\n\" >&2'}\n",
    );
    let output = project.command(&[]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[a] one\n[a] two\n");
    assert!(output.stderr.starts_with(b"[a] \xff\n"));
    assert!(!output.stderr.contains(&0x1b));
}

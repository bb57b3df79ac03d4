//! What is wrong with a file is said before anything starts.

use crate::project::Project;

/// Runs a bad file; returns its complaint, having checked that no task ran.
fn refused(otto_yml: &str) -> String {
    let project = Project::new(otto_yml);
    let ended = project.run(&["-f", "otto.yml"]);
    assert_eq!(ended.code(), 2, "{}{}", ended.out, ended.err);
    assert_eq!(ended.out, "");
    assert!(!project.path("ran").exists());
    assert!(!project.path("home/.otto").exists());
    ended.err.trim_end().replace("otto-run: ", "")
}

#[test]
fn unknown_keys_name_their_line_and_the_nearest_known_one() {
    let text = "tasks:\n  x:\n    befor: [y]\n    bash: touch ran\n  y:\n    bash: touch ran\n";
    assert_eq!(
        refused(text),
        "otto.yml:3: unknown key \"befor\" in task \"x\"; did you mean \"before\"?"
    );
    assert_eq!(
        refused("task:\n  x: {bash: touch ran}\n"),
        "otto.yml:1: unknown key \"task\" at the top of the file; did you mean \"tasks\"?"
    );
    assert_eq!(
        refused("otto: {job: 3}\ntasks:\n  x: {bash: touch ran}\n"),
        "otto.yml:1: unknown key \"job\" in \"otto\"; did you mean \"jobs\"?"
    );
}

#[test]
fn missing_dependencies_lead_to_the_nearest_name() {
    let text = "tasks:\n  build: {bash: touch ran}\n  test:\n    bash: touch ran\n    before:\n      - build\n      - biuld\n";
    assert_eq!(
        refused(text),
        "otto.yml:7: \"before\" of task \"test\": no task \"biuld\"; did you mean \"build\"?"
    );
    let text = "otto: {tasks: [tset]}\ntasks:\n  test: {bash: touch ran}\n";
    assert_eq!(refused(text), "otto.yml:1: otto.tasks: no task \"tset\"; did you mean \"test\"?");
}

#[test]
fn cycles_name_their_members() {
    let text = "tasks:\n  a: {bash: touch ran, before: [b]}\n  b: {bash: touch ran, before: [a]}\n";
    assert_eq!(refused(text), "otto.yml:2: cycle: a -> b -> a (each needs the next)");
}

#[test]
fn all_problems_are_shown_at_once() {
    let text = "tasks:\n  a: {bash: touch ran, streaming: maybe}\n  b: {bahs: touch ran}\n  c.d: {bash: x}\n";
    let lines = refused(text);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(
        lines,
        [
            "otto.yml:2: \"streaming\" of task \"a\" must be true, false or a mapping, not \"maybe\"",
            "otto.yml:3: unknown key \"bahs\" in task \"b\"; did you mean \"bash\"?",
            "otto.yml:4: \"c.d\" is no task name: 1 to 100 of A-Z a-z 0-9 _ : -",
        ]
    );
}

#[test]
fn every_other_mistake_has_its_line() {
    for (text, expected) in [
        ("", "otto.yml:1: the file is empty: it needs a mapping \"tasks\""),
        ("# only this\n", "otto.yml:1: the file is empty: it needs a mapping \"tasks\""),
        ("[1, 2]\n", "otto.yml:1: the file must be a mapping, not a list"),
        ("just text\n", "otto.yml:1: the file must be a mapping, not text"),
        ("otto: {jobs: 2}\n", "otto.yml:1: the file needs a mapping \"tasks\""),
        ("tasks:\n", "otto.yml:1: \"tasks\" holds no task"),
        ("tasks: 3\n", "otto.yml:1: \"tasks\" must be a mapping, not a number"),
        ("tasks:\n  a: touch ran\n", "otto.yml:2: task \"a\" must be a mapping, not text"),
        (
            "tasks:\n  a:\n    help: x\n",
            "otto.yml:2: task \"a\" has nothing to run: give it bash, python3 or action",
        ),
        (
            "tasks:\n  a:\n    bash: [x]\n",
            "otto.yml:3: \"bash\" of task \"a\" must be text, not a list",
        ),
        (
            "tasks:\n  a:\n    bash:\n",
            "otto.yml:3: \"bash\" of task \"a\" must be text, not nothing",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    python: y\n",
            "otto.yml:4: task \"a\" has a second script, \"python\": one is allowed",
        ),
        (
            "tasks:\n  a: {bash: x}\n  b: {bash: x}\n  a: {bash: y}\n",
            "otto.yml:4: \"a\" stands here a second time; first on line 2",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    bash: y\n",
            "otto.yml:4: \"bash\" stands here a second time; first on line 3",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    before: {b: c}\n",
            "otto.yml:4: \"before\" of task \"a\" must be a list of task names, not a mapping",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    timeout: soon\n",
            "otto.yml:4: \"timeout\" of task \"a\" must be seconds, or a time like 10s, 5m or 1h",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    envs: {A-B: c}\n",
            "otto.yml:4: \"A-B\" in \"envs\" of task \"a\" is no name of a variable: letters, digits and _",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    envs: {OTTO_TASK: c}\n",
            "otto.yml:4: \"OTTO_TASK\" in \"envs\" of task \"a\" can't be set: otto-run sets OTTO_ names",
        ),
        (
            "tasks:\n  a:\n    action: touch ran\n",
            "otto.yml:3: \"action\" of task \"a\" must begin with a line like #!/usr/bin/env bash",
        ),
        (
            "otto: {jobs: 0}\ntasks:\n  a: {bash: x}\n",
            "otto.yml:1: otto.jobs must be a number from 1 to 4096",
        ),
        (
            "otto: {api: 2}\ntasks:\n  a: {bash: x}\n",
            "otto.yml:1: otto.api is \"2\", and this otto-run reads \"1\"",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    streaming: {stric: true}\n",
            "otto.yml:4: unknown key \"stric\" in \"streaming\" of task \"a\"; did you mean \"strict\"?",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    streaming: {mode: shards}\n",
            "otto.yml:4: \"mode\" in \"streaming\" of task \"a\" must be broadcast or shard, not \"shards\"; did you mean \"shard\"?",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    streaming:\n      mode:\n",
            "otto.yml:5: \"mode\" in \"streaming\" of task \"a\" must be broadcast or shard, not nothing",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    streaming: {strict: 1}\n",
            "otto.yml:4: \"strict\" in \"streaming\" of task \"a\" must be true or false, not \"1\"",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    streaming: [true]\n",
            "otto.yml:4: \"streaming\" of task \"a\" must be true, false or a mapping, not a list",
        ),
        (
            "tasks:\n  a:\n    bash: x\n    streaming:\n",
            "otto.yml:4: \"streaming\" of task \"a\" must be true, false or a mapping, not nothing",
        ),
        (
            "otto: {spill: lots}\ntasks:\n  a: {bash: x}\n",
            "otto.yml:1: otto.spill must be a size like 500MB or 1GiB, or 0 for never",
        ),
        (
            "otto:\n  spil: 1GiB\ntasks:\n  a: {bash: x}\n",
            "otto.yml:2: unknown key \"spil\" in \"otto\"; did you mean \"spill\"?",
        ),
        (
            "tasks:\n  p: {bash: x, streaming: true}\n  all: {streaming: true, before: [p]}\n",
            "otto.yml:3: task \"all\" streams with others and has nothing to run: give it bash, python3 or action, or leave \"streaming\" off",
        ),
        (
            "tasks:\n  _: {bash: x}\n",
            "otto.yml:2: a task can't be named _: it stands for keys without a task",
        ),
        (
            "tasks:\n  a: {bash: x}\n---\ntasks: {}\n",
            "otto.yml:4: a second document: one is allowed",
        ),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_yaml_is_refused_with_its_line() {
    for text in
        ["tasks:\n  a: {bash: x\n", "tasks:\n\ta: 1\n", "a: b: c\n", "tasks:\n  a: \"x\n", "}"]
    {
        let complaint = refused(text);
        let rest = complaint.strip_prefix("otto.yml:").unwrap();
        let (line, message) = rest.split_once(": ").unwrap();
        assert!(line.parse::<usize>().is_ok() && message.starts_with("not YAML: "), "{complaint}");
        assert_eq!(complaint.lines().count(), 1);
    }
    let project = Project::new("");
    std::fs::write(project.path("otto.yml"), b"tasks:\n  a: {bash: \"\xff\"}\n").unwrap();
    let ended = project.run(&[]);
    assert_eq!(ended.code(), 2);
    assert!(ended.err.ends_with(":2: not YAML: not UTF-8 text\n"), "{}", ended.err);
}

#[test]
fn aliases_work_but_do_not_explode() {
    let project = Project::new("tasks:\n  a: &t {bash: echo shared}\n  b: *t\n");
    assert_eq!(project.run(&["b"]).lines("b"), ["shared"]);
    let mut bomb = "tasks:\n  a0: &a0 {envs: {A: b}}\n".to_owned();
    for n in 1..40 {
        let last = n - 1;
        bomb.push_str(&format!("  a{n}: &a{n} [*a{last}, *a{last}, *a{last}]\n"));
    }
    assert!(refused(&bomb).contains("more than 1000000 values"), "{bomb}");
}

#[test]
fn files_that_are_not_there_and_tasks_that_are_not_in_them() {
    let project = Project::new("tasks:\n  build: {bash: touch ran}\n");
    let ended = project.run(&["-f", "absent.yml"]);
    assert_eq!((ended.code(), ended.err.as_str()), (2, "otto-run: absent.yml: no such file\n"));
    let ended = project.run(&["-f", "/proc/self/mem"]);
    assert_eq!(ended.code(), 2, "{}", ended.err);
    let ended = project.run(&["buidl"]);
    assert_eq!(ended.code(), 2);
    assert!(ended.err.ends_with("no task \"buidl\"; did you mean \"build\"?\n"), "{}", ended.err);
    let ended = project.run(&["--tui"]);
    assert_eq!((ended.code(), ended.err.lines().count()), (2, 1));
    for wrong in [&["-j", "0"][..], &["-j", "x"], &["--nonsense"]] {
        assert_eq!(project.run(wrong).code(), 2);
    }
    assert!(!project.path("ran").exists());
}

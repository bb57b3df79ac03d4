//! Which file, which tasks, and what the command line answers by itself.

use crate::project::Project;

#[test]
fn the_nearest_file_upwards_is_found_and_tasks_run_where_the_caller_is() {
    let project = Project::new("tasks:\n  where: {bash: pwd}\n");
    std::fs::create_dir_all(project.path("a/b")).unwrap();
    let mut command = project.command(&[]);
    let output = command.current_dir(project.path("a/b")).output().unwrap();
    let here = std::fs::canonicalize(project.path("a/b")).unwrap();
    let expected = format!("[where] {}\n", here.display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);

    std::fs::write(project.path("a/.otto.yaml"), "tasks:\n  nearer: {bash: echo yes}\n").unwrap();
    let output = project.command(&[]).current_dir(project.path("a/b")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[nearer] yes\n");
}

#[test]
fn the_default_is_otto_tasks_and_without_them_all() {
    let tasks =
        "tasks:\n  a: {bash: echo a}\n  b: {bash: echo b, before: [a]}\n  c: {bash: echo c}\n";
    let project = Project::new(&format!("otto: {{tasks: [b]}}\n{tasks}"));
    assert_eq!(project.run(&[]).ok(), "[a] a\n[b] b\n");
    assert_eq!(project.run(&["c"]).ok(), "[c] c\n");
    project.write("otto.yml", tasks);
    let ended = project.run(&["-j1"]);
    let mut lines: Vec<&str> = ended.ok().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["[a] a", "[b] b", "[c] c"]);
}

#[test]
fn list_help_and_version() {
    let project = Project::new("tasks:\n  a: {bash: x, help: first one}\n  long-name: {bash: x}\n");
    assert_eq!(project.run(&["--list"]).ok(), "a          first one\nlong-name\n");
    let help = project.run(&["--help"]);
    for word in ["Example", "Exit status", "-j", "--plain"] {
        assert!(help.ok().contains(word), "{word}");
    }
    assert_eq!(
        project.run(&["--version"]).ok(),
        concat!("otto-run ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_project_is_named_by_the_file_or_its_folder() {
    let project = Project::new("otto: {name: my/project}\ntasks:\n  a: {bash: echo a}\n");
    project.run(&[]).ok();
    assert!(project.path("home/.otto/my_project/latest/tasks/a/stdout.log").is_file());
}

#[test]
fn what_a_run_leaves_is_for_its_owner_alone_and_readable_with_cat() {
    use std::os::unix::fs::MetadataExt;
    let project = Project::new(
        "tasks:\n  a: {bash: \"echo out; echo err >&2\"}\n  b: {bash: \"cat \\\"$OTTO_TASK_DIR/input.a.json\\\"\", before: [a]}\n",
    );
    let ended = project.run(&[]);
    assert_eq!(ended.ok(), "[a] out\n[b] {}\n");
    assert!(ended.err.contains("[a] err\n"));
    for (file, content) in [
        ("script", "echo out; echo err >&2"),
        ("stdout.log", "out\n"),
        ("stderr.log", "err\n"),
        ("output.a.json", "{}\n"),
    ] {
        let path = project.of_task("a", file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o077, 0, "{file}");
    }
    for folder in ["home/.otto", "home/.otto/.."] {
        assert_eq!(std::fs::metadata(project.path(folder)).unwrap().mode() & 0o077, 0);
    }
    let link = std::fs::read_link(project.of_task("b", "input.a.json")).unwrap();
    assert_eq!(link.to_str(), Some("../a/output.a.json"));
}

#[test]
fn nobody_reading_is_no_error() {
    let project = Project::new(
        "tasks:\n  a: {bash: \"for i in {1..20000}; do echo $i; done; echo done > ended\"}\n",
    );
    let mut child = project.command(&[]).spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(project.read("ended"), "done\n");
    let log = std::fs::read_to_string(project.of_task("a", "stdout.log")).unwrap();
    assert_eq!(log.lines().count(), 20000);
}

#[test]
fn files_from_other_systems_are_read_as_well() {
    let project = Project::new(
        "\u{feff}tasks:\r\n  a:\r\n    bash: |\r\n      if true; then\r\n        echo fine\r\n      fi\r\n",
    );
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(ended.lines("a"), ["fine"]);
}

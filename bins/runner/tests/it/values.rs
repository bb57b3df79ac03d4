//! Values by whatever transport they were set are where later tasks look for them.

use crate::project::Project;

/// Three lines of Python that speak to the server.
const ASK: &str = "import socket\n      def ask(line):\n          s = socket.socket(socket.AF_UNIX)\n          s.connect(os.environ['OTTO_SOCKET'])\n          s.sendall(line.encode() + b'\\n')\n          return s.makefile().readline().rstrip()\n";

#[test]
fn all_transports_come_together_when_a_task_ends() {
    let project = Project::new(&format!(
        "tasks:\n  a:\n    python3: |\n      {ASK}
      with open(os.environ['OTTO_TASK_DIR'] + '/output.a.json', 'w') as f:
          f.write('{{\"file\": 1.10, \"both\": \"file\", \"three\": \"file\"}}')
      text = b'{{\"document\": [2], \"both\": \"document\", \"three\": \"document\"}}'
      with open('/dev/shm/otto-%d-a' % os.getppid(), 'r+b') as f:
          f.write(len(text).to_bytes(4, 'little') + text)
      print(ask('SET a.store \"s\"'), ask('SET a.three \"store\"'))
  b:
    before: [a]
    python3: |
      {ASK}
      print(ask('GET a.file'), ask('GET a.document'), ask('GET a.both'), ask('GET a.three'))
      print(open(os.environ['OTTO_TASK_DIR'] + '/input.a.json').read())
"
    ));
    let ended = project.run(&[]);
    ended.ok();
    assert_eq!(ended.lines("a"), ["OK OK"]);
    assert_eq!(
        ended.lines("b")[..2],
        [
            "1.10 [2] \"document\" \"store\"",
            "{\"file\":1.10,\"both\":\"document\",\"three\":\"store\",\"document\":[2],\"store\":\"s\"}"
        ]
    );
}

#[test]
fn values_are_visible_while_their_task_runs() {
    let project = Project::new(&format!(
        "tasks:\n  a:\n    python3: |\n      {ASK}
      ask('SET a.ready 1')
      print(ask('WAIT b.seen 50'))
  b:\n    python3: |\n      {ASK}
      print(ask('WAIT a.ready 50'))
      ask('SET b.seen 2')
"
    ));
    let ended = project.run(&["-j2"]);
    ended.ok();
    assert_eq!((ended.lines("a"), ended.lines("b")), (vec!["2"], vec!["1"]));
}

#[test]
fn who_waits_leaves_its_place_to_those_it_waits_for() {
    // There is one place, and whoever has it waits for one that has none.
    let project = Project::new(&format!(
        "tasks:\n  c:\n    python3: |\n      {ASK}
      print(ask('WAIT b.k 50'))
  b:\n    python3: |\n      {ASK}
      print(ask('WAIT a.k 50'))
      ask('SET b.k 2')
  zero: {{bash: 'true'}}
  a:\n    before: [zero]\n    python3: |\n      {ASK}
      ask('SET a.k 1')
"
    ));
    let ended = project.run(&["-j1"]);
    ended.ok();
    assert_eq!((ended.lines("c"), ended.lines("b")), (vec!["2"], vec!["1"]));
}

#[test]
fn a_wait_ends_when_its_task_has() {
    let project = Project::new(&format!(
        "tasks:\n  quick: {{bash: 'true'}}\n  waits:\n    python3: |\n      {ASK}
      print(ask('WAIT quick.never 50'))
"
    ));
    let started = std::time::Instant::now();
    let ended = project.run(&["-j2"]);
    ended.ok();
    assert!(ended.lines("waits")[0].starts_with("ERROR: "), "{}", ended.out);
    assert!(started.elapsed().as_secs() < 40);
}

#[test]
fn progress_is_shown_in_plain_lines() {
    let project = Project::new(&format!(
        "tasks:\n  a:\n    python3: |\n      {ASK}
      import struct
      s = socket.socket(socket.AF_UNIX)
      s.connect(os.environ['OTTO_SOCKET'])
      for n in (1, 2, 4):
          body = json.dumps(dict(task='a', current=n, total=4, message='rows')).encode()
          s.sendall(struct.pack('>IB', len(body) + 1, 0x0C) + body)
          assert s.recv(5)[4] == 0
"
    ));
    let ended = project.run(&[]);
    ended.ok();
    assert!(ended.err.contains("otto-run: a: 4/4 (100%)"), "{}", ended.err);
}

#[test]
fn a_task_that_spoils_its_output_file_fails_with_one_clear_line() {
    let project = Project::new(
        "tasks:\n  a: {bash: 'echo nonsense > \"$OTTO_TASK_DIR/output.a.json\"'}\n  b: {bash: touch ran, before: [a]}\n",
    );
    let ended = project.run(&[]);
    assert_eq!(ended.code(), 1);
    assert!(
        ended.err.lines().last().unwrap().contains("the values of task \"a\": "),
        "{}",
        ended.err
    );
    assert!(!project.path("ran").exists());
}

#[test]
fn once_one_that_is_waited_for_could_not_start_no_other_does() {
    // It is known that x is waited for before y is.
    let project = Project::new(
        "tasks:
  w:
    python3: |
      import socket
      def say(line):
          s = socket.socket(socket.AF_UNIX)
          s.connect(os.environ['OTTO_SOCKET'])
          s.sendall(line + b'\\n')
          return s
      x = say(b'WAIT x.a 60')
      say(b'PING').recv(9)
      y = say(b'WAIT y.b 60')
      x.recv(9)
  x: {bash: ':', envs: {PATH: /none}}
  y: {bash: ': > began'}
",
    );
    let ended = project.run(&["-j1"]);
    assert_eq!(ended.code(), 1, "{}", ended.err);
    assert!(ended.err.contains("task \"x\" can't be started"), "{}", ended.err);
    assert!(!project.path("began").exists());
}

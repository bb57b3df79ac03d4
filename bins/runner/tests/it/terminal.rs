//! What a person at a terminal sees.

use crate::project::{Project, streaming};
use nix::pty::openpty;
use std::fs::File;
use std::io::Read;
use std::process::Stdio;

const TASKS: &str = concat!(
    "tasks:\n  a:\n    python3: |\n      import socket, struct, time\n",
    "      s = socket.socket(socket.AF_UNIX)\n      s.connect(os.environ['OTTO_SOCKET'])\n",
    "      print('a whole line')\n",
    "      for n in range(1, 5):\n",
    "          body = json.dumps(dict(task='a', current=n, total=4, message='rows')).encode()\n",
    "          s.sendall(struct.pack('>IB', len(body) + 1, 0x0C) + body)\n          s.recv(5)\n",
    // Longer than a frame of the display, so that each record has its turn on the screen.
    "          time.sleep(0.15)\n",
);

/// Runs with standard output and error on a terminal, and returns what was sent to it.
fn on_a_terminal(tasks: &str, arguments: &[&str], no_color: bool) -> String {
    let project = Project::new(tasks);
    let pty = openpty(None, None).unwrap();
    let mut command = project.command(arguments);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    command.stdout(Stdio::from(pty.slave.try_clone().unwrap())).stderr(Stdio::from(pty.slave));
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut screen = Vec::new();
    let mut master = File::from(pty.master);
    let mut buffer = [0; 4096];
    // A terminal that nobody has open any more reads as an error, not as the end.
    while let Ok(bytes @ 1..) = master.read(&mut buffer) {
        screen.extend_from_slice(&buffer[..bytes]);
    }
    assert!(child.wait().unwrap().success());
    String::from_utf8_lossy(&screen).into_owned()
}

const UP_OR_CLEAR: [&str; 2] = ["\x1b[1A", "\x1b[2K"];

#[test]
fn bars_move_below_whole_lines() {
    let screen = on_a_terminal(TASKS, &[], false);
    assert!(UP_OR_CLEAR.iter().any(|code| screen.contains(code)), "{screen:?}");
    assert!(screen.contains("2/4 (50%)") && screen.contains("rows"), "{screen:?}");
    assert!(screen.contains("\x1b[36m[a]\x1b[0m a whole line\r\n"), "{screen:?}");
    let end = screen.rsplit("otto-run: 1 task done").next().unwrap();
    assert!(!end.contains("4/4"), "a bar is left: {screen:?}");
}

#[test]
fn no_color_and_plain_are_honoured() {
    let screen = on_a_terminal(TASKS, &[], true);
    assert!(screen.contains("[a] a whole line\r\n"), "{screen:?}");
    assert!(!screen.contains("\x1b[3"), "{screen:?}");
    let screen = on_a_terminal(TASKS, &["--plain"], true);
    assert!(!screen.contains('\x1b'), "{screen:?}");
    assert!(screen.contains("otto-run: a: 4/4 (100%)"), "{screen:?}");
}

#[test]
fn streams_show_how_fast_they_go_beside_their_consumers() {
    // Long enough for several looks at them.
    let tasks = streaming(&[
        ("p", "", "timeout 1.5 cat /dev/zero > \"$OTTO_OUTPUT_PIPE\" || true"),
        ("c", "p", "cat > /dev/null"),
        ("d", "p", "cat > /dev/null"),
    ]);
    let screen = on_a_terminal(&tasks, &[], true);
    let shown = |task: &str| {
        let mut pieces = screen.split(['\r', '\n']);
        pieces.any(|piece| {
            piece.contains(&format!("{task} ")) && piece.contains("<- p ") && piece.contains("iB/s")
        })
    };
    assert!(shown("c") && shown("d"), "{screen:?}");
    assert!(screen.contains("otto-run: p -> c: "), "{screen:?}");
}

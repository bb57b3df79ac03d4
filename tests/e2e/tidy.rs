//! The shape of the tree, held by reading it: which way dependencies point, where unsafe code may
//! stand, who may print, how long a file may be.

use otto_e2e::repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// No source file is longer, in lines.
const LINES_MAX: usize = 500;

const TRANSPORTS: [&str; 4] = ["files", "region", "socket", "fifo"];

/// What joins the transports, and so may name them.
const ABOVE_TRANSPORTS: [&str; 2] = ["core/src/lib.rs", "core/src/via.rs"];

/// The only files with unsafe code: mapping memory, what a forked child has to do at once, and one
/// before its `exec`, giving memory to Python as a buffer; and the measurement of a peer whose own interface is unsafe.
fn may_be_unsafe(path: &str) -> bool {
    [
        "core/src/region/map.rs",
        "core/src/fork.rs",
        "core/src/run/descriptors.rs",
        "sdk-python/src/buffer.rs",
        "benches/heed/src/main.rs",
    ]
    .contains(&path)
}

/// Files that git tracks, and new ones it would, relative to the root.
fn tracked(endings: &[&str]) -> Vec<String> {
    let list = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .expect("git");
    let list = String::from_utf8(list.stdout).expect("plain names");
    let found: Vec<String> = list
        .lines()
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
        .filter(|path| repository().join(path).exists())
        .map(str::to_owned)
        .collect();
    assert!(!found.is_empty(), "no files of {endings:?}: is this a checkout?");
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The code of a Rust file: without comments, and without its unit tests at the end.
fn code(path: &str) -> String {
    let source = read(path);
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    source
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n")
        .collect()
}

/// The modules of this crate that a file names, by `crate::` paths, grouped ones included.
fn modules_used(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let word = |text: &str| -> String {
            text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            None => used.push(word(rest)),
            Some(group) => {
                let (mut depth, mut part) = (0, String::new());
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        ',' if depth == 0 => used.push(word(&std::mem::take(&mut part))),
                        _ => {
                            depth += i32::from(c == '{') - i32::from(c == '}');
                            part.push(c);
                        }
                    }
                }
                used.push(word(&part));
            }
        }
    }
    used
}

/// The transport a file belongs to.
fn transport_of(path: &str) -> Option<&'static str> {
    let inside = path.strip_prefix("core/src/")?;
    let first = inside.split(['/', '.']).next()?;
    TRANSPORTS.into_iter().find(|transport| *transport == first)
}

#[test]
fn modules_are_read_out_of_use_lines() {
    let code = "use crate::error::Error;\nuse crate::{\n  key::{Key, Pattern},\n  files,\n};\ncrate::fifo::open()";
    assert_eq!(modules_used(code), ["error", "key", "files", "", "fifo"]);
}

#[test]
fn transports_never_import_each_other() {
    for path in tracked(&[".rs"]).iter().filter(|path| path.starts_with("core/src/")) {
        if ABOVE_TRANSPORTS.contains(&path.as_str()) {
            continue;
        }
        let own = transport_of(path);
        for module in modules_used(&code(path)) {
            let foreign = TRANSPORTS.contains(&module.as_str()) && Some(module.as_str()) != own;
            assert!(
                !foreign,
                "{path} uses the transport `{module}`: what two need lies beside them"
            );
        }
    }
}

#[test]
fn core_prints_nothing_and_knows_no_command_line_and_no_python() {
    for path in tracked(&[".rs"]).iter().filter(|path| path.starts_with("core/src/")) {
        let code = code(path);
        for word in ["println!", "eprintln!", "print!(", "eprint!(", "dbg!", "stdout()", "stderr()"]
        {
            assert!(!code.contains(word), "{path} has {word}");
        }
    }
    let manifest = read("core/Cargo.toml");
    for name in ["clap", "pyo3", "anyhow", "tokio", "otto-tools", "otto-runner"] {
        assert!(!manifest.contains(&format!("\n{name}")), "core depends on {name}");
    }
    for path in ["bins/tools/Cargo.toml", "bins/runner/Cargo.toml"] {
        assert!(!read(path).contains("otto-python"), "{path}");
    }
}

/// Codecs, commands and the store are about bytes and values: no descriptor, no clock of the system.
#[test]
fn codecs_and_store_touch_no_descriptor() {
    // All of the socket but who opens, reads and writes it, and who asks.
    let does_io = ["server/", "client/", "address.rs", "mod.rs"];
    let mut seen = 0;
    for path in tracked(&[".rs"]) {
        let Some(name) = path.strip_prefix("core/src/socket/") else { continue };
        if does_io.iter().any(|own| name.starts_with(own)) {
            continue;
        }
        seen += 1;
        let code = code(&path);
        for word in ["std::fs", "std::net", "std::os", "nix::", "mio::", "io::Read", "io::Write"] {
            assert!(!code.contains(word), "{path} has {word}");
        }
    }
    assert!(seen > 20, "the codecs and the store have moved: name them here");
}

#[test]
fn unsafe_code_stands_where_it_is_named() {
    for path in tracked(&[".rs"]) {
        if may_be_unsafe(&path) || path.starts_with("tests/e2e/tidy") {
            continue;
        }
        let code = code(&path);
        for word in ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe_code)"]
        {
            assert!(!code.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    for path in tracked(&[".rs", ".py", ".pyi", ".sh", ".bats"]) {
        let lines = read(&path).lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines, more than {LINES_MAX}");
    }
}

#[test]
fn no_module_is_named_for_nothing() {
    for path in tracked(&[".rs", ".py"]) {
        let stem = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for name in ["util", "utils", "helper", "helpers", "manager", "common", "misc"] {
            assert!(stem != name, "{path}: say what is in it");
        }
    }
}

#[test]
fn every_package_takes_its_lints_from_the_workspace() {
    let packages: Vec<PathBuf> =
        tracked(&["/Cargo.toml"]).into_iter().map(|path| repository().join(path)).collect();
    for path in packages {
        let manifest = fs::read_to_string(&path).expect("tracked");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", path.display());
    }
}

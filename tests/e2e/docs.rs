//! What the documentation shows is run.
//!
//! Of README.md and docs/*.md, in a folder of its own for each document, in order:
//! - ` ```console `: the lines behind `$ `, each in its own bash; what follows up to the next
//!   must be what it prints, with `...` on a line of its own for anything at all;
//! - ` ```bash `: under `otto-serve -- bash -euo pipefail`; ` ```python `: under
//!   `otto-serve -- python3`;
//! - ` ```yaml ` with tasks: becomes otto.yml and must run.
//!
//! A block with `<!-- not run: why -->` on the line above is left alone.

use otto_e2e::{Finished, Place, repository};
use std::fs;
use std::path::PathBuf;

struct Block {
    language: String,
    text: String,
    line: usize,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = document.lines().enumerate();
    let mut above = "";
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: String = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```")
                .map(|line| format!("{line}\n"))
                .collect();
            let left_alone = above.starts_with("<!-- not run: ");
            if !left_alone {
                found.push(Block { language: language.to_owned(), text, line: number + 1 });
            }
        }
        above = line;
    }
    found
}

/// Does `printed` read as `shown` does, where a line `...` stands for any lines?
fn matches(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&"...", rest)) => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((line, rest)) => printed.first() == Some(line) && matches(rest, &printed[1..]),
    }
}

fn console(place: &Place, text: &str, at: &str) {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let mut command = line
            .strip_prefix("$ ")
            .unwrap_or_else(|| panic!("{at}: no command: {line}"))
            .to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("> ")) {
            command += "\n";
            command += &more[2..];
        }
        let mut shown = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            shown.push(line);
        }
        let finished = place.job("bash").args(["-c", &format!("{{ {command}\n}} 2>&1")]).run();
        let printed: Vec<&str> = finished.stdout.lines().collect();
        assert!(
            matches(&shown, &printed),
            "{at}: $ {command}\n-- shown\n{}\n-- printed\n{}",
            shown.join("\n"),
            finished.stdout
        );
    }
}

fn run(place: &Place, block: &Block, at: &str) {
    let finished: Finished = match block.language.as_str() {
        "console" => return console(place, &block.text, at),
        "bash" => place.serve(&block.text).run(),
        "python" => place.job("otto-serve").args(["--", "python3", "-c", &block.text]).run(),
        "yaml" if block.text.contains("tasks:") => place.otto_run(&block.text).run(),
        _ => return,
    };
    assert!(finished.status == 0, "{at}: status {}\n{}", finished.status, finished.stderr);
}

#[test]
fn what_the_documents_show_is_true() {
    let docs = fs::read_dir(repository().join("docs"));
    let mut documents: Vec<PathBuf> =
        docs.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.push(repository().join("README.md"));
    documents.sort();
    for path in documents {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let place = Place::new();
        for block in blocks(&text) {
            run(&place, &block, &format!("{}:{}", path.display(), block.line));
        }
    }
}

#[test]
fn blocks_are_found_and_compared() {
    let found = blocks("a\n```bash\none\n```\n<!-- not run: it waits -->\n```bash\ntwo\n```\n");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].text.as_str(), found[0].line), ("one\n", 2));
    assert!(matches(&["a", "...", "c"], &["a", "b", "b", "c"]));
    assert!(matches(&["a", "..."], &["a"]));
    assert!(!matches(&["a"], &["a", "b"]));
    assert!(!matches(&["...", "c"], &["a", "b"]));
}

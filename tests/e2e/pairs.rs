//! Every language writes, every language reads, over every transport: nothing changes on the way.

use otto_e2e::Place;
use std::fs;
use std::path::Path;

pub(crate) const LANGUAGES: [&str; 3] = ["bash", "python", "rust"];

/// Strings that something on the way could stumble over.
fn strings() -> Vec<String> {
    vec![
        String::new(),
        "one\ntwo\n\n".into(),
        "  blanks at both ends  ".into(),
        "'single' \"double\" `back` \\ \\n".into(),
        "$HOME ${x} $(id) !! * ? [a] ~ #".into(),
        "\u{1f600} \u{e9} \u{4e2d}\u{6587} \u{202e}\u{7f}\t\r".into(),
        "-".into(),
        "-5".into(),
        "--json".into(),
        "@file".into(),
        "1.10".into(),
        "null".into(),
        "{\"not\": \"an object\"}".into(),
        "x".repeat(1 << 20),
        "\u{e9}\n\"".repeat((1 << 20) / 4),
    ]
}

const JSON: [&str; 9] = [
    "null",
    "true",
    "9007199254740993",
    "-9223372036854775808",
    "18446744073709551615",
    "0.1",
    "{\"z\":1,\"a\":{\"b\":[1,[2,[]],{}]}}",
    "[]",
    "\"a\\u0000b\"",
];

/// Fills `folder`: `NN.json`, and `NN.txt` with what a string holds.
pub(crate) fn fill(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let mut number = 0;
    let mut put = |json: &str, text: Option<&str>| {
        fs::write(folder.join(format!("{number:02}.json")), json).expect("written");
        if let Some(text) = text {
            fs::write(folder.join(format!("{number:02}.txt")), text).expect("written");
        }
        number += 1;
    };
    for text in strings() {
        put(otto_core::Json::string(&text).as_str(), Some(&text));
    }
    JSON.into_iter().for_each(|json| put(json, None));
}

/// Insists that `out` holds what `folder` does.
pub(crate) fn compare(folder: &Path, out: &Path, what: &str) {
    let mut compared = 0;
    for entry in fs::read_dir(folder).expect("filled").flatten() {
        let name = entry.file_name();
        let Ok(came_out) = fs::read(out.join(&name)) else {
            // Streams carry JSON alone: bash has no word for what is in a string.
            assert!(name.to_string_lossy().ends_with(".txt"), "{what}: {name:?} is missing");
            continue;
        };
        let went_in = fs::read(entry.path()).expect("filled");
        compared += 1;
        if name.to_string_lossy().ends_with(".txt") {
            assert!(came_out == went_in, "{what}: {name:?} changed");
        } else {
            let parse = |bytes| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
            assert!(parse(&came_out) == parse(&went_in), "{what}: {name:?} changed");
        }
    }
    assert!(compared >= strings().len() + JSON.len(), "{what}: only {compared} values compared");
}

/// The command line by which `language` does `verb`.
pub(crate) fn client(language: &str, verb: &str) -> String {
    match language {
        "bash" => format!("$PAIRS/{verb}.sh"),
        "python" => format!("python3 $PAIRS/pair.py {verb}"),
        _ => format!("$RUST_CLIENT {verb}"),
    }
}

fn over(via: &str) {
    let place = Place::new();
    let values = place.path().join("values");
    fill(&values);
    for writer in LANGUAGES {
        let mut script = format!("export OTTO_VIA={via} OTTO_TASK_DIR=$PWD/{writer}\n");
        script += &format!("mkdir {writer}\n{} values\n", client(writer, "write"));
        for reader in LANGUAGES {
            let out = format!("{writer}-{reader}");
            script += &format!("mkdir {out}\n{} values {out}\n", client(reader, "read"));
        }
        let _ = place.serve(&script).run().ok();
        for reader in LANGUAGES {
            let out = format!("{writer}-{reader}");
            compare(&values, &place.path().join(&out), &format!("{via}, {out}"));
        }
    }
}

#[test]
fn every_language_pair_over_the_socket() {
    over("socket");
}

#[test]
fn every_language_pair_over_files() {
    over("files");
}

#[test]
fn every_language_pair_over_documents() {
    over("mmap");
}

/// What only text keeps: numbers no 64 bits hold, trailing zeros, the order of keys.
#[test]
fn json_stays_the_text_it_came_as() {
    let place = Place::new();
    for via in ["socket", "files", "mmap"] {
        for json in
            ["123456789012345678901234567890", "1.10", "1e400", "{\"b\":1,\"a\":-0.0,\"b2\":1E2}"]
        {
            let script = "export OTTO_TASK_DIR=$PWD OTTO_VIA=$1; otto-set --json t.k \"$2\"; \
                otto-get --json t.k; otto-get t.k; \"$RUST_CLIENT\" read v v; cat v/k.json";
            place.write("v/k.json", "0");
            let script = script.replace("t.k", "pair.k");
            let out = place.serve(&script).args([via, json]).run().ok().stdout;
            assert_eq!(out, format!("{json}\n{json}\n{json}"), "{via}");
        }
    }
}

/// A value goes in as an argument, through standard input, from a file, and comes out the same.
#[test]
fn every_way_into_the_helpers_keeps_every_byte() {
    let place = Place::new();
    for (number, text) in strings().iter().enumerate() {
        place.write(&format!("{number}.in"), text);
        let script = "
            otto-set k.stdin - <$1.in; otto-get -n k.stdin >stdin.out
            otto-set k.file @$1.in; otto-get -n k.file >file.out
            otto-get k.file >line.out
            otto-set k.code --json \"@$1.json\"; otto-get -n k.code >code.out";
        place.write(&format!("{number}.json"), otto_core::Json::string(text).as_str());
        let _ = place.serve(script).arg(number.to_string()).run().ok();
        for way in ["stdin", "file", "code"] {
            assert!(place.read(&format!("{way}.out")) == *text, "{way}: {:.40?}", text);
        }
        assert!(place.read("line.out") == format!("{text}\n"), "line: {:.40?}", text);
    }
}

//! The fuzzer of those who have no nightly compiler: changes of what is in `fuzz/corpus`.

use super::*;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Changes of each dialect's corpus; twenty times as many in a soak run.
const CHANGES: u64 = 1500;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % end.max(1)
    }

    /// A range within `length` bytes, mostly short.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length } else { 8 };
        start..(start + self.below(most + 1)).min(length)
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = repository().join("fuzz/corpus").join(name);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 5, "little in {}", folder.display());
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// What parsers stumble over.
const ODD: [&[u8]; 10] = [
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"9223372036854775807",
    b"-1",
    b"1e999",
    b"\r\n",
    b"\xed\xa0\x80",
    b"\"\\ud800\"",
    b"[[[[[[[[",
    b"",
];

/// One input made of those that are there.
fn changed(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let range = random.range(input.len());
        match random.below(8) {
            0 => drop(input.drain(range)),
            1 => {
                let again = input[range.clone()].repeat(1 + random.below(4));
                input.splice(range.end..range.end, again);
            }
            2 => {
                let other = &corpus[random.below(corpus.len())];
                let from = random.range(other.len());
                input.splice(range, other[from].iter().copied());
            }
            3 => drop(input.splice(range, ODD[random.below(ODD.len())].iter().copied())),
            4 => {
                let long = vec![b"x[\xc30"[random.below(4)]; random.below(3000)];
                input.splice(range, long);
            }
            _ => {
                let at = random.below(input.len());
                if let Some(byte) = input.get_mut(at) {
                    *byte = match random.below(3) {
                        0 => byte.wrapping_add(1),
                        1 => *byte ^ (1 << random.below(8)),
                        _ => u8::try_from(random.below(256)).unwrap(),
                    };
                }
            }
        }
    }
    input.truncate(8192);
    input
}

fn run(dialect: Dialect, name: &str) {
    let corpus = corpus(name);
    let given = std::env::var("OTTO_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed: u64 = given.unwrap_or(u64::from(now.subsec_nanos()));
    let mut random = Random(seed);
    let soak = std::env::var_os("OTTO_SOAK").is_some_and(|value| value == "1");
    let changes = if soak { 20 * CHANGES } else { CHANGES };
    let inputs = corpus.iter().cloned();
    let made = (0..changes).map(|_| changed(&mut random, &corpus));
    for (number, input) in inputs.chain(made).enumerate() {
        if catch_unwind(AssertUnwindSafe(|| check(dialect, &input))).is_err() {
            let kept = repository().join(format!("target/fuzz-failed-{name}"));
            let _ = fs::write(&kept, &input);
            panic!("OTTO_SEED={seed}: input {number} fails; it is kept in {}", kept.display());
        }
    }
}

#[test]
fn changes_of_lines_change_no_rule() {
    run(Dialect::Text, "text");
}

#[test]
fn changes_of_frames_change_no_rule() {
    run(Dialect::Binary, "binary");
}

#[test]
fn changes_of_resp_change_no_rule() {
    run(Dialect::Resp, "resp");
}

/// It must be able to fail.
#[test]
fn a_server_that_answers_otherwise_is_found() {
    assert!(catch_unwind(|| compare(b"GET a\n", b"1\n", b"2\n", "otherwise")).is_err());
    compare(b"STATS\n", b"1\n", b"2\n", "otherwise");
}

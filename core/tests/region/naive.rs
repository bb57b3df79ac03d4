//! Readers that know nothing but the public file: the two programs of `docs/region-format.md` in
//! Python, while a writer never pauses.

use crate::format::program;
use crate::roles::{figures, scaled};
use crate::{own_run, task};
use otto_core::region::{Document, SIZE_DEFAULT};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// An object that shows whether it is whole.
fn object(n: u64) -> String {
    let filler = char::from(b'a' + (n % 26) as u8).to_string();
    format!(r#"{{"n":{n},"pad":"{}"}}"#, filler.repeat((n * 7919 % 20_000) as usize))
}

/// Reads `reads` times with each of the programs; prints how often the plain one was wrong.
fn reader(document: &Document, reads: u64) -> Child {
    let (plain, checker) = (program("reader"), program("checker"));
    let indent = |program: String| program.replace('\n', "\n        ");
    let script = format!(
        "import json, sys, zlib
path = sys.argv[1]
whole = lambda value: value['pad'] == chr(97 + value['n'] % 26) * (value['n'] * 7919 % 20000)
torn = last = 0
for _ in range({reads}):
    try:
        {}
        torn += not whole(value)
    except (ValueError, TypeError, KeyError):
        torn += 1
    if True:
        {}
    assert whole(value), value['n']
    assert value['n'] >= last, (value['n'], last)
    last = value['n']
print(torn)
",
        indent(plain),
        indent(checker)
    );
    let mut python = Command::new("python3");
    python.args(["-c", &script]).arg(document.path()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn the_checker_of_the_page_is_never_fooled() {
    let own = own_run();
    let mut document = Document::create(own.run.id(), &task("t"), SIZE_DEFAULT).unwrap();
    document.write(object(0).as_bytes()).unwrap();
    let (start, reads) = (Instant::now(), scaled(20_000, 1_000_000));
    let mut readers = [reader(&document, reads / 2), reader(&document, reads / 2)];
    let mut n = 0;
    while readers.iter_mut().any(|reader| reader.try_wait().unwrap().is_none()) {
        for _ in 0..100 {
            n += 1;
            document.write(object(n).as_bytes()).unwrap();
        }
    }
    let torn = readers.map(|reader| {
        let output = reader.wait_with_output().unwrap();
        assert!(output.status.success(), "the checker took a torn document");
        String::from_utf8(output.stdout).unwrap().trim().parse::<u64>().unwrap()
    });
    let torn: u64 = torn.iter().sum();
    figures(format_args!(
        "naive-python: {n} writes, {reads} reads without check, {torn} of them torn, {reads} with it, \
         none wrong, {:?}",
        start.elapsed()
    ));
    assert!(torn > 0, "nothing was torn, so the checker had nothing to find");
}

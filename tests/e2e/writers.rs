//! Many writers, one place: no update is lost.

use crate::pairs::client;
use otto_e2e::{DEADLINE, Place, figures, times};
use std::time::Instant;

/// Bash starts a process per update, so by default it takes a twentieth of what it does under
/// `make soak`, as does everybody where there are many.
fn eight_writers(via: &str, updates: u32) {
    let place = Place::new();
    let mut script = format!("export OTTO_VIA={via} OTTO_TASK_DIR=$PWD; writers=\n");
    let mut wanted = 0;
    for language in ["bash", "bash", "python", "python", "python", "rust", "rust", "rust"] {
        let scaled = language == "bash" || updates > UPDATES;
        let updates = if scaled { times(updates) } else { updates };
        wanted += updates;
        let increment = client(language, "increment");
        script += &format!("{increment} shared.count {updates} & writers+=\" $!\"\n");
    }
    script += "for writer in $writers; do wait $writer; done; otto-get shared.count";
    let start = Instant::now();
    let finished = place.serve(&script).within(DEADLINE * 10).run().ok();
    assert_eq!(finished.stdout, format!("{wanted}\n"), "{via}");
    figures(format_args!(
        "lost-update: {via}: 8 writers in bash, Python and Rust, {wanted} updates, 0 lost, {:?}",
        start.elapsed()
    ));
}

const UPDATES: u32 = 1000;

#[test]
fn eight_writers_of_one_document_lose_nothing() {
    eight_writers("mmap", 10 * UPDATES);
}

#[test]
fn eight_writers_of_one_output_file_lose_nothing() {
    eight_writers("files", UPDATES);
}

#[test]
fn eight_writers_of_one_key_of_the_server_lose_nothing() {
    eight_writers("socket", UPDATES);
}

/// Different keys of one output file, each written whole by `set`.
#[test]
fn writers_of_different_keys_keep_each_others() {
    let place = Place::new();
    for via in ["files", "mmap"] {
        let script = format!(
            "export OTTO_VIA={via} OTTO_TASK_DIR=$PWD; writers=
             for i in {{1..8}}; do
               (for j in {{1..20}}; do otto-set t.$i-$j $j; done) & writers+=\" $!\"
             done
             for writer in $writers; do wait $writer; done; otto-list 't.*' | wc -l"
        );
        assert_eq!(place.serve(&script).run().ok().stdout.trim(), "160", "{via}");
    }
}

//! Many writers, one place: no update is lost.

use crate::pairs::client;
use otto_e2e::{DEADLINE, Place, times};

/// Bash starts a process per update, so it takes fewer of them by default, and all of its
/// thousand under `make soak`, as the others always do.
const UPDATES: u32 = 1000;

fn eight_writers(via: &str) {
    let place = Place::new();
    let mut script = format!("export OTTO_VIA={via} OTTO_TASK_DIR=$PWD; writers=\n");
    let mut wanted = 0;
    for language in ["bash", "bash", "python", "python", "python", "rust", "rust", "rust"] {
        let updates = if language == "bash" { times(UPDATES) } else { UPDATES };
        wanted += updates;
        let increment = client(language, "increment");
        script += &format!("{increment} shared.count {updates} & writers+=\" $!\"\n");
    }
    script += "for writer in $writers; do wait $writer; done; otto-get shared.count";
    let finished = place.serve(&script).within(DEADLINE * 10).run().ok();
    assert_eq!(finished.stdout, format!("{wanted}\n"), "{via}");
}

#[test]
fn eight_writers_of_one_document_lose_nothing() {
    eight_writers("mmap");
}

#[test]
fn eight_writers_of_one_output_file_lose_nothing() {
    eight_writers("files");
}

#[test]
fn eight_writers_of_one_key_of_the_server_lose_nothing() {
    eight_writers("socket");
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

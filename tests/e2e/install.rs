//! The installed tree: whole, and good wherever it lies.

use otto_e2e::{Place, prefix, repository};
use std::fs;
use std::path::Path;

fn programs(bin: &Path) -> Vec<String> {
    let entries = fs::read_dir(bin).expect("programs").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Nothing but the folder of the programs is known to the caller, not even on PATH.
#[test]
fn the_tree_works_wherever_it_is_put() {
    let place = Place::new();
    let elsewhere = place.path().join("else where");
    let install = repository().join("scripts/install-tree.sh");
    let copy = || {
        let install = install.to_str().expect("UTF-8");
        place.job(install).arg(prefix()).arg(&elsewhere).run().ok()
    };
    let _ = copy();
    let script = "otto-set --global k v; source \"$OTTO_SH\"; otto_get k
        python3 -c 'import otto; print(otto.get(\"k\"), otto.__file__)'; command -v otto-get";
    let out = place
        .job(elsewhere.join("bin/otto-serve").to_str().expect("UTF-8"))
        .args(["--", "bash", "-euc", script])
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .without("PYTHONPATH")
        .run()
        .ok()
        .stdout;
    let at = elsewhere.display();
    let wanted = format!("v\nv {at}/lib/otto/python/otto/__init__.py\n{at}/bin/otto-get\n");
    assert_eq!(out, wanted);

    // Once more over itself: nothing to do, and nothing is touched.
    let before = fs::metadata(elsewhere.join("bin/otto-set")).and_then(|found| found.modified());
    let _ = copy();
    let after = fs::metadata(elsewhere.join("bin/otto-set")).and_then(|found| found.modified());
    assert_eq!(before.expect("there"), after.expect("there"));
}

#[test]
fn every_program_has_its_page_and_completions() {
    let place = Place::new();
    let share = prefix().join("share");
    for program in programs(&prefix().join("bin")) {
        let page = fs::read_to_string(share.join(format!("man/man1/{program}.1")));
        let page = page.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{program}");
        let zsh = share.join(format!("zsh/site-functions/_{program}"));
        let fish = share.join(format!("fish/vendor_completions.d/{program}.fish"));
        assert!(zsh.exists() && fish.exists(), "{program}");
        let bash = share.join(format!("bash-completion/completions/{program}"));
        let complete = "set +eu; source \"$1\"; complete -p \"$2\"; \
            COMP_WORDS=(\"$2\" --ver) COMP_CWORD=1; \
            $(complete -p \"$2\" | sed -E 's/.*-F ([^ ]+).*/\\1/') \"$2\" --ver \"$2\"; \
            echo \"${COMPREPLY[@]}\"";
        let out = place.bash(complete).arg(bash).arg(&program).run().ok().stdout;
        assert!(out.contains("--version"), "{program}: {out}");
    }
}

/// Only its owner may write to what everybody runs.
#[test]
fn the_tree_is_for_everybody_to_read_and_nobody_to_change() {
    let place = Place::new();
    let copy = place.path().join("copy");
    let install = repository().join("scripts/install-tree.sh");
    let script = "umask 077; exec \"$@\"";
    let _ = place.bash(script).arg(install).arg(prefix()).arg(&copy).run().ok();
    let found = place
        .bash("find \"$1\" -type f ! -perm 644 ! -perm 755; find \"$1\" -type f | wc -l")
        .arg(&copy)
        .run()
        .ok()
        .stdout;
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), 1, "{found}");
    assert!(lines[0].trim().parse::<u32>().is_ok_and(|files| files > 40), "{found}");
}

//! Every example runs, and prints what its comments say it prints.

use otto_e2e::{Place, repository};
use std::fs;
use std::path::PathBuf;

/// What an example says about itself.
fn prints(source: &str) -> Vec<&str> {
    source.lines().filter_map(|line| line.strip_prefix("# Prints: ")).collect()
}

fn examples(file: &str) -> Vec<PathBuf> {
    let folder = fs::read_dir(repository().join("examples")).expect("there are examples");
    let mut files: Vec<PathBuf> = folder
        .flatten()
        .map(|entry| entry.path().join(file))
        .filter(|path| path.exists())
        .collect();
    files.sort();
    files
}

#[test]
fn every_otto_yml_runs() {
    let mut ran = 0;
    for path in examples("otto.yml") {
        let source = fs::read_to_string(&path).expect("an example");
        let wanted = prints(&source);
        if wanted.is_empty() {
            continue;
        }
        // An ordinary user may not get at the packages that the tests install.
        let place = if source.contains("\n# Needs: ") { Place::new() } else { Place::ordinary() };
        let finished = place.otto_run(&source).run().ok();
        for line in wanted {
            assert!(finished.stdout.contains(line), "{path:?}: {line}\n{}", finished.stdout);
        }
        ran += 1;
    }
    assert!(ran >= 4, "only {ran} examples ran");
}

/// What pyarrow reads is the memory that bash filled.
#[test]
fn a_csv_goes_from_bash_to_python_without_a_copy() {
    let example = repository().join("examples/table/otto.yml");
    let source = fs::read_to_string(example).expect("an example");
    let line = "      text = pyarrow.py_buffer(otto.get_dataset(\"measurements\"))\n";
    let check = "      maps = [line.split() for line in open('/proc/self/maps') if '.ds-measurements' in line]
      start, end = (int(address, 16) for address in maps[0][0].split('-'))
      print(len(maps), maps[0][1], start <= text.address and text.address + text.size <= end)
";
    let place = Place::new();
    let checked = source.replace(line, &format!("{line}{check}"));
    let finished = place.otto_run(&checked).run().ok();
    assert!(finished.stdout.contains("1 r--s True\n"), "{}", finished.stdout);
}

#[test]
fn the_makefile_runs_under_otto_serve() {
    for path in examples("Makefile") {
        let source = fs::read_to_string(&path).expect("an example");
        let place = Place::new();
        place.write("Makefile", &source);
        let out = place.job("otto-serve").args(["--", "make", "-s"]).run().ok().stdout;
        for line in prints(&source) {
            assert!(out.contains(line), "{path:?}: {line}\n{out}");
        }
    }
}

#[test]
fn named_streams_need_no_run() {
    let path = repository().join("examples/pipe/run");
    let source = fs::read_to_string(&path).expect("an example");
    let place = Place::new();
    let runtime = place.folder("runtime");
    let job = place.job(path.to_str().expect("UTF-8")).env("XDG_RUNTIME_DIR", &runtime);
    let out = job.run().ok().stdout;
    for line in prints(&source) {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert_eq!(
        place.job("otto-pipe").arg("list").env("XDG_RUNTIME_DIR", runtime).run().ok().stdout,
        ""
    );
}

/// The demo over a folder whose contents are known.
#[test]
fn the_demo_counts_right() {
    let place = Place::new();
    for (name, length) in [("a.txt", 10), ("sub/b.txt", 1 << 20), ("c", 0), ("é ü.rs", 7)] {
        place.write(&format!("root/{name}"), vec![b'x'; length]);
    }
    let demo = repository().join("examples/demo/run");
    let out = place.path().join("out");
    let finished = place
        .job(demo.to_str().expect("UTF-8"))
        .arg(&out)
        .env("DEMO_ROOT", place.path().join("root"))
        .run()
        .ok();
    let report = place.read("out/report.txt");
    assert!(finished.stdout.contains(&report), "{}", finished.stdout);
    let root = place.path().join("root");
    let first = format!("4 files under {}, 1 MiB", root.display());
    assert_eq!(report.lines().next(), Some(first.as_str()), "{report}");
    assert!(report.contains("median size    10 bytes, largest 1048576"), "{report}");
    assert!(report.contains("empty          1\n"), "{report}");
    let line = finished.stdout.lines().find(|line| line.starts_with("every task's results:"));
    let folder = line.and_then(|line| line.split_whitespace().last()).expect("the last line");
    assert!(PathBuf::from(folder).join("report/stdout.log").exists(), "{folder}");
}

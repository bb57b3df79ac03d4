//! Every instruction and every system call of what writers do, as the point where they die.

use crate::roles::{assigned, checked_object, figures, number_of};
use crate::traced::{self, Traced};
use crate::{OwnRun, own_run, task};
use otto_core::region::Document;
use otto_core::run::RunId;
use otto_core::{ErrorKind, Object};
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Of [`checked_object`]: a small one, and one for which the file has to grow.
const OLD: u64 = 0;
const NEW: u64 = 19;

fn object(n: u64) -> Object {
    Object::parse(checked_object(n).as_bytes()).unwrap()
}

/// Does to the document `t` what its place names, between two marks.
#[test]
fn role_marked() {
    let Some((operation, run)) = assigned("stepped::role_marked") else { return };
    let (run, new) = (RunId(run), checked_object(NEW));
    let open = || Document::open(run, &task("t")).unwrap();
    match operation.to_str().unwrap() {
        "write" => {
            let mut document = open();
            traced::begin();
            document.write(new.as_bytes()).unwrap();
            traced::end();
        }
        "update" => {
            let (mut document, new) = (open(), object(NEW));
            traced::begin();
            document
                .update(|object| {
                    *object = new;
                    Ok(())
                })
                .unwrap();
            traced::end();
        }
        "create" => {
            traced::begin();
            let mut document = Document::create(run, &task("t"), 16).unwrap();
            document.write(new.as_bytes()).unwrap();
            traced::end();
        }
        "recover" => {
            traced::begin();
            open().read().unwrap();
            traced::end();
        }
        other => panic!("{other}: no such operation"),
    }
}

/// The two files of a document, as they stand in memory.
#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    public: Vec<u8>,
    control: Vec<u8>,
}

impl State {
    fn of(run: RunId, name: &str) -> State {
        State {
            public: fs::read(run.document_path(&task(name))).unwrap(),
            control: fs::read(run.control_path(&task(name))).unwrap(),
        }
    }

    fn put(&self, run: RunId, name: &str) {
        fs::write(run.document_path(&task(name)), &self.public).unwrap();
        fs::write(run.control_path(&task(name)), &self.control).unwrap();
    }

    fn sequence(&self) -> u64 {
        u64::from_le_bytes(*self.control[0x40..].first_chunk().unwrap())
    }

    /// What readers find when this is all that is left: a whole document, also for those who read the
    /// public file alone. Writers find the same, or what a dead writer had committed already.
    fn survivors_find(&self, run: RunId) -> u64 {
        self.put(run, "copy");
        let mut document = Document::open(run, &task("copy")).unwrap();
        let read = number_of(&document.read().unwrap()).expect("a torn document");
        let json = checked_object(read).into_bytes();
        assert_eq!(State::of(run, "copy").public[4..][..json.len()], json, "not finished");
        self.put(run, "copy");
        let found = document
            .update(|found| {
                let read = number_of(&found.to_bytes());
                *found = object(7);
                Ok(read)
            })
            .unwrap();
        assert!(found >= Some(read), "{found:?} for writers, {read} for readers");
        assert_eq!(number_of(&document.read().unwrap()), Some(7));
        read
    }
}

fn old_document(run: RunId) {
    let mut document = Document::create(run, &task("t"), 16).unwrap();
    document.write(checked_object(OLD).as_bytes()).unwrap();
}

fn remove(run: RunId, name: &str) {
    for path in [run.document_path(&task(name)), run.control_path(&task(name))] {
        let _ = fs::remove_file(path);
    }
}

/// Steps `operation` through; every state it leaves behind on its way is looked at. Returns them.
fn step(own: &OwnRun, operation: &str) -> Vec<State> {
    let (run, start) = (own.run.id(), Instant::now());
    let mut reader = Document::open(run, &task("t")).unwrap();
    let traced = Traced::start("stepped::role_marked", Path::new(operation), run.0);
    let mut states = vec![State::of(run, "t")];
    let (mut last, mut last_alone) = (0, 0);
    let mut steps = 0_u64;
    while traced.step() {
        steps += 1;
        let state = State::of(run, "t");
        if states.last() == Some(&state) {
            continue;
        }
        // The writer stands still, perhaps with the lock: readers are not held up. Dead, it may have
        // written what it still could take back.
        let read = number_of(reader.snapshot().unwrap()).expect("a torn document");
        let alone = state.survivors_find(run);
        let found =
            format!("{operation}, step {steps}: {read} after {last}, {alone} after {last_alone}");
        assert!(last <= read && last_alone <= alone && read <= alone, "{found}");
        (last, last_alone) = (read, alone);
        // Unless that reader has just mended it.
        states.push(State::of(run, "t"));
    }
    assert_eq!(last, NEW, "{operation}: not done");
    figures(format_args!(
        "step-kill: {operation}: {steps} instructions, {} states, 0 bad, {:?}",
        states.len(),
        start.elapsed()
    ));
    states
}

#[test]
fn writers_and_menders_may_die_at_any_instruction() {
    let own = own_run();
    let run = own.run.id();
    let mut committed = None;
    for operation in ["write", "update"] {
        remove(run, "t");
        old_document(run);
        let states = step(&own, operation);
        committed = states.into_iter().find(|state| state.sequence() % 2 == 1);
        assert!(committed.is_some(), "{operation}: no commit was seen");
    }
    // What was committed and not copied, for the one who finishes it.
    remove(run, "t");
    committed.unwrap().put(run, "t");
    step(&own, "recover");
}

/// Kills `operation` before its call number `calls` (from 0); false when it has fewer.
fn kill_before_call(own: &OwnRun, operation: &str, calls: u32) -> bool {
    let traced = Traced::start("stepped::role_marked", Path::new(operation), own.run.id().0);
    (0..calls).all(|_| traced.enter_call() && traced.leave_call()) && traced.enter_call()
}

#[test]
fn writers_and_menders_may_die_before_any_system_call() {
    let own = own_run();
    let run = own.run.id();
    old_document(run);
    let mut committed = None;
    for operation in ["write", "update", "create", "recover"] {
        let (mut calls, mut last) = (0, OLD);
        loop {
            remove(run, "t");
            match operation {
                "create" => {}
                "recover" => State::put(committed.as_ref().unwrap(), run, "t"),
                _ => old_document(run),
            }
            let goes_on = kill_before_call(&own, operation, calls);
            let what = format!("{operation}, call {calls}");
            let found = match Document::open(run, &task("t")) {
                Err(error) if operation == "create" => {
                    assert_eq!(error.kind(), ErrorKind::NotFound, "{what}: {error}");
                    OLD
                }
                Err(error) => panic!("{what}: {error}"),
                Ok(mut document) => {
                    let state = State::of(run, "t");
                    if state.sequence() % 2 == 1 && operation == "write" {
                        committed = Some(state);
                    }
                    let json = document.read().unwrap();
                    let empty = operation == "create" && json.is_empty();
                    number_of(&json).or(empty.then_some(OLD)).expect("a torn document")
                }
            };
            assert!(found == OLD || found == NEW, "{what}: {found}");
            assert!(found >= last, "{what}: {found} after {last}");
            last = found;
            // The lock went with its holder, and whatever is left is written on.
            let mut document = Document::create(run, &task("t"), 16).unwrap();
            document.write(checked_object(7).as_bytes()).unwrap();
            assert_eq!(number_of(&document.read().unwrap()), Some(7), "{what}");
            if !goes_on {
                break;
            }
            calls += 1;
        }
        assert_eq!(last, NEW, "{operation}: not done after all its calls");
        figures(format_args!("syscall-kill: {operation}: each of {calls} calls, 0 bad"));
    }
}

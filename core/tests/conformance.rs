//! One suite for everything that keeps values: files, documents, the socket.
#![allow(missing_docs, clippy::unwrap_used)]

use otto_core::files::FileStore;
use otto_core::region::DocumentStore;
use otto_core::run::{Descendants, Run};
use otto_core::socket::{Client, Options, Running, Server};
use otto_core::{Condition, Error, ErrorKind, Json, Key, Pattern, TaskName, Values};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a transport needs around it, and how to connect once more.
trait Transport {
    fn start() -> Self;
    fn connect(&self) -> Box<dyn Values + Send>;
}

struct Files(TempDir);

impl Transport for Files {
    fn start() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn connect(&self) -> Box<dyn Values + Send> {
        let own = TaskName::parse("own").unwrap();
        Box::new(FileStore::open(self.0.path(), Some(own)).unwrap())
    }
}

/// Task folders side by side, as under otto-run.
struct TaskFolders(TempDir);

impl Transport for TaskFolders {
    fn start() -> TaskFolders {
        let folder = tempfile::tempdir().unwrap();
        for task in ["own", "t", "_"] {
            std::fs::create_dir(folder.path().join(task)).unwrap();
        }
        TaskFolders(folder)
    }

    fn connect(&self) -> Box<dyn Values + Send> {
        let own = TaskName::parse("own").unwrap();
        Box::new(FileStore::open(&self.0.path().join("own"), Some(own)).unwrap())
    }
}

/// A process owns one run at a time.
static ONE_RUN: Mutex<()> = Mutex::new(());

struct Documents {
    run: Run,
    _alone: MutexGuard<'static, ()>,
}

impl Transport for Documents {
    fn start() -> Documents {
        let alone = ONE_RUN.lock().unwrap_or_else(PoisonError::into_inner);
        Documents { run: Run::create(Descendants::Left).unwrap(), _alone: alone }
    }

    fn connect(&self) -> Box<dyn Values + Send> {
        Box::new(DocumentStore::open(self.run.id()))
    }
}

struct Socket {
    running: Running,
    _folder: TempDir,
}

impl Transport for Socket {
    fn start() -> Socket {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("otto.sock");
        let running = Server::bind(&path, Options::default()).unwrap().spawn();
        Socket { running, _folder: folder }
    }

    fn connect(&self) -> Box<dyn Values + Send> {
        let path: &Path = self.running.path();
        Box::new(Client::connect(path).unwrap())
    }
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn all(values: &mut dyn Values) -> Vec<String> {
    values.list(&Pattern::all()).unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    let error = result.unwrap_err();
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error.kind()
}

fn values_survive_byte_for_byte<T: Transport>() {
    let transport = T::start();
    let (mut writer, mut reader) = (transport.connect(), transport.connect());
    let long = "x".repeat(1 << 20);
    let text = [
        "",
        " ",
        "\n",
        "a\nb\r\n\n",
        "\"'`\\",
        "$HOME $(id) ${x}",
        "😀 ß 日本 \u{0}\u{1f}\u{7f}",
        "1.10",
        "-5",
        "null",
        "{}",
        "\u{2028}\u{feff}",
        &long,
    ];
    let mut all: Vec<Json> = text.iter().map(|text| Json::string(text)).collect();
    let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    for text in [
        "null",
        "true",
        "0",
        "-0",
        "1.10",
        "9007199254740993",
        "123456789012345678901234567890",
        "1e400",
        r#"{"z":1,"a":{"b":[1,2.0,{"c":null}],"":""}}"#,
        r#""\u0041\ud83d\ude00""#,
        "[]",
        &nested,
    ] {
        all.push(json(text));
    }
    for (number, value) in all.iter().enumerate() {
        let name = key(&format!("t.value{number}"));
        writer.set(&name, value, Condition::Always).unwrap();
        assert_eq!(reader.get(&name).unwrap().as_ref(), Some(value));
    }
    // All of them are still there, and the same, after the last.
    for (number, value) in all.iter().enumerate() {
        assert_eq!(reader.get(&key(&format!("t.value{number}"))).unwrap().as_ref(), Some(value));
    }
}

fn keys_of_every_kind<T: Transport>() {
    let transport = T::start();
    let mut values = transport.connect();
    let keys = [
        "plain",
        "täsk-less",
        "own.a",
        "own.a.b.c",
        "t.ключ",
        "t.\"quoted\"",
        "t.\\",
        "t.$x",
        "t.",
        "t:linux.x",
        "t_1-2.x",
    ];
    for (number, name) in keys.iter().enumerate() {
        values.set(&key(name), &Json::number(number as i64), Condition::Always).unwrap();
    }
    for (number, name) in keys.iter().enumerate() {
        assert_eq!(values.get(&key(name)).unwrap(), Some(Json::number(number as i64)), "{name}");
    }
    let mut sorted = keys.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(all(&mut *values), sorted);
}

fn what_is_absent<T: Transport>() {
    let transport = T::start();
    let mut values = transport.connect();
    assert!(all(&mut *values).is_empty());
    for name in ["none", "own.none", "t.none", "nobody.none"] {
        assert_eq!(values.get(&key(name)).unwrap(), None);
        assert_eq!(kind(values.delete(&key(name))), ErrorKind::NotFound);
    }
    // A miss leaves nothing behind.
    assert!(all(&mut *values).is_empty());
    values.set(&key("t.a"), &Json::null(), Condition::Always).unwrap();
    assert_eq!(values.get(&key("t.a")).unwrap(), Some(Json::null()), "null is a value");
    assert_eq!(values.get(&key("t.A")).unwrap(), None);
    values.delete(&key("t.a")).unwrap();
    assert_eq!(values.get(&key("t.a")).unwrap(), None);
    assert_eq!(kind(values.delete(&key("t.a"))), ErrorKind::NotFound);
}

fn listing_by_pattern<T: Transport>() {
    let transport = T::start();
    let mut values = transport.connect();
    for name in ["b", "own.x", "t.b", "t.a", "t.aé"] {
        values.set(&key(name), &Json::number(1), Condition::Always).unwrap();
    }
    let mut list = |pattern: &str| values.list(&Pattern::parse(pattern).unwrap()).unwrap();
    assert_eq!(list("*"), ["b", "own.x", "t.a", "t.aé", "t.b"]);
    assert_eq!(list("t.*"), ["t.a", "t.aé", "t.b"]);
    assert_eq!(list("t.?"), ["t.a", "t.b"]);
    assert_eq!(list("t.a?"), ["t.aé"]);
    assert_eq!(list("t.a"), ["t.a"]);
    assert_eq!(list("?"), ["b"]);
    assert!(list("nobody.*").is_empty());
    assert!(list("nobody.x").is_empty());
}

fn conditions<T: Transport>() {
    let transport = T::start();
    let (mut one, mut two) = (transport.connect(), transport.connect());
    let name = key("t.once");
    one.set(&name, &Json::number(1), Condition::IfAbsent).unwrap();
    assert_eq!(kind(two.set(&name, &Json::number(2), Condition::IfAbsent)), ErrorKind::Condition);
    assert_eq!(one.get(&name).unwrap(), Some(Json::number(1)));
    two.set(&name, &Json::number(3), Condition::Always).unwrap();
    assert_eq!(one.get(&name).unwrap(), Some(Json::number(3)));
    one.delete(&name).unwrap();
    two.set(&name, &Json::number(4), Condition::IfAbsent).unwrap();

    // Revisions: numbered by the socket, refused in one line elsewhere.
    match one.get_with_revision(&name) {
        Ok(found) => {
            let (revision, value) = found.unwrap();
            assert_eq!(value, Json::number(4));
            one.set(&name, &Json::number(5), Condition::IfRevision(revision)).unwrap();
            let stale = one.set(&name, &Json::number(6), Condition::IfRevision(revision));
            assert_eq!(kind(stale), ErrorKind::Condition);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Usage);
            let refused = one.set(&name, &Json::number(5), Condition::IfRevision(1));
            assert_eq!(kind(refused), ErrorKind::Usage);
        }
    }
}

fn increments<T: Transport>() {
    let transport = T::start();
    let mut values = transport.connect();
    let name = key("t.n");
    assert_eq!(values.increment(&name, 2).unwrap(), 2);
    assert_eq!(values.increment(&name, -5).unwrap(), -3);
    assert_eq!(values.get(&name).unwrap(), Some(json("-3")));
    values.set(&name, &Json::string("41"), Condition::Always).unwrap();
    assert_eq!(values.increment(&name, 1).unwrap(), 42);
    for bad in ["\"x\"", "1.5", "[1]", "null", "9223372036854775807"] {
        values.set(&name, &json(bad), Condition::Always).unwrap();
        values.increment(&name, 1).unwrap_err();
        assert_eq!(values.get(&name).unwrap(), Some(json(bad)), "stays as it was");
    }
}

fn lists<T: Transport>() {
    let transport = T::start();
    let mut values = transport.connect();
    let name = key("t.list");
    assert_eq!(values.append(&name, &Json::string("a")).unwrap(), 1);
    assert_eq!(values.append(&name, &json("[1.10]")).unwrap(), 2);
    assert_eq!(values.get(&name).unwrap(), Some(json("[\"a\",[1.10]]")));
    values.set(&name, &json("[ ]"), Condition::Always).unwrap();
    assert_eq!(values.append(&name, &Json::null()).unwrap(), 1);
    for bad in ["\"[]\"", "1", "{}", "null"] {
        values.set(&name, &json(bad), Condition::Always).unwrap();
        let error = values.append(&name, &Json::null()).unwrap_err();
        assert_eq!(error.to_string(), "t.list: the value is no list");
        assert_eq!(values.get(&name).unwrap(), Some(json(bad)), "stays as it was");
    }
}

fn many_writers_lose_nothing<T: Transport>() {
    let transport = T::start();
    let writers: Vec<_> = (0..4)
        .map(|number| {
            let mut values = transport.connect();
            thread::spawn(move || {
                for turn in 0..50 {
                    values.increment(&key("t.count"), 1).unwrap();
                    let own = key(&format!("t.writer{number}"));
                    values.set(&own, &Json::number(turn), Condition::Always).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let mut values = transport.connect();
    assert_eq!(values.get(&key("t.count")).unwrap(), Some(Json::number(200)));
    for number in 0..4 {
        let own = key(&format!("t.writer{number}"));
        assert_eq!(values.get(&own).unwrap(), Some(Json::number(49)));
    }
}

fn waiting<T: Transport>() {
    let transport = T::start();
    let mut values = transport.connect();
    let ready = key("t.ready");
    let start = Instant::now();
    let deadline = start + Duration::from_millis(150);
    let timed_out = values.wait(&ready, Some(deadline), &mut || Ok(()));
    assert_eq!(kind(timed_out), ErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(150));

    // A tick ends the wait with its own error.
    let mut ticks = 0;
    let stopped = values.wait(&ready, None, &mut || {
        ticks += 1;
        if ticks < 3 { Ok(()) } else { Err(Error::new(ErrorKind::Interrupted, "stop")) }
    });
    assert_eq!(kind(stopped), ErrorKind::Interrupted);

    // What others set meanwhile wakes it: first where nothing is yet, then beside what is there.
    let mut values = transport.connect();
    for (name, number) in [("t.first", 1), ("t.second", 2), ("other", 3)] {
        let mut writer = transport.connect();
        let mut ticked = false;
        let mut setter = None;
        let found =
            values.wait(&key(name), Some(Instant::now() + Duration::from_secs(20)), &mut || {
                // The first tick shows that the wait has begun.
                if !ticked {
                    ticked = true;
                    let mut writer = std::mem::replace(&mut writer, transport.connect());
                    setter = Some(thread::spawn(move || {
                        writer.set(&key(name), &Json::number(number), Condition::Always).unwrap();
                    }));
                }
                Ok(())
            });
        assert_eq!(found.unwrap(), Json::number(number));
        setter.unwrap().join().unwrap();
    }
    // What is there already is returned at once, deadline or not.
    assert_eq!(values.wait(&key("t.first"), Some(start), &mut || Ok(())).unwrap(), Json::number(1));
}

fn too_large_a_value<T: Transport>() {
    let transport = T::start();
    let mut values = transport.connect();
    let name = key("t.large");
    let fits = Json::string(&"x".repeat((16 << 20) - 2));
    values.set(&name, &fits, Condition::Always).unwrap();
    let over = Json::string(&"x".repeat((16 << 20) - 1));
    let refused = values.set(&name, &over, Condition::Always).unwrap_err();
    assert_eq!(refused.exit_status(), 1);
    assert!(refused.to_string().contains("dataset"), "{refused}");
    assert_eq!(values.get(&name).unwrap(), Some(fits));
}

macro_rules! conforms {
    ($name:ident, $transport:ty) => {
        mod $name {
            use super::*;

            #[test]
            fn values_survive_byte_for_byte() {
                super::values_survive_byte_for_byte::<$transport>();
            }
            #[test]
            fn keys_of_every_kind() {
                super::keys_of_every_kind::<$transport>();
            }
            #[test]
            fn what_is_absent() {
                super::what_is_absent::<$transport>();
            }
            #[test]
            fn listing_by_pattern() {
                super::listing_by_pattern::<$transport>();
            }
            #[test]
            fn conditions() {
                super::conditions::<$transport>();
            }
            #[test]
            fn increments() {
                super::increments::<$transport>();
            }
            #[test]
            fn lists() {
                super::lists::<$transport>();
            }
            #[test]
            fn many_writers_lose_nothing() {
                super::many_writers_lose_nothing::<$transport>();
            }
            #[test]
            fn waiting() {
                super::waiting::<$transport>();
            }
            #[test]
            fn too_large_a_value() {
                super::too_large_a_value::<$transport>();
            }
        }
    };
}

conforms!(files, Files);
conforms!(task_folders, TaskFolders);
conforms!(documents, Documents);
conforms!(socket, Socket);

/// Keys that can't name a file or document are refused there, in one line.
#[test]
fn tasks_that_can_be_no_names_are_refused_by_files_and_documents() {
    fn check<T: Transport>() {
        let transport = T::start();
        let mut values = transport.connect();
        for name in ["../x.y", "a/b.c", ".c", "täsk.a", "_.a"] {
            let name = key(name);
            assert_eq!(kind(values.set(&name, &Json::null(), Condition::Always)), ErrorKind::Usage);
            assert_eq!(kind(values.get(&name)), ErrorKind::Usage);
            assert_eq!(kind(values.delete(&name)), ErrorKind::Usage);
            assert_eq!(kind(values.increment(&name, 1)), ErrorKind::Usage);
            assert_eq!(kind(values.wait(&name, None, &mut || Ok(()))), ErrorKind::Usage);
        }
        assert!(all(&mut *values).is_empty());
    }
    check::<Files>();
    check::<Documents>();
}

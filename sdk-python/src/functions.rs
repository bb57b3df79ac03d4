//! The functions of `otto` about values and events.

use crate::arguments::{Revision, Seconds, Step, Text};
use crate::errors::{lift, usage};
use crate::place::Place;
use crate::subscription::{Start, Subscription};
use crate::values::{self, Fallback};
use otto_core::Key;
use otto_core::run::variable;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Stores `value`, anything JSON can say, under `name`.
///
/// Inside a task the key is `<task>.<name>`; with scope="global", or outside a task, it is `name`
/// as given. With `if_absent` or `if_revision` (0: absent) it is stored only if that holds, and
/// `ConditionFailed` raised otherwise. With `ttl` it is removed after so many seconds, unless it is
/// stored again before. `via` names the transport: "socket", "files" or "mmap".
///
/// >>> import otto
/// >>> with otto.serve(task="build"):
/// ...     otto.set("version", "1.2.3")
/// ...     otto.set("channel", "beta", scope="global")
/// ...     otto.list_keys()
/// ['build.version', 'channel']
#[pyfunction]
#[pyo3(signature = (name, value, *, scope="task", if_absent=false, if_revision=None, ttl=None, via=None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn set(
    py: Python<'_>,
    name: Text<'_>,
    value: &Bound<'_, PyAny>,
    scope: &str,
    if_absent: bool,
    if_revision: Option<Revision>,
    ttl: Option<Seconds>,
    via: Option<Text<'_>>,
) -> PyResult<()> {
    let condition = values::condition(py, if_absent, if_revision)?;
    let key = scoped(py, name, scope, None)?;
    match ttl {
        None => values::set(py, &lift(py, Place::choose(via.as_deref()))?, &key, value, condition),
        Some(_) => {
            let server = lift(py, Place::server(via.as_deref(), "a time to live"))?;
            values::set_for(py, server, &key, value, condition, ttl)
        }
    }
}

/// The key that `name` is in this scope, of the task this process belongs to, or of `task`.
pub(crate) fn scoped(
    py: Python<'_>,
    name: Text<'_>,
    scope: &str,
    task: Option<Option<&str>>,
) -> PyResult<Key> {
    // Checked by itself first, so that the message shows what the user wrote.
    let key = lift(py, Key::parse(&name))?;
    let of = |task: &str| lift(py, Key::parse(&format!("{task}.{}", &*name)));
    match (scope, task) {
        ("global", _) | ("task", Some(None)) => Ok(key),
        ("task", Some(Some(task))) => of(task),
        ("task", None) => {
            let task = |name| std::env::var(name).ok().filter(|task| !task.is_empty());
            match task(variable::TASK_NAME).or_else(|| task(variable::TASK)) {
                Some(task) => of(&task),
                None => Ok(key),
            }
        }
        _ => Err(usage(py, format!("scope is {scope:?}: give \"task\" or \"global\""))),
    }
}

/// The value of `key`, written `<task>.<name>`; `default` where there is none.
///
/// Raises `NotFound`, a `KeyError`, where there is none and no default was given.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.set("build.sizes", {"app": 12, "lib": [3, 4]})
/// ...     otto.get("build.sizes")["lib"]
/// ...     otto.get("build.flags", default="-O2")
/// [3, 4]
/// '-O2'
#[pyfunction]
#[pyo3(signature = (key, default=Fallback::Raise, *, via=None))]
pub(crate) fn get<'py>(
    py: Python<'py>,
    key: Text<'_>,
    default: Fallback<'py>,
    via: Option<Text<'_>>,
) -> PyResult<Bound<'py, PyAny>> {
    values::get(py, &lift(py, Place::choose(via.as_deref()))?, key, default)
}

/// The values of many keys for the price of one call; `default` for each that is absent.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.set("a", 1)
/// ...     otto.get_many(["a", "b"], default=0)
/// [1, 0]
#[pyfunction]
#[pyo3(signature = (keys, default=None, *, via=None))]
pub(crate) fn get_many<'py>(
    py: Python<'py>,
    keys: &Bound<'py, PyAny>,
    default: Option<Bound<'py, PyAny>>,
    via: Option<Text<'_>>,
) -> PyResult<Bound<'py, PyList>> {
    values::get_many(py, &lift(py, Place::choose(via.as_deref()))?, keys, default)
}

/// The number of the last write to `key` and its value, for `set(..., if_revision=...)`.
///
/// Only the socket numbers writes. Raises `NotFound` where there is no value.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.set("owner", "a")
/// ...     revision, owner = otto.get_with_revision("owner")
/// ...     otto.set("owner", "b", if_revision=revision)
/// ...     otto.set("owner", "c", if_revision=revision)
/// Traceback (most recent call last):
/// otto.errors.ConditionFailed: conflict: owner
#[pyfunction]
#[pyo3(signature = (key, *, via=None))]
pub(crate) fn get_with_revision<'py>(
    py: Python<'py>,
    key: Text<'_>,
    via: Option<Text<'_>>,
) -> PyResult<(u64, Bound<'py, PyAny>)> {
    values::get_with_revision(py, &lift(py, Place::choose(via.as_deref()))?, key)
}

/// Waits until `key` is present and returns its value.
///
/// After `timeout` seconds `TimedOut` is raised, or `default` returned if one was given.
/// `ProducerEnded` is raised as soon as nobody is left to set the key.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.set("build.ready", True)
/// ...     otto.wait("build.ready", timeout=30)
/// ...     otto.wait("build.never", timeout=0.01, default=None)
/// True
#[pyfunction]
#[pyo3(signature = (key, timeout=None, *, default=Fallback::Raise, via=None))]
pub(crate) fn wait<'py>(
    py: Python<'py>,
    key: Text<'_>,
    timeout: Option<Seconds>,
    default: Fallback<'py>,
    via: Option<Text<'_>>,
) -> PyResult<Bound<'py, PyAny>> {
    values::wait(py, &lift(py, Place::choose(via.as_deref()))?, key, timeout, default)
}

/// The keys that match `pattern`, sorted: `*` is any run of characters, `?` any one.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     for name in "build.a", "build.b", "test.a":
/// ...         otto.set(name, 0)
/// ...     otto.list_keys("build.*")
/// ['build.a', 'build.b']
#[pyfunction]
#[pyo3(
    signature = (pattern=Text("*"), *, via=None),
    text_signature = "(pattern='*', *, via=None)"
)]
pub(crate) fn list_keys(
    py: Python<'_>,
    pattern: Text<'_>,
    via: Option<Text<'_>>,
) -> PyResult<Vec<String>> {
    values::list_keys(py, &lift(py, Place::choose(via.as_deref()))?, pattern)
}

/// Removes `key`; raises `NotFound`, a `KeyError`, where there is none.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.set("build.version", "1.2.3")
/// ...     otto.delete("build.version")
/// ...     otto.list_keys()
/// []
#[pyfunction]
#[pyo3(signature = (key, *, via=None))]
pub(crate) fn delete(py: Python<'_>, key: Text<'_>, via: Option<Text<'_>>) -> PyResult<()> {
    values::delete(py, &lift(py, Place::choose(via.as_deref()))?, key)
}

/// Adds `by` to the integer under `key`, absent being 0, and returns the sum.
///
/// No addition is lost, whoever else adds at the same time.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.incr("build.count")
/// ...     otto.incr("build.count", 41)
/// 1
/// 42
#[pyfunction]
#[pyo3(
    signature = (key, by=Step(1), *, via=None),
    text_signature = "(key, by=1, *, via=None)"
)]
pub(crate) fn incr(
    py: Python<'_>,
    key: Text<'_>,
    by: Step,
    via: Option<Text<'_>>,
) -> PyResult<i64> {
    values::incr(py, &lift(py, Place::choose(via.as_deref()))?, key, by)
}

/// Adds `value` at the end of the list under `key`, absent being empty, and returns its length.
///
/// No element is lost, whoever else adds at the same time.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.append("build.log", "compiled")
/// ...     otto.append("build.log", {"linked": True})
/// ...     otto.get("build.log")
/// 1
/// 2
/// ['compiled', {'linked': True}]
#[pyfunction]
#[pyo3(signature = (key, value, *, via=None))]
pub(crate) fn append(
    py: Python<'_>,
    key: Text<'_>,
    value: &Bound<'_, PyAny>,
    via: Option<Text<'_>>,
) -> PyResult<u64> {
    values::append(py, &lift(py, Place::choose(via.as_deref()))?, key, value)
}

/// How many seconds `key` will still be there, None where nothing removes it.
///
/// Raises `NotFound`, a `KeyError`, where there is none.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.set("session", "abc", ttl=60)
/// ...     otto.set("version", "1.2.3")
/// ...     59 < otto.ttl("session") <= 60, otto.ttl("version")
/// (True, None)
#[pyfunction]
pub(crate) fn ttl(py: Python<'_>, key: Text<'_>) -> PyResult<Option<f64>> {
    values::ttl(py, lift(py, Place::server(None, "ttl"))?, key)
}

/// Tells the subscribers of `channel`; nothing is stored.
///
/// >>> import otto
/// >>> with otto.serve(), otto.subscribe("news") as news:
/// ...     otto.publish("news", {"level": 3})
/// ...     event = next(news)
/// ...     print(event.event, event.value)
/// publish {'level': 3}
#[pyfunction]
pub(crate) fn publish(py: Python<'_>, channel: Text<'_>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    values::publish(py, lift(py, Place::server(None, "publish"))?, channel, value)
}

/// Figures about the server, as a dict.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.set("a", 1)
/// ...     otto.stats()["keys"]
/// 1
#[pyfunction]
pub(crate) fn stats(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    values::stats(py, lift(py, Place::server(None, "stats"))?)
}

/// Every change of the keys and channels that match `pattern`.
///
/// From now on; with `from_` "start" those that were made before come first, with a number those
/// from that number on. Iterating waits for the next event, up to `timeout` seconds each, after
/// which `TimedOut` is raised and iterating may go on; in a coroutine `async for` does the same, and
/// a task that is cancelled has lost no event. A lost connection is made anew, and the events go on
/// where they had stopped, none missing and none twice. Where the server no longer has what was
/// missed, an event "gap" says so.
///
/// >>> import otto
/// >>> with otto.serve():
/// ...     otto.set("build.ready", True)
/// ...     events = otto.subscribe("build.*", from_="start", timeout=10)
/// ...     otto.delete("build.ready")
/// ...     for event in events:
/// ...         print(event.event, event.key, event.value)
/// ...         if event.event == "delete":
/// ...             break
/// set build.ready True
/// delete build.ready None
///
/// >>> import asyncio
/// >>> async def first():
/// ...     async with otto.subscribe(from_="start") as events:
/// ...         async for event in events:
/// ...             return event.key
/// >>> with otto.serve():
/// ...     otto.set("version", "1.2.3")
/// ...     asyncio.run(first())
/// 'version'
#[pyfunction]
#[pyo3(
    signature = (pattern=Text("*"), *, from_=Start::NOW, timeout=None),
    text_signature = "(pattern='*', *, from_='now', timeout=None)"
)]
pub(crate) fn subscribe(
    py: Python<'_>,
    pattern: Text<'_>,
    from_: Start,
    timeout: Option<Seconds>,
) -> PyResult<Subscription> {
    Subscription::open(py, &lift(py, Place::server(None, "subscribe"))?, pattern, from_, timeout)
}

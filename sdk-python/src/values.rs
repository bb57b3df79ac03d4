//! Values by key: what `otto`'s functions and `OttoClient`'s methods both do.

use crate::arguments::{Revision, Seconds, Step, Text};
use crate::batch::set_operation;
use crate::convert::{from_json, to_json};
use crate::crossing::deadline;
use crate::errors::{lift, usage};
use crate::place::{Place, Store};
use otto_core::{Condition, Error, ErrorKind, Json, Key, Pattern};
use pyo3::prelude::*;
use pyo3::types::PyList;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time to live, in seconds, as the server has it.
const TTL_SECONDS_MAX: f64 = 3_155_760_000.0;

/// What to return where there is no value.
pub(crate) enum Fallback<'py> {
    /// Nothing: raise.
    Raise,
    /// This.
    Use(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Fallback<'py> {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Fallback::Use(object.to_owned()))
    }
}

/// The condition that `if_absent` and `if_revision` make.
pub(crate) fn condition(
    py: Python<'_>,
    if_absent: bool,
    if_revision: Option<Revision>,
) -> PyResult<Condition> {
    match (if_absent, if_revision) {
        (false, None) => Ok(Condition::Always),
        (true, None) => Ok(Condition::IfAbsent),
        (false, Some(Revision(revision))) => Ok(Condition::IfRevision(revision)),
        (true, Some(_)) => Err(usage(py, "give if_absent or if_revision, not both")),
    }
}

pub(crate) fn set(
    py: Python<'_>,
    place: &Place,
    key: &Key,
    value: &Bound<'_, PyAny>,
    condition: Condition,
) -> PyResult<()> {
    let value = to_json(value)?;
    place.with(py, |store, _| store.values().set(key, &value, condition))
}

/// Stores `value`, as a batch of one: what SET does not have.
pub(crate) fn set_for(
    py: Python<'_>,
    server: PathBuf,
    key: &Key,
    value: &Bound<'_, PyAny>,
    condition: Condition,
    ttl: Option<Seconds>,
) -> PyResult<()> {
    let operation = set_operation(py, key, value, condition, ttl)?;
    Place::with_client(py, server, |client, _| client.batch(&[operation])).map(drop)
}

/// A time to live.
pub(crate) fn seconds(py: Python<'_>, ttl: Seconds) -> PyResult<Duration> {
    let Seconds(ttl) = ttl;
    match Duration::try_from_secs_f64(ttl) {
        Ok(time) if !time.is_zero() && ttl <= TTL_SECONDS_MAX => Ok(time),
        _ => Err(usage(py, format!("ttl is {ttl}: give seconds above 0, a hundred years at most"))),
    }
}

pub(crate) fn get<'py>(
    py: Python<'py>,
    place: &Place,
    key: Text<'_>,
    default: Fallback<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let key = lift(py, Key::parse(&key))?;
    match (place.with(py, |store, _| store.values().get(&key))?, default) {
        (Some(value), _) => from_json(py, &value),
        (None, Fallback::Use(default)) => Ok(default),
        (None, Fallback::Raise) => lift(py, Err(absent(&key))),
    }
}

pub(crate) fn get_with_revision<'py>(
    py: Python<'py>,
    place: &Place,
    key: Text<'_>,
) -> PyResult<(u64, Bound<'py, PyAny>)> {
    let key = lift(py, Key::parse(&key))?;
    match place.with(py, |store, _| store.values().get_with_revision(&key))? {
        Some((revision, value)) => Ok((revision, from_json(py, &value)?)),
        None => lift(py, Err(absent(&key))),
    }
}

pub(crate) fn get_many<'py>(
    py: Python<'py>,
    place: &Place,
    keys: &Bound<'py, PyAny>,
    default: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let keys = keys
        .try_iter()?
        .map(|key| lift(py, Key::parse(&key?.extract::<Text<'_>>()?)))
        .collect::<PyResult<Vec<Key>>>()?;
    let values = place.with(py, |store, _| match store {
        Store::Socket(client) => client.get_many(&keys),
        _ => keys.iter().map(|key| store.values().get(key)).collect(),
    })?;
    let list = PyList::empty(py);
    for value in values {
        match (value, &default) {
            (Some(value), _) => list.append(from_json(py, &value)?)?,
            (None, Some(default)) => list.append(default)?,
            (None, None) => list.append(py.None())?,
        }
    }
    Ok(list)
}

pub(crate) fn wait<'py>(
    py: Python<'py>,
    place: &Place,
    key: Text<'_>,
    timeout: Option<Seconds>,
    default: Fallback<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let key = lift(py, Key::parse(&key))?;
    let deadline = deadline(py, timeout)?;
    let outcome =
        place.with(py, |store, tick| match store.values().wait(&key, deadline, tick) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(error),
        })?;
    match (outcome, default) {
        (Some(value), _) => from_json(py, &value),
        (None, Fallback::Use(default)) => Ok(default),
        (None, Fallback::Raise) => {
            lift(py, Err(Error::new(ErrorKind::TimedOut, format!("timeout: {key}"))))
        }
    }
}

pub(crate) fn list_keys(py: Python<'_>, place: &Place, pattern: Text<'_>) -> PyResult<Vec<String>> {
    let pattern = lift(py, Pattern::parse(&pattern))?;
    place.with(py, |store, _| store.values().list(&pattern))
}

pub(crate) fn delete(py: Python<'_>, place: &Place, key: Text<'_>) -> PyResult<()> {
    let key = lift(py, Key::parse(&key))?;
    place.with(py, |store, _| store.values().delete(&key))
}

pub(crate) fn incr(py: Python<'_>, place: &Place, key: Text<'_>, by: Step) -> PyResult<i64> {
    let key = lift(py, Key::parse(&key))?;
    place.with(py, |store, _| store.values().increment(&key, by.0))
}

pub(crate) fn append(
    py: Python<'_>,
    place: &Place,
    key: Text<'_>,
    value: &Bound<'_, PyAny>,
) -> PyResult<u64> {
    let key = lift(py, Key::parse(&key))?;
    let value = to_json(value)?;
    place.with(py, |store, _| store.values().append(&key, &value))
}

pub(crate) fn ttl(py: Python<'_>, server: PathBuf, key: Text<'_>) -> PyResult<Option<f64>> {
    let key = lift(py, Key::parse(&key))?;
    let left = Place::with_client(py, server, |client, _| client.ttl(&key))?;
    Ok(left.map(|left| left.as_secs_f64()))
}

pub(crate) fn publish(
    py: Python<'_>,
    server: PathBuf,
    channel: Text<'_>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let channel = lift(py, Key::parse(&channel))?;
    let value = to_json(value)?;
    Place::with_client(py, server, |client, _| client.publish(&channel, &value))
}

pub(crate) fn stats(py: Python<'_>, server: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    let figures: Json = Place::with_client(py, server, |client, _| client.stats())?;
    from_json(py, &figures)
}

fn absent(key: &Key) -> Error {
    Error::new(ErrorKind::NotFound, format!("no such key: {key}"))
}

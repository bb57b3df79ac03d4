//! One step of a batch: made by clients, read by the server. No I/O here.

use crate::error::{Error, Result};
use crate::json::{Json, compacted, members, push_string};
use crate::key::{Key, check_key};
use crate::values::Condition;
use std::borrow::Cow;
use std::time::Duration;

/// Longest time to live, in seconds: a hundred years.
const TTL_SECONDS_MAX: f64 = 3_155_760_000.0;

/// One step of a [`Client::batch`](super::Client::batch), which is carried out as a whole or not
/// at all.
///
/// ```
/// use otto_core::socket::Operation;
/// use otto_core::{Json, Key};
/// use std::time::Duration;
/// let key = Key::parse("build.state").unwrap();
/// let set = Operation::set(&key, &Json::string("on")).if_absent().ttl(Duration::from_secs(5));
/// assert_eq!(set.to_json(), r#"{"key":"build.state","value":"on","if_absent":true,"ttl":5}"#);
/// assert_eq!(Operation::parse(&set.to_json()).unwrap(), set);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its JSON text, without the brace at the end.
    text: String,
}

impl Operation {
    /// Store a value. The result is the number of the change.
    #[must_use]
    pub fn set(key: &Key, value: &Json) -> Operation {
        Operation::of(key).with("value", value.as_str())
    }

    /// Remove a key. The result is whether it was there.
    #[must_use]
    pub fn delete(key: &Key) -> Operation {
        Operation::of(key).with("delete", "true")
    }

    /// Add to a number. The result is the sum.
    #[must_use]
    pub fn increment(key: &Key, by: i64) -> Operation {
        Operation::of(key).with("incr", &by.to_string())
    }

    /// Add a value at the end of a list. The result is how long the list is then.
    #[must_use]
    pub fn append(key: &Key, value: &Json) -> Operation {
        Operation::of(key).with("append", value.as_str())
    }

    /// Of a `set`: the value is there for so long.
    #[must_use]
    pub fn ttl(self, time: Duration) -> Operation {
        self.with("ttl", &time.as_secs_f64().to_string())
    }

    /// Of a `set`: only where there is no value.
    #[must_use]
    pub fn if_absent(self) -> Operation {
        self.with("if_absent", "true")
    }

    /// Of a `set`: only where the last change has this number; 0: where there is no value.
    #[must_use]
    pub fn if_revision(self, revision: u64) -> Operation {
        self.with("if_rev", &revision.to_string())
    }

    /// One operation as JSON, as BATCH takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) saying what is wrong with it.
    pub fn parse(text: &str) -> Result<Operation> {
        let mut text = compacted(text)?.into_owned();
        Step::parse(&text)?;
        text.pop();
        Ok(Operation { text })
    }

    /// Its JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{}}}", self.text)
    }

    pub(super) fn write_to(&self, out: &mut String) {
        out.push_str(&self.text);
        out.push('}');
    }

    fn of(key: &Key) -> Operation {
        let mut text = String::from("{\"key\":");
        push_string(&mut text, key.as_str());
        Operation { text }
    }

    fn with(mut self, name: &str, json: &str) -> Operation {
        for part in [",\"", name, "\":", json] {
            self.text.push_str(part);
        }
        self
    }
}

/// An operation as the server reads it.
#[derive(Debug, PartialEq)]
pub(super) struct Step<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) action: Action<'a>,
}

/// What is done to the key; values are compact JSON.
#[derive(Debug, PartialEq)]
pub(super) enum Action<'a> {
    Set { value: &'a str, ttl: Option<Duration>, condition: Condition },
    Delete,
    Increment(i64),
    Append(&'a str),
}

impl<'a> Step<'a> {
    /// Reads one element of a BATCH, which is checked and compact JSON.
    pub(super) fn parse(text: &'a str) -> Result<Step<'a>> {
        let (mut key, mut action) = (None, None);
        let (mut ttl, mut condition) = (None, None);
        if !text.starts_with('{') {
            let shown: String = text.chars().take(40).collect();
            return Err(Error::usage(format!("an operation is an object, not {shown}")));
        }
        for (name, member) in members(text)?.0 {
            let twice = match name {
                "\"key\"" => key.replace(string(member)?).is_some(),
                "\"ttl\"" => ttl.replace(seconds(member)?).is_some(),
                "\"if_absent\"" if truth(name, member)? => {
                    condition.replace(Condition::IfAbsent).is_some()
                }
                "\"if_absent\"" => false,
                "\"if_rev\"" => {
                    let revision = number("if_rev takes the number of a change", member)?;
                    condition.replace(Condition::IfRevision(revision)).is_some()
                }
                "\"value\"" => action.replace(Given::Value(member)).is_some(),
                "\"delete\"" if truth(name, member)? => action.replace(Given::Delete).is_some(),
                "\"delete\"" => return Err(Error::usage("delete takes true and nothing else")),
                "\"incr\"" => {
                    let by = number("incr takes a 64-bit integer", member)?;
                    action.replace(Given::Increment(by)).is_some()
                }
                "\"append\"" => action.replace(Given::Append(member)).is_some(),
                unknown => {
                    let shown: String = unknown.chars().take(40).collect();
                    return Err(Error::usage(format!(
                        "unknown member {shown}: known are key value ttl if_absent if_rev delete \
                         incr append"
                    )));
                }
            };
            if twice {
                return Err(Error::usage(format!(
                    "{name} says again what another member has said"
                )));
            }
        }
        let key: Cow<'_, str> = key.ok_or_else(|| Error::usage("an operation needs a key"))?;
        check_key(&key)?;
        let plain = ttl.is_none() && condition.is_none();
        let action = match action {
            Some(Given::Value(value)) => {
                Action::Set { value, ttl, condition: condition.unwrap_or(Condition::Always) }
            }
            Some(Given::Delete) if plain => Action::Delete,
            Some(Given::Increment(by)) if plain => Action::Increment(by),
            Some(Given::Append(value)) if plain => Action::Append(value),
            Some(_) => {
                return Err(Error::usage("ttl, if_absent and if_rev go with value alone"));
            }
            None => {
                return Err(Error::usage("an operation needs one of value, delete, incr, append"));
            }
        };
        Ok(Step { key, action })
    }
}

/// The member that says what is to be done.
enum Given<'a> {
    Value(&'a str),
    Delete,
    Increment(i64),
    Append(&'a str),
}

fn string(json: &str) -> Result<Cow<'_, str>> {
    let inside = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match inside {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => Json::from_checked(Cow::Borrowed(json))
            .decode_string()
            .map(Cow::Owned)
            .ok_or_else(|| Error::usage("key takes a string")),
    }
}

fn seconds(json: &str) -> Result<Duration> {
    match json.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= TTL_SECONDS_MAX => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(Error::usage(format!(
            "ttl takes seconds above 0, a hundred years at most, not {json}"
        ))),
    }
}

fn truth(name: &str, json: &str) -> Result<bool> {
    match json {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::usage(format!("{name} takes true or false, not {json}"))),
    }
}

fn number<N: std::str::FromStr>(what: &str, json: &str) -> Result<N> {
    json.parse().map_err(|_| Error::usage(format!("{what}, not {json}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn what_is_built_is_read() {
        let value = Json::parse("[1]").unwrap();
        let second = Some(Duration::from_millis(1500));
        for (operation, action) in [
            (
                Operation::set(&key("a"), &value),
                Action::Set { value: "[1]", ttl: None, condition: Condition::Always },
            ),
            (
                Operation::set(&key("a"), &value).ttl(Duration::from_millis(1500)).if_absent(),
                Action::Set { value: "[1]", ttl: second, condition: Condition::IfAbsent },
            ),
            (
                Operation::set(&key("a"), &value).if_revision(7),
                Action::Set { value: "[1]", ttl: None, condition: Condition::IfRevision(7) },
            ),
            (Operation::delete(&key("a")), Action::Delete),
            (Operation::increment(&key("a"), i64::MIN), Action::Increment(i64::MIN)),
            (Operation::append(&key("a"), &value), Action::Append("[1]")),
        ] {
            let json = operation.to_json();
            assert_eq!(Operation::parse(&json).unwrap(), operation);
            assert_eq!(Step::parse(&json).unwrap(), Step { key: "a".into(), action });
        }
        let operation = Operation::delete(&key("\"\\"));
        assert_eq!(Step::parse(&operation.to_json()).unwrap().key, "\"\\");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, says) in [
            ("1", "an operation is an object"),
            ("{}", "needs a key"),
            (r#"{"key":1,"delete":true}"#, "key takes a string"),
            (r#"{"key":"a b","delete":true}"#, "not allowed"),
            (r#"{"key":"a"}"#, "needs one of"),
            (r#"{"key":"a","key":"a","delete":true}"#, "again"),
            (r#"{"key":"a","value":1,"delete":true}"#, "again"),
            (r#"{"key":"a","value":1,"if_absent":true,"if_rev":1}"#, "again"),
            (r#"{"key":"a","value":1,"if_absent":1}"#, "true or false"),
            (r#"{"key":"a","value":1,"if_rev":-1}"#, "number of a change"),
            (r#"{"key":"a","value":1,"ttl":0}"#, "seconds above 0"),
            (r#"{"key":"a","value":1,"ttl":"5"}"#, "seconds above 0"),
            (r#"{"key":"a","delete":false}"#, "delete takes true"),
            (r#"{"key":"a","delete":true,"ttl":1}"#, "go with value alone"),
            (r#"{"key":"a","incr":1.5}"#, "64-bit integer"),
            (r#"{"key":"a","incr":1,"if_absent":true}"#, "go with value alone"),
            (r#"{"key":"a","value":1,"vlaue":1}"#, "unknown member \"vlaue\""),
        ] {
            let error = Operation::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}

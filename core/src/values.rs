//! The one vocabulary over files, documents and the socket.

use crate::error::{Error, ErrorKind, Result};
use crate::json::{Json, elements};
use crate::key::{Key, Pattern};
use std::time::Instant;

/// What must hold for a [`Values::set`] to take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: set in any case.
    Always,
    /// The key is absent.
    IfAbsent,
    /// The key's last write has this number.
    IfRevision(u64),
}

/// Called at least every 50 ms while a call blocks; an error from it ends the wait with that error.
pub type Tick<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Longest time between two calls of a [`Tick`].
pub const TICK: std::time::Duration = std::time::Duration::from_millis(50);

/// Values by key, whatever carries them. One conformance suite holds every transport to this.
pub trait Values {
    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// [`ErrorKind::Condition`] when `condition` does not hold; nothing is changed then.
    /// [`ErrorKind::Usage`] for a condition this transport can't check.
    fn set(&mut self, key: &Key, value: &Json, condition: Condition) -> Result<()>;

    /// The value of `key`, `None` when absent.
    ///
    /// # Errors
    /// When the transport fails.
    fn get(&mut self, key: &Key) -> Result<Option<Json>>;

    /// The value of `key` and the number of its last write.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] on transports that number no writes: all but the socket.
    fn get_with_revision(&mut self, key: &Key) -> Result<Option<(u64, Json)>>;

    /// The keys that match, sorted by their bytes.
    ///
    /// # Errors
    /// When the transport fails.
    fn list(&mut self, pattern: &Pattern) -> Result<Vec<String>>;

    /// Removes `key`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it is absent.
    fn delete(&mut self, key: &Key) -> Result<()>;

    /// Adds `by` to the number under `key` (absent is 0) and returns the sum.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the value is no integer or the sum leaves 64 bits; it stays as it was.
    fn increment(&mut self, key: &Key, by: i64) -> Result<i64>;

    /// Adds `value` at the end of the list under `key` (absent is an empty one) and returns how long
    /// the list is now.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the value is no list; it stays as it was.
    fn append(&mut self, key: &Key, value: &Json) -> Result<u64>;

    /// Waits until `key` is present and returns its value.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] at the deadline, [`ErrorKind::ProducerEnded`] when nobody is left
    /// to set it, and whatever `tick` returned.
    fn wait(&mut self, key: &Key, deadline: Option<Instant>, tick: Tick<'_>) -> Result<Json>;
}

/// The rule of `INCR`, shared by all transports: absent is 0, integers and strings that are
/// integers count, everything else is refused.
///
/// ```
/// use otto_core::{incremented, Json};
/// assert_eq!(incremented(None, 2).unwrap(), 2);
/// assert_eq!(incremented(Some(&Json::string("41")), 1).unwrap(), 42);
/// assert!(incremented(Some(&Json::string("x")), 1).is_err());
/// ```
///
/// # Errors
/// [`ErrorKind::Io`] when the value is no integer, or the sum leaves 64 bits.
pub fn incremented(current: Option<&Json>, by: i64) -> Result<i64> {
    let current = match current {
        None => 0,
        Some(json) => {
            let text = json.decode_string();
            let digits = text.as_deref().unwrap_or(json.as_str());
            digits.parse::<i64>().map_err(|_| {
                let shown: String = json.as_str().chars().take(40).collect();
                Error::new(ErrorKind::Io, format!("not a 64-bit integer: {shown}"))
            })?
        }
    };
    added(current, by)
}

/// The sum, where it fits in 64 bits.
pub(crate) fn added(current: i64, by: i64) -> Result<i64> {
    current.checked_add(by).ok_or_else(|| {
        Error::new(ErrorKind::Io, format!("{current} + {by} does not fit in 64 bits"))
    })
}

/// The rule of `APPEND` for transports that keep a list as one text: absent is an empty list, what
/// is no list is refused. The new list, and how long it is.
pub(crate) fn appended(current: Option<&Json>, value: &Json) -> Result<(Json, u64)> {
    let list = current.map_or("[]", Json::as_str);
    let Some(inside) = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')) else {
        return Err(Error::new(ErrorKind::Io, "the value is no list"));
    };
    let comma = if inside.is_empty() { "" } else { "," };
    // Parsed anew, since it may have become too deep.
    let list = Json::parse(&format!("[{inside}{comma}{}]", value.as_str()))?;
    let length = elements(list.as_str()).count() as u64;
    Ok((list, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_grow_at_their_end() {
        let value = Json::string("b");
        let (list, length) = appended(None, &value).unwrap();
        assert_eq!((list.as_str(), length), ("[\"b\"]", 1));
        let (list, length) = appended(Some(&Json::parse("[1.10, [2]]").unwrap()), &value).unwrap();
        assert_eq!((list.as_str(), length), ("[1.10,[2],\"b\"]", 3));
        for other in ["1", "\"[]\"", "{}", "null"] {
            assert!(appended(Some(&Json::parse(other).unwrap()), &value).is_err(), "{other}");
        }
        let deepest = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert!(appended(None, &Json::parse(&deepest).unwrap()).is_err(), "too deep");
    }
}

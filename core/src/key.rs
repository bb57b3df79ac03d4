//! Keys, task names and patterns: validated once, on the way in.

use crate::error::{Error, Result};
use crate::limits::{KEY_BYTES_MAX, PATTERN_BYTES_MAX, TASK_NAME_BYTES_MAX};
use memchr::{memchr2, memmem};
use std::fmt;

/// The task that keys without a dot belong to.
pub const NO_TASK: &str = "_";

/// A key, `<task>.<name>`: 1 to 512 bytes of UTF-8 without white space or control characters.
///
/// ```
/// use otto_core::Key;
/// let key = Key::parse("build.image.tag").unwrap();
/// assert_eq!((key.task(), key.name()), ("build", "image.tag"));
/// assert_eq!(Key::parse("version").unwrap().task(), "_");
/// assert!(Key::parse("two words").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<str>);

impl Key {
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) naming what is wrong with the text.
    pub fn parse(text: &str) -> Result<Key> {
        check_key(text)?;
        Ok(Key(text.into()))
    }

    /// The whole key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first dot; `_` for a key without one.
    #[must_use]
    pub fn task(&self) -> &str {
        task_of(&self.0)
    }

    /// What stands after the first dot; the whole key when there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(_, name)| name)
    }

    /// The key's task where it must name a file or a document.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if that is no task name, or if `_`, which
    /// stands for keys without a dot, is spelled out.
    pub fn task_name(&self) -> Result<TaskName> {
        match self.0.split_once('.') {
            None => Ok(TaskName(NO_TASK.into())),
            Some((NO_TASK, name)) => Err(Error::usage(format!(
                "key {:?}: the task _ holds the keys without a dot; write {name:?}",
                &*self.0
            ))),
            Some((task, _)) => TaskName::parse(task)
                .map_err(|error| Error::usage(format!("key {:?}: {error}", &*self.0))),
        }
    }

    /// The key of `name` within `task`, as it is listed: `_` has no prefix.
    ///
    /// # Errors
    /// As [`Key::parse`].
    pub fn of_task(task: &TaskName, name: &str) -> Result<Key> {
        if task.as_str() == NO_TASK {
            Key::parse(name)
        } else {
            Key::parse(&format!("{task}.{name}"))
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What stands before the first dot of `key`, or `_`.
pub(crate) fn task_of(key: &str) -> &str {
    key.split_once('.').map_or(NO_TASK, |(task, _)| task)
}

/// Checks a key without taking a copy of it.
pub(crate) fn check_key(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::usage("a key can't be empty: give one like task.name"));
    }
    if text.len() > KEY_BYTES_MAX {
        return Err(Error::usage(format!(
            "key of {} bytes: at most {KEY_BYTES_MAX} are allowed",
            text.len()
        )));
    }
    // Plain ASCII is nearly every key; the Unicode tables are for the rest. Without a way out in the
    // middle the bytes are looked at many at a time.
    if text.bytes().fold(true, |plain, byte| plain & byte.is_ascii_graphic()) {
        return Ok(());
    }
    match text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(c) => Err(Error::usage(format!(
            "key {text:?}: {c:?} is not allowed, no white space or control characters are"
        ))),
        None => Ok(()),
    }
}

/// The name of a task: 1 to 100 of `A-Z a-z 0-9 _ : -`, so that it can stand in a file name.
///
/// ```
/// use otto_core::TaskName;
/// assert_eq!(TaskName::parse("build:linux").unwrap().as_str(), "build:linux");
/// assert!(TaskName::parse("../etc").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskName(Box<str>);

impl TaskName {
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) naming what is wrong with the text.
    pub fn parse(text: &str) -> Result<TaskName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-');
        if text.is_empty() {
            return Err(Error::usage("a task name can't be empty"));
        }
        if text.len() > TASK_NAME_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(Error::usage(format!(
                "{:?} is no task name: 1 to {TASK_NAME_BYTES_MAX} of A-Z a-z 0-9 _ : -",
                text.chars().take(TASK_NAME_BYTES_MAX).collect::<String>()
            )));
        }
        Ok(TaskName(text.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A pattern over keys: `*` is any run of characters, `?` is one; everything else is itself.
///
/// ```
/// use otto_core::Pattern;
/// assert!(Pattern::parse("build.*").unwrap().matches("build.version"));
/// assert!(!Pattern::parse("build.?").unwrap().matches("build.version"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for white space, control characters, or more
    /// than 512 bytes. Empty text is the pattern of everything.
    pub fn parse(text: &str) -> Result<Pattern> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(Error::usage(format!(
                "pattern of {} bytes: at most {PATTERN_BYTES_MAX} are allowed",
                text.len()
            )));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Error::usage(format!(
                "pattern {text:?}: white space and control characters are in no key"
            )));
        }
        Ok(if text.is_empty() { Pattern::all() } else { Pattern(text.into()) })
    }

    /// The pattern that matches every key.
    #[must_use]
    pub fn all() -> Pattern {
        Pattern("*".into())
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one key this pattern can match, when it holds no `*` and no `?`.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        (!self.0.contains(['*', '?'])).then_some(&*self.0)
    }

    /// Whether `text` matches as a whole. What stands literally behind a star is searched for, in
    /// linear time; otherwise time is at most the product of both lengths, each bounded.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to resume when the rest fails: after the last star, one character further on.
        let mut resume = None;
        while t < text.len() {
            let again = match pattern.get(p) {
                Some(b'*') => Some((p + 1, t)),
                Some(b'?') => {
                    p += 1;
                    t = next_char(text, t);
                    None
                }
                Some(byte) if *byte == text[t] => {
                    p += 1;
                    t += 1;
                    None
                }
                _ => match resume {
                    Some((after_star, from)) => Some((after_star, next_char(text, from))),
                    None => return false,
                },
            };
            if let Some((after_star, from)) = again {
                let literal = memchr2(b'*', b'?', &pattern[after_star..]);
                let Some(found) = seek(&pattern[after_star..], literal, text, from) else {
                    return false;
                };
                (p, t) = (after_star, found);
                resume = Some((after_star, found));
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

/// The first place from `from` on where what stands behind a star could begin: `pattern`, of which
/// the first `literal` bytes stand for themselves, or all of it.
pub(crate) fn seek(
    pattern: &[u8],
    literal: Option<usize>,
    text: &[u8],
    from: usize,
) -> Option<usize> {
    let rest = text.get(from..)?;
    match literal {
        Some(0) => Some(from),
        Some(literal) => memmem::find(rest, &pattern[..literal]).map(|at| from + at),
        // Nothing comes behind it.
        None => rest.ends_with(pattern).then(|| text.len() - pattern.len()),
    }
}

/// The start of the character after the one at `at`.
fn next_char(text: &[u8], at: usize) -> usize {
    let rest = &text[at + 1..];
    at + 1 + rest.iter().take_while(|byte| (**byte & 0xC0) == 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_checked() {
        for bad in ["", " ", "a b", "a\tb", "a\n", "a\u{85}b", "a\u{a0}b", "\0"] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Key::parse(&"k".repeat(512)).is_ok());
        assert!(Key::parse(&"k".repeat(513)).is_err());
        assert_eq!(Key::parse("täsk.ключ").unwrap().name(), "ключ");
    }

    #[test]
    fn the_task_of_a_key_names_a_file_only_when_it_can() {
        assert_eq!(Key::parse("a").unwrap().task_name().unwrap().as_str(), "_");
        assert_eq!(Key::parse("a.b.c").unwrap().task_name().unwrap().as_str(), "a");
        for bad in ["_.a", "a/b.c", ".c", "täsk.a"] {
            assert!(Key::parse(bad).unwrap().task_name().is_err(), "{bad}");
        }
    }

    #[test]
    fn task_names_have_no_dot_and_at_most_a_hundred_characters() {
        assert!(TaskName::parse(&"t".repeat(100)).is_ok());
        for bad in ["", ".", "..", "a.b", "a b", "a/b", "ä", &"t".repeat(101)] {
            assert!(TaskName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "anything", true),
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("?", "é", true),
            ("??", "é", false),
            ("*.*.*", "a.b.c", true),
            ("a**b", "ab", true),
            ("*é?", "xéé", true),
            ("[a]", "a", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(text),
                expected,
                "{pattern} {text}"
            );
        }
    }

    /// The definition, exponential: what the fast loop has to agree with.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            Some(('?', rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_agree_with_their_definition(pattern in "[aé*?]{0,7}", text in "[aé]{0,7}") {
            let p: Vec<char> = if pattern.is_empty() { vec!['*'] } else { pattern.chars().collect() };
            let t: Vec<char> = text.chars().collect();
            prop_assert_eq!(Pattern::parse(&pattern).unwrap().matches(&text), naive(&p, &t));
        }
    }
}

//! Redis's own patterns, byte by byte as its `stringmatchlen` reads them: `*`, `?`, `[a-c^]`, `\`.

use super::reply::Failure;
use crate::key::seek;
use crate::limits::PATTERN_BYTES_MAX;

/// Refuses a pattern that would take long to look at, key by key.
pub(super) fn check(pattern: &[u8]) -> Result<(), Failure> {
    if pattern.len() <= PATTERN_BYTES_MAX {
        return Ok(());
    }
    let bytes = pattern.len();
    Err(Failure::Text(format!(
        "ERR pattern of {bytes} bytes: at most {PATTERN_BYTES_MAX} are allowed"
    )))
}

/// What stands for exactly the byte beside it.
const LITERAL: u16 = 0;
/// What stands for any one byte.
const ANY: u16 = 1;
/// What stands for any bytes.
const STAR: u16 = 2;
/// The first class; the others follow.
const CLASS: u16 = 3;

/// A pattern, read once.
#[derive(Debug)]
pub(super) struct Glob {
    kinds: Box<[u16]>,
    /// The bytes that the literal ones stand for.
    bytes: Box<[u8]>,
    /// Which bytes each class has, a bit for each.
    classes: Vec<[u64; 4]>,
    fold: fn(u8) -> u8,
}

impl Glob {
    /// A pattern that [`check`] has let through.
    pub(super) fn new(pattern: &[u8]) -> Glob {
        Glob::folded(pattern, |byte| byte)
    }

    /// One that takes small and capital ASCII letters for the same.
    pub(super) fn any_case(pattern: &[u8]) -> Glob {
        Glob::folded(pattern, |byte| byte.to_ascii_lowercase())
    }

    fn folded(pattern: &[u8], fold: fn(u8) -> u8) -> Glob {
        let (mut kinds, mut bytes, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        let mut p = 0;
        while let Some(byte) = pattern.get(p) {
            p += 1;
            let (kind, byte) = match byte {
                b'*' => (STAR, 0),
                b'?' => (ANY, 0),
                b'[' => {
                    let kind = CLASS + classes.len() as u16;
                    let (class, end) = class(pattern, p, fold);
                    classes.push(class);
                    p = end;
                    (kind, 0)
                }
                b'\\' if p < pattern.len() => {
                    p += 1;
                    (LITERAL, fold(pattern[p - 1]))
                }
                literal => (LITERAL, fold(*literal)),
            };
            kinds.push(kind);
            bytes.push(byte);
        }
        Glob { kinds: kinds.into(), bytes: bytes.into(), classes, fold }
    }

    /// Whether `text` matches as a whole. Only the last star is ever tried again, since everything
    /// between two stars matches as well earlier as later. What stands literally behind it is
    /// searched for in linear time; otherwise time is at most the product of both lengths.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let (mut p, mut t) = (0, 0);
        let mut resume = None;
        while t < text.len() {
            let (after_star, from) = if self.kinds.get(p) == Some(&STAR) {
                (p + 1, t)
            } else if self.one(p, text[t]) {
                p += 1;
                t += 1;
                continue;
            } else if let Some((after_star, from)) = resume {
                (after_star, from + 1)
            } else {
                return false;
            };
            let Some(found) = self.seek(after_star, text, from) else { return false };
            (p, t) = (after_star, found);
            resume = Some((after_star, found));
        }
        self.kinds[p..].iter().all(|kind| *kind == STAR)
    }

    /// Whether what stands at `p` matches `byte`.
    fn one(&self, p: usize, byte: u8) -> bool {
        match self.kinds.get(p) {
            None => false,
            Some(&LITERAL) => self.bytes[p] == (self.fold)(byte),
            Some(&ANY) => true,
            Some(class) => {
                let class = self.classes.get(usize::from(class.wrapping_sub(CLASS)));
                class.is_some_and(|class| class[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1)
            }
        }
    }

    /// The first place from `from` on where what stands at `p`, behind a star, could begin.
    fn seek(&self, p: usize, text: &[u8], from: usize) -> Option<usize> {
        let literal = self.kinds[p..].iter().position(|kind| *kind != LITERAL);
        // Another case is not searched for.
        let folds = (self.fold)(b'A') != b'A';
        if folds { Some(from) } else { seek(&self.bytes[p..], literal, text, from) }
    }
}

/// The bytes of the class whose inside begins at `p`, and where the pattern goes on; one that is
/// never closed ends with the pattern.
fn class(pattern: &[u8], mut p: usize, fold: fn(u8) -> u8) -> ([u64; 4], usize) {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = [false; 256];
    let mut add = |wanted: &dyn Fn(u8) -> bool| {
        (0..=255).filter(|byte| wanted(*byte)).for_each(|byte| found[usize::from(byte)] = true);
    };
    loop {
        match pattern.get(p..).unwrap_or_default() {
            [] => break,
            [b'\\', escaped, ..] => {
                add(&|byte| byte == *escaped);
                p += 2;
            }
            [b']', ..] => {
                p += 1;
                break;
            }
            [start, b'-', end, ..] => {
                // Redis compares characters, which have a sign here.
                let signed = |byte: u8| fold(byte) as i8;
                let (start, end) = (signed(*start), signed(*end));
                add(&|byte| (start.min(end)..=start.max(end)).contains(&signed(byte)));
                p += 3;
            }
            [literal, ..] => {
                add(&|byte| fold(*literal) == fold(byte));
                p += 1;
            }
        }
    }
    let mut bits = [0; 4];
    for (byte, found) in found.into_iter().enumerate() {
        bits[byte >> 6] |= u64::from(found != negated) << (byte & 63);
    }
    (bits, p)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A translation of Redis 7.0's function, recursion and all.
    fn of_redis(mut p: &[u8], mut s: &[u8]) -> bool {
        while !p.is_empty() && !s.is_empty() {
            match p[0] {
                b'*' => {
                    while p.len() > 1 && p[1] == b'*' {
                        p = &p[1..];
                    }
                    if p.len() == 1 {
                        return true;
                    }
                    while !s.is_empty() {
                        if of_redis(&p[1..], s) {
                            return true;
                        }
                        s = &s[1..];
                    }
                    return false;
                }
                b'?' => s = &s[1..],
                b'[' => {
                    p = &p[1..];
                    let not = p.first() == Some(&b'^');
                    if not {
                        p = &p[1..];
                    }
                    let mut found = false;
                    loop {
                        if p.len() >= 2 && p[0] == b'\\' {
                            p = &p[1..];
                            found |= p[0] == s[0];
                        } else if p.is_empty() || p[0] == b']' {
                            break;
                        } else if p.len() >= 3 && p[1] == b'-' {
                            let (a, b, c) = (p[0] as i8, p[2] as i8, s[0] as i8);
                            p = &p[2..];
                            found |= (a.min(b)..=a.max(b)).contains(&c);
                        } else {
                            found |= p[0] == s[0];
                        }
                        p = &p[1..];
                    }
                    if found == not {
                        return false;
                    }
                    s = &s[1..];
                }
                _ => {
                    if p[0] == b'\\' && p.len() >= 2 {
                        p = &p[1..];
                    }
                    if p[0] != s[0] {
                        return false;
                    }
                    s = &s[1..];
                }
            }
            if !p.is_empty() {
                p = &p[1..];
            }
            if s.is_empty() {
                while p.first() == Some(&b'*') {
                    p = &p[1..];
                }
                break;
            }
        }
        p.is_empty() && s.is_empty()
    }

    #[test]
    fn what_would_take_for_ever_does_not() {
        let pattern = b"*a".repeat(100);
        assert!(!Glob::new(&[&pattern[..], b"b"].concat()).matches(&b"a".repeat(500)));
    }

    #[test]
    fn examples_of_the_manual() {
        for (pattern, text, expected) in [
            ("h?llo", "hallo", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[a-b]llo", "hbllo", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("[a", "a", true),
            ("a\\", "a\\", true),
        ] {
            let matches = Glob::new(pattern.as_bytes()).matches(text.as_bytes());
            assert_eq!(matches, expected, "{pattern} {text}");
        }
        assert!(Glob::any_case(b"MAX*").matches(b"maxmemory"));
        assert!(Glob::any_case(b"*Mem[O]?y").matches(b"maxmemory"));
    }

    #[test]
    fn as_many_classes_as_a_pattern_has_room_for_are_told_apart() {
        let pattern: Vec<u8> = (0..170).flat_map(|n| [b'[', b'a' + n % 26, b']']).collect();
        let mut text: Vec<u8> = (0..170).map(|n| b'a' + n % 26).collect();
        assert!(Glob::new(&pattern).matches(&text));
        text[169] = b'!';
        assert!(!Glob::new(&pattern).matches(&text));
        assert!(!Glob::new(&b"[]".repeat(256)).matches(&text));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn it_agrees_with_redis(
            pattern in prop::collection::vec(
                prop_oneof![Just(b'*'), Just(b'?'), Just(b'['), Just(b']'), Just(b'^'), Just(b'-'), Just(b'\\'), b'a'..b'd', Just(0xC3)], 0..10),
            text in prop::collection::vec(prop_oneof![b'a'..b'd', Just(b'-'), Just(b']'), Just(0xC3)], 1..7),
        ) {
            prop_assert_eq!(Glob::new(&pattern).matches(&text), of_redis(&pattern, &text));
        }
    }
}

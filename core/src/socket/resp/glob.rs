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

/// Whether `text` matches as a whole. Only the last star is ever tried again, since everything
/// between two stars matches as well earlier as later: time is at most the product of both lengths.
/// What stands literally behind it is searched for, in linear time.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(
        pattern,
        text,
        |byte| byte,
        |rest, from| {
            let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
            seek(rest, rest.iter().position(special), text, from)
        },
    )
}

/// As [`matches`], without regard to the case of ASCII letters.
pub(super) fn matches_any_case(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(pattern, text, |byte| byte.to_ascii_lowercase(), |_, from| Some(from))
}

/// `seek` says where what stands behind a star could begin, from a place in the text on.
fn matches_folded(
    pattern: &[u8],
    text: &[u8],
    fold: impl Fn(u8) -> u8 + Copy,
    seek: impl Fn(&[u8], usize) -> Option<usize>,
) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut resume = None;
    while t < text.len() {
        let again = if pattern.get(p) == Some(&b'*') {
            (p + 1, t)
        } else if let Some(next) = one(pattern, p, text[t], fold) {
            p = next;
            t += 1;
            continue;
        } else if let Some((after_star, from)) = resume {
            (after_star, from + 1)
        } else {
            return false;
        };
        let (after_star, from) = again;
        let Some(found) = seek(&pattern[after_star..], from) else { return false };
        (p, t) = (after_star, found);
        resume = Some((after_star, found));
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Where the pattern goes on when what stands at `p` matches `byte`.
fn one(pattern: &[u8], p: usize, byte: u8, fold: impl Fn(u8) -> u8 + Copy) -> Option<usize> {
    match pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => class(pattern, p + 1, byte, fold),
        b'\\' if p + 1 < pattern.len() => (fold(pattern[p + 1]) == fold(byte)).then_some(p + 2),
        literal => (fold(*literal) == fold(byte)).then_some(p + 1),
    }
}

/// A class whose inside begins at `p`; one that is never closed ends with the pattern.
fn class(pattern: &[u8], mut p: usize, byte: u8, fold: impl Fn(u8) -> u8 + Copy) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut found = false;
    loop {
        match pattern.get(p..).unwrap_or_default() {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
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
                found |= (start.min(end)..=start.max(end)).contains(&signed(byte));
                p += 3;
            }
            [literal, ..] => {
                found |= fold(*literal) == fold(byte);
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
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
        assert!(!matches(&[&pattern[..], b"b"].concat(), &b"a".repeat(500)));
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
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
        assert!(matches_any_case(b"MAX*", b"maxmemory"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn it_agrees_with_redis(
            pattern in prop::collection::vec(
                prop_oneof![Just(b'*'), Just(b'?'), Just(b'['), Just(b']'), Just(b'^'), Just(b'-'), Just(b'\\'), b'a'..b'd', Just(0xC3)], 0..10),
            text in prop::collection::vec(prop_oneof![b'a'..b'd', Just(b'-'), Just(b']'), Just(0xC3)], 1..7),
        ) {
            prop_assert_eq!(matches(&pattern, &text), of_redis(&pattern, &text));
        }
    }
}

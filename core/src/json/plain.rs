//! How far the bytes of a JSON string reach that stand for themselves.

/// No quote, no backslash, no control character.
static PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < plain.len() {
        plain[byte] = byte >= 0x20 && byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    plain
};

/// Most strings are shorter than this, in bytes.
const SHORT: usize = 16;

/// The first byte of `text` from `at` on that does not stand for itself, or its end.
///
/// One byte after the other at first: a processor that has guessed where a short string ends is far
/// ahead by then. Long strings go eight bytes at a time.
#[inline(always)]
pub(super) fn plain_end(text: &[u8], mut at: usize) -> usize {
    for _ in 0..SHORT {
        match text.get(at) {
            Some(byte) if PLAIN[usize::from(*byte)] => at += 1,
            _ => return at,
        }
    }
    long_end(text, at)
}

fn long_end(text: &[u8], mut at: usize) -> usize {
    while let Some(eight) = text[at..].first_chunk() {
        let special = special(u64::from_le_bytes(*eight));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + text[at..].iter().take_while(|byte| PLAIN[usize::from(**byte)]).count()
}

/// Marks the lowest byte of `word` that is not plain with its highest bit, and none below it. The
/// subtractions borrow from the bytes above, where marks may be wrong.
const fn special(word: u64) -> u64 {
    let quote = word ^ each(b'"');
    let backslash = word ^ each(b'\\');
    let control = word.wrapping_sub(each(0x20)) & !word;
    let quote = quote.wrapping_sub(each(1)) & !quote;
    let backslash = backslash.wrapping_sub(each(1)) & !backslash;
    (control | quote | backslash) & each(0x80)
}

const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_judged_alike_at_every_place() {
        for before in 0..3 * SHORT {
            for after in [0, 1, 7, 8, 20] {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'a'; before];
                    text.push(byte);
                    text.extend(std::iter::repeat_n(0xE9, after));
                    let plain = !matches!(byte, b'"' | b'\\' | 0..0x20);
                    let end = if plain { text.len() } else { before };
                    assert_eq!(plain_end(&text, 0), end, "{byte:#x} at {before}, {after} behind");
                }
            }
        }
    }
}

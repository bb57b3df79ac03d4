//! Bytes as letters and back: what JSON has no string for.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What stands for each byte, or 64 for none.
static VALUES: [u8; 256] = {
    let mut values = [64; 256];
    let mut value = 0;
    while value < LETTERS.len() {
        values[LETTERS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Appends `bytes` in base64, padded.
pub(super) fn push(out: &mut String, bytes: &[u8]) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * at)) as usize & 63];
            out.push(if at > three.len() { '=' } else { char::from(letter) });
        }
    }
}

/// The bytes that `text` stands for; `None` unless it is exactly what [`push`] makes of them.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut fours = text.chunks(4).peekable();
    while let Some(four) = fours.next() {
        let last = fours.peek().is_none();
        let pads = match four {
            [_, _, b'=', b'='] if last => 2,
            [_, _, _, b'='] if last => 1,
            [_, _, _, _] => 0,
            _ => return None,
        };
        let mut word = 0;
        for byte in &four[..4 - pads] {
            let value = VALUES[usize::from(*byte)];
            if value == 64 {
                return None;
            }
            word = word << 6 | u32::from(value);
        }
        word <<= 6 * pads;
        let [_, bytes @ ..] = word.to_be_bytes();
        // What the padding stands for has no bits.
        if bytes[3 - pads..].iter().any(|byte| *byte != 0) {
            return None;
        }
        out.extend_from_slice(&bytes[..3 - pads]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_the_standard() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            let mut out = String::new();
            push(&mut out, bytes.as_bytes());
            assert_eq!(out, text);
        }
        for bad in ["Z", "Zg", "Zg=", "Zh==", "Zg==Zg==", "Z===", "Zm9*", "====", "Zm9 "] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let mut out = String::new();
            push(&mut out, &bytes);
            prop_assert_eq!(decode(out.as_bytes()), Some(bytes));
        }

        #[test]
        fn a_text_has_one_meaning(text in "[A-D/+=]{0,9}") {
            if let Some(bytes) = decode(text.as_bytes()) {
                let mut out = String::new();
                push(&mut out, &bytes);
                prop_assert_eq!(out, text);
            }
        }
    }
}

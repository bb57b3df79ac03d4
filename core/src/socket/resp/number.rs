//! Numbers as Redis reads and writes them.

/// A 64-bit integer in its one spelling: no plus, no leading zero, no `-0`, no white space.
#[inline]
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // Nineteen digits fit in 64 bits.
    let mut number: u64 = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u64::from(byte - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(number) } else { i64::try_from(number).ok() }
}

/// `00` to `99`.
static PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[2 * number] = b'0' + (number / 10) as u8;
        pairs[2 * number + 1] = b'0' + (number % 10) as u8;
        number += 1;
    }
    pairs
};

/// The digits of a number, without a text of its own.
pub(super) struct Digits {
    buffer: [u8; 20],
    from: usize,
}

impl Digits {
    #[inline]
    pub(super) fn of(number: i64) -> Digits {
        let (mut buffer, mut from) = ([0; 20], 20);
        let mut rest = number.unsigned_abs();
        // Two at a time: dividing is what takes long.
        while rest >= 10 {
            let two = (rest % 100) as usize * 2;
            rest /= 100;
            from -= 2;
            buffer[from] = PAIRS[two];
            buffer[from + 1] = PAIRS[two + 1];
        }
        if rest > 0 || from == 20 {
            from -= 1;
            buffer[from] = b'0' + rest as u8;
        }
        if number < 0 {
            from -= 1;
            buffer[from] = b'-';
        }
        Digits { buffer, from }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.from..]
    }

    pub(super) fn as_str(&self) -> &str {
        // Digits and a minus are ASCII.
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_one_spelling_counts() {
        for text in ["", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "1e3", "0x1", "a"] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "99999999999999999999"] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn digits_read_back(number in any::<i64>(), shift in 0u32..64) {
            for number in [number >> shift, i64::MIN, i64::MAX, 0] {
                prop_assert_eq!(integer(Digits::of(number).bytes()), Some(number));
                let digits = Digits::of(number);
                prop_assert_eq!(digits.as_str(), number.to_string());
            }
        }
    }
}

//! Numbers as the x86 processor's 80-bit floating point has them, in which Redis adds: 64 bits of
//! mantissa. Read and written exactly as C does it; done in integers, since Rust has no such type.

/// Longest text that Redis reads as a number, in bytes, with its end.
const TEXT_BYTES_MAX: usize = 5 << 10;
/// The exponent of the largest numbers, whose mantissa is an integer of 64 bits.
const EXPONENT_MAX: i32 = 16_383 - 63;
/// The exponent of the smallest.
const EXPONENT_MIN: i32 = -16_382 - 63;
/// Decimals written.
const DECIMALS: u32 = 17;
/// Beyond this power of ten every number is too large, or too small.
const DECIMAL_EXPONENT_MAX: i64 = 11_000;

/// `mantissa` times two to the power of `exponent`, or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LongDouble {
    negative: bool,
    /// Its highest bit is set unless the number is 0 or among the smallest.
    mantissa: u64,
    exponent: i32,
    infinite: bool,
}

impl LongDouble {
    pub(super) const ZERO: LongDouble =
        LongDouble { negative: false, mantissa: 0, exponent: 0, infinite: false };

    pub(super) fn is_infinite(self) -> bool {
        self.infinite
    }

    pub(super) fn is_positive(self) -> bool {
        !self.negative && (self.mantissa > 0 || self.infinite)
    }

    /// What C's `strtold` makes of the whole of `text`; `None` where Redis takes it for no number:
    /// white space, NaN, too large, too small.
    pub(super) fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= TEXT_BYTES_MAX {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble { negative, infinite: true, ..LongDouble::ZERO });
        }
        let number = match rest {
            [b'0', b'x' | b'X', hexadecimal @ ..] => parse_hexadecimal(hexadecimal)?,
            decimal => parse_decimal(decimal)?,
        };
        Some(LongDouble { negative, ..number })
    }

    /// The nearest number of 64 bits.
    pub(super) fn nearest(self) -> f64 {
        let size = if self.infinite {
            f64::INFINITY
        } else {
            self.mantissa as f64 * 2f64.powi(self.exponent.clamp(-1100, 1100))
        };
        if self.negative { -size } else { size }
    }

    /// The sum, rounded to the nearest, ties to even.
    pub(super) fn add(self, other: LongDouble) -> LongDouble {
        // Who is infinite stays so; what opposite infinities make is no number either.
        if self.infinite || other.mantissa == 0 && !other.infinite {
            return self;
        }
        if other.infinite || self.mantissa == 0 {
            return other;
        }
        let (large, small) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        // Room for a carry above, 62 bits to round by below.
        let (a, b) = (u128::from(large.mantissa) << 62, u128::from(small.mantissa) << 62);
        let b = shifted_right(b, large.exponent.abs_diff(small.exponent));
        let exponent = large.exponent - 62;
        if large.negative == small.negative {
            rounded(large.negative, a + b, exponent)
        } else if a >= b {
            rounded(large.negative && a != b, a - b, exponent)
        } else {
            rounded(small.negative, b - a, exponent)
        }
    }

    /// As `%.17Lf` with the zeros at its end left off, which is how Redis shows numbers.
    pub(super) fn text(self) -> String {
        let (whole, decimals) = if self.exponent >= 0 {
            (Big::from(u128::from(self.mantissa)).shifted_left(self.exponent as u32).decimal(), 0)
        } else {
            let one = 10u128.pow(DECIMALS);
            let scaled = u128::from(self.mantissa) * one;
            let scaled = rounded_right(scaled, self.exponent.unsigned_abs());
            ((scaled / one).to_string(), scaled % one)
        };
        let mut out = whole;
        if decimals > 0 {
            out.push_str(&format!(".{decimals:017}"));
            out.truncate(out.trim_end_matches('0').len());
        }
        if self.negative && out != "0" {
            out.insert(0, '-');
        }
        out
    }
}

/// `word` without its lowest `by` bits; whether any of them was set stays in the last bit.
fn shifted_right(word: u128, by: u32) -> u128 {
    match by {
        0 => word,
        1..128 => word >> by | u128::from(word & ((1 << by) - 1) != 0),
        _ => u128::from(word != 0),
    }
}

/// `word` over two to the power of `by`, to the nearest integer, ties to even.
fn rounded_right(word: u128, by: u32) -> u128 {
    match by {
        0 => word,
        1..128 => {
            let (whole, rest, half) = (word >> by, word & ((1 << by) - 1), 1 << (by - 1));
            whole + u128::from(rest > half || rest == half && whole & 1 == 1)
        }
        // All numbers here are below half of that.
        _ => 0,
    }
}

/// The nearest number to `word` times two to the power of `exponent`.
fn rounded(negative: bool, word: u128, exponent: i32) -> LongDouble {
    if word == 0 {
        return LongDouble { negative, ..LongDouble::ZERO };
    }
    let surplus = 64 - word.leading_zeros() as i32;
    let surplus = surplus.max(EXPONENT_MIN - exponent);
    let (mut mantissa, mut exponent) = if surplus > 0 {
        (rounded_right(word, surplus.unsigned_abs()), exponent + surplus)
    } else {
        (word << surplus.unsigned_abs(), exponent + surplus)
    };
    if mantissa >> 64 != 0 {
        mantissa >>= 1;
        exponent += 1;
    }
    if exponent > EXPONENT_MAX {
        return LongDouble { negative, infinite: true, ..LongDouble::ZERO };
    }
    // Below two to the 64 now.
    LongDouble { negative, mantissa: mantissa as u64, exponent, infinite: false }
}

/// A number that was read: one that is out of range is none.
fn in_range(number: LongDouble) -> Option<LongDouble> {
    (!number.infinite && number.mantissa != 0).then_some(number)
}

/// Digits with at most one point among them, what they are without it, how many stood behind it,
/// and what follows.
fn digits(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(Vec<u8>, i64, &[u8])> {
    let end = |text: &[u8]| text.iter().take_while(|byte| is_digit(byte)).count();
    let (whole, rest) = text.split_at(end(text));
    let (behind, rest) = match rest {
        [b'.', rest @ ..] => rest.split_at(end(rest)),
        rest => (&rest[..0], rest),
    };
    let all = [whole, behind].concat();
    (!all.is_empty()).then_some((all, behind.len() as i64, rest))
}

/// The power behind the digits: nothing, or `letter`, a sign and digits. Far ones are cut off.
fn power(text: &[u8], letter: u8) -> Option<i64> {
    let [first, rest @ ..] = text else { return Some(0) };
    if !first.eq_ignore_ascii_case(&letter) {
        return None;
    }
    let (sign, digits) = match rest {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits
        .iter()
        .fold(0i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(1_000_000));
    Some(sign * value)
}

fn parse_decimal(text: &[u8]) -> Option<LongDouble> {
    let (digits, behind, rest) = digits(text, u8::is_ascii_digit)?;
    let power = power(rest, b'e')? - behind;
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    let digits = &digits[zeros..];
    if digits.is_empty() {
        return Some(LongDouble::ZERO);
    }
    let magnitude = digits.len() as i64 + power;
    if magnitude.abs() > DECIMAL_EXPONENT_MAX / 2 {
        return None;
    }
    let mut number = Big::from(0);
    for chunk in digits.chunks(9) {
        let value = chunk.iter().fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
        number.multiply_add(10u32.pow(chunk.len() as u32), value);
    }
    let ten = |mut power: i64, number: &mut Big| {
        while power > 0 {
            let step = power.min(9);
            number.multiply_add(10u32.pow(step as u32), 0);
            power -= step;
        }
    };
    let mut divisor = Big::from(1);
    ten(power, &mut number);
    ten(-power, &mut divisor);
    let (word, exponent) = number.over(&divisor);
    in_range(rounded(false, word, exponent))
}

fn parse_hexadecimal(text: &[u8]) -> Option<LongDouble> {
    let (digits, behind, rest) = digits(text, u8::is_ascii_hexdigit)?;
    let power = power(rest, b'p')? - 4 * behind;
    let mut number = Big::from(0);
    for digit in digits {
        number.multiply_add(16, char::from(digit).to_digit(16)?);
    }
    if number.is_zero() {
        return Some(LongDouble::ZERO);
    }
    let (word, exponent) = number.over(&Big::from(1));
    in_range(rounded(false, word, exponent.saturating_add(i32::try_from(power).ok()?)))
}

/// An integer of any size, the lowest 32 bits first.
#[derive(Debug, Clone)]
struct Big(Vec<u32>);

impl Big {
    fn from(mut number: u128) -> Big {
        let mut words = Vec::new();
        while number > 0 {
            words.push(number as u32);
            number >>= 32;
        }
        Big(words)
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn multiply_add(&mut self, by: u32, add: u32) {
        let mut carry = u64::from(add);
        for word in &mut self.0 {
            carry += u64::from(*word) * u64::from(by);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn bits(&self) -> i32 {
        let top = self.0.last().map_or(32, |word| word.leading_zeros());
        self.0.len() as i32 * 32 - top as i32
    }

    fn shifted_left(&self, by: u32) -> Big {
        let mut words = vec![0; by as usize / 32];
        let mut carry = 0;
        for word in &self.0 {
            let wide = u64::from(*word) << (by % 32) | carry;
            words.push(wide as u32);
            carry = wide >> 32;
        }
        if carry > 0 {
            words.push(carry as u32);
        }
        Big(words)
    }

    fn subtract(&mut self, other: &Big) {
        let mut borrow = 0;
        for (at, word) in self.0.iter_mut().enumerate() {
            let wide = i64::from(*word) - i64::from(other.0.get(at).copied().unwrap_or(0)) + borrow;
            *word = wide as u32;
            borrow = wide >> 32;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn is_below(&self, other: &Big) -> bool {
        let order = self.0.len().cmp(&other.0.len());
        order.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_lt()
    }

    /// The first 100 bits of the quotient, and their exponent; its last bit is set when more follow.
    fn over(&self, divisor: &Big) -> (u128, i32) {
        const BITS: i32 = 100;
        let ahead = self.bits() - divisor.bits();
        let (mut rest, mut divisor) = (self.clone(), divisor.clone());
        if ahead > 0 {
            divisor = divisor.shifted_left(ahead.unsigned_abs());
        } else {
            rest = rest.shifted_left(ahead.unsigned_abs());
        }
        let mut quotient: u128 = 0;
        for _ in 0..BITS {
            quotient <<= 1;
            if !rest.is_below(&divisor) {
                rest.subtract(&divisor);
                quotient |= 1;
            }
            rest = rest.shifted_left(1);
        }
        (quotient << 1 | u128::from(!rest.is_zero()), ahead - BITS)
    }

    fn decimal(&self) -> String {
        let (mut rest, mut parts) = (self.0.clone(), Vec::new());
        while !rest.is_empty() {
            let mut remainder = 0;
            for word in rest.iter_mut().rev() {
                let wide = remainder << 32 | u64::from(*word);
                *word = (wide / 1_000_000_000) as u32;
                remainder = wide % 1_000_000_000;
            }
            while rest.last() == Some(&0) {
                rest.pop();
            }
            parts.push(remainder);
        }
        let mut out = parts.pop().unwrap_or(0).to_string();
        for part in parts.into_iter().rev() {
            out.push_str(&format!("{part:09}"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(a: &str, b: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
        parse(a).add(parse(b)).text()
    }

    /// What redis-server 7.0.15 answers.
    #[test]
    fn sums_are_those_of_redis() {
        for (a, b, expected) in [
            ("0.1", "0.2", "0.3"),
            ("3200", "-3200.1", "-0.10000000000000009"),
            ("10.50", "0.1", "10.6"),
            ("10.6", "-5", "5.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("1e17", "0.0000000001", "100000000000000000"),
            ("100000000000000000000", "0x10", "100000000000000000016"),
            ("1", "-1", "0"),
            ("-0.0", "0", "0"),
            ("0", "-1e-19", "0"),
            ("0", "1e-17", "0.00000000000000001"),
            ("2", "-0.5", "1.5"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
        assert_eq!(sum("1", "1e4900").len(), 4901);
        assert!(sum("1", "1e4900").starts_with("100000000000000000002708312230690349833224"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "x",
            "nan",
            "NaN",
            "1e5000",
            "-1e5000",
            "1e-5000",
            ".",
            "-",
            "1e",
            "1e+",
            "0x",
            "--1",
            "+-1",
            "1.2.3",
            "1e99999999999999999999",
            "infinit",
            "1_0",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert!(LongDouble::parse(&[b'1'; 5000]).is_none());
        assert!(LongDouble::parse(&[b'0'; TEXT_BYTES_MAX - 1]).is_some());
        assert!(LongDouble::parse(&[b'0'; TEXT_BYTES_MAX]).is_none());
        for text in ["inf", "-Infinity", "+inf"] {
            assert!(LongDouble::parse(text.as_bytes()).unwrap().is_infinite());
        }
        let large = LongDouble::parse(b"1e4932").unwrap();
        assert!(large.add(large).is_infinite());
        for text in ["+1", "1.", ".5", "0x1p-2", "1E5", "0X.8p+1", "1e-4940"] {
            assert!(LongDouble::parse(text.as_bytes()).is_some(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in -1e15f64..1e15, decimals in 0usize..17) {
            let text = format!("{number:.decimals$}");
            let parsed = LongDouble::parse(text.as_bytes()).unwrap();
            let written = parsed.text();
            prop_assert_eq!(LongDouble::parse(written.as_bytes()).unwrap().text(), written);
        }

        /// Integers of 63 bits are exact, so their sums are those of integers.
        #[test]
        fn sums_of_integers_are_exact(a in -(1i64 << 62)..1 << 62, b in -(1i64 << 62)..1 << 62, shift in 0u32..62) {
            let b = b >> shift;
            prop_assert_eq!(sum(&a.to_string(), &b.to_string()), (a + b).to_string());
        }

        /// Fractions of a power of two that fit are exact too.
        #[test]
        fn sums_of_quarters_are_exact(a in -(1i64 << 50)..1 << 50, b in -(1i64 << 50)..1 << 50) {
            let quarters = |n: i64| format!("{}", n as f64 / 4.0);
            prop_assert_eq!(sum(&quarters(a), &quarters(b)), quarters(a + b));
        }
    }
}

//! Sizes as people write them.

/// A number of bytes, with `B`, `KB MB GB TB` (powers of 1000) or `KiB MiB GiB TiB` (powers of
/// 1024) behind it or nothing.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "" | "B" => 1,
        "KB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "TB" => 1000 * 1000 * 1000 * 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    let digits = digits.strip_suffix(' ').unwrap_or(digits);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // A part of a byte is no size, and more digits than these would be lost.
    if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > 9 {
        return None;
    }
    if digits.ends_with('.') || (factor == 1 && !part.is_empty()) {
        return None;
    }
    let bytes = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let part = part
        .parse::<u128>()
        .ok()
        .map_or(0, |number| number * u128::from(factor) / 10_u128.pow(part.len() as u32));
    bytes.checked_add(part as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1B", 1),
            ("64KB", 64_000),
            ("1MiB", 1 << 20),
            ("1.5GiB", 3 << 29),
            ("2 GB", 2_000_000_000),
            ("2TiB", 2 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for bad in [
            "",
            "B",
            "-1",
            "1e9",
            "1kb",
            "1G",
            "1gib",
            "1.5",
            "1.",
            ".5GB",
            "1..2GB",
            "inf",
            "99999999TiB",
            "1  GB",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

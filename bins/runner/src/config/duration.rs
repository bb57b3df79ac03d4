//! Times as people write them.

use std::time::Duration;

/// Longest timeout: a year is for ever.
const SECONDS_MAX: f64 = 366.0 * 86400.0;

/// Seconds (`90`, `0.5`), or a number with `ms`, `s`, `m`, `h` or `d` behind it.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds = digits.parse::<f64>().ok()? * factor;
    (seconds > 0.0 && seconds <= SECONDS_MAX).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(parse("90"), Some(Duration::from_secs(90)));
        assert_eq!(parse("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(parse("10s"), Some(Duration::from_secs(10)));
        assert_eq!(parse("5m"), Some(Duration::from_secs(300)));
        assert_eq!(parse("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        for bad in ["", "s", "0", "-1", "1e3", "1x", "1 s", "inf", "nan", "99999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

//! What is asked at the run's stream socket.

use otto_core::fifo::Sampling;

const KNOWN: &str = "stat, tap TASK every N, tap TASK last K";

/// One line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// How all streams stand.
    Stat,
    /// Records of what a task writes or, when it only reads, of what it reads.
    Tap { task: &'a str, sampling: Sampling },
}

/// Understands a line, or says what is wrong with it.
pub(super) fn parse(line: &str) -> Result<Request<'_>, String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words[..] {
        ["stat"] => Ok(Request::Stat),
        ["tap", task, how @ ("every" | "last"), count] => match count.parse() {
            Ok(count @ 1..) if how == "every" => {
                Ok(Request::Tap { task, sampling: Sampling::Every(count) })
            }
            Ok(count @ 1..) => Ok(Request::Tap { task, sampling: Sampling::Last(count) }),
            _ => Err(format!("{how} {count:?}: a number from 1 on is needed")),
        },
        _ => Err(format!("unknown request {line:?}; known: {KNOWN}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(parse("stat"), Ok(Request::Stat));
        let tap = |task, sampling| Ok(Request::Tap { task, sampling });
        assert_eq!(parse("tap p every 10"), tap("p", Sampling::Every(10)));
        assert_eq!(parse(" tap p:1  last 3 "), tap("p:1", Sampling::Last(3)));
        for bad in ["", "stat p", "tap", "tap p", "tap p every", "tap p every 0", "tap p last -1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("tap p last x").unwrap_err(), "last \"x\": a number from 1 on is needed");
    }
}

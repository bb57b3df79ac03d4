//! What clients asked and were answered, and when: lines that outlive a client that is killed.

use super::model::{Answer, Op};
use nix::time::{ClockId, clock_gettime};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// Something a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What.
    pub op: Op,
    /// Before this moment the server can't have heard of it.
    pub asked: u64,
    /// The answer and when it was there; nothing came back to a client that was killed, and the
    /// server may have done it at any later time, or never.
    pub answered: Option<(u64, Answer)>,
}

/// Now, in nanoseconds of a clock that all processes share.
///
/// # Panics
/// When the system has no such clock.
#[must_use]
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has it");
    let nanoseconds = now.tv_sec() * 1_000_000_000 + now.tv_nsec();
    nanoseconds.cast_unsigned()
}

/// The line to write before `op` is sent.
#[must_use]
pub fn asking(op: &Op) -> String {
    format!("ask {} {op}\n", now())
}

/// The line to write once `answer` is there.
#[must_use]
pub fn answered(answer: &Answer) -> String {
    format!("got {} {answer}\n", now())
}

/// The calls of one client, from the lines it has written.
///
/// # Panics
/// When it wrote something else.
#[must_use]
pub fn calls(lines: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    // A line that lacks its end was cut by the kill: what it tells was not known to anybody.
    for line in lines.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("a line cut short: {line:?}"));
        let (kind, at, what) = (word(), word(), word());
        let at = at.parse().unwrap_or_else(|_| panic!("no time: {line:?}"));
        match kind {
            "ask" => {
                let op = what.parse().unwrap_or_else(|why| panic!("{why} in {line:?}"));
                calls.push(Call { op, asked: at, answered: None });
            }
            "got" => {
                let answer = what.parse().unwrap_or_else(|why| panic!("{why} in {line:?}"));
                let last = calls.last_mut().unwrap_or_else(|| panic!("not asked: {line:?}"));
                last.answered = Some((at, answer));
            }
            _ => panic!("no line of a history: {line:?}"),
        }
    }
    calls
}

fn joined<T: Display>(parts: &[T], by: &str) -> String {
    parts.iter().map(T::to_string).collect::<Vec<_>>().join(by)
}

fn maybe<T: Display>(part: Option<&T>) -> String {
    part.map_or_else(|| "-".to_owned(), T::to_string)
}

impl Display for Answer {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Done => write!(out, "done"),
            Answer::Absent => write!(out, "absent"),
            Answer::Refused => write!(out, "refused"),
            Answer::Number(number) => write!(out, "number:{number}"),
            Answer::Revision(revision, text) => write!(out, "rev:{revision}:{text}"),
            Answer::List(list) => write!(out, "list:{}", joined(list, ",")),
            Answer::All(text, number, list) => {
                let (text, number) = (maybe(text.as_ref()), maybe(number.as_ref()));
                write!(out, "all:{text}:{number}:{}", joined(list, ","))
            }
            Answer::Results(results) => write!(out, "results={}", joined(results, "+")),
        }
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("no number: {text:?}"))
}

fn number_or_none<T: FromStr>(text: &str) -> Result<Option<T>, String> {
    if text == "-" { Ok(None) } else { number(text).map(Some) }
}

fn list(text: &str) -> Result<Vec<u64>, String> {
    text.split(',').filter(|part| !part.is_empty()).map(number).collect()
}

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Answer, String> {
        if let Some(results) = text.strip_prefix("results=") {
            return results
                .split('+')
                .map(Answer::from_str)
                .collect::<Result<_, _>>()
                .map(Answer::Results);
        }
        let parts: Vec<&str> = text.split(':').collect();
        Ok(match parts[..] {
            ["done"] => Answer::Done,
            ["absent"] => Answer::Absent,
            ["refused"] => Answer::Refused,
            ["number", text] => Answer::Number(number(text)?),
            ["rev", revision, text] => Answer::Revision(number(revision)?, number(text)?),
            ["list", text] => Answer::List(list(text)?),
            ["all", text, sum, elements] => {
                Answer::All(number_or_none(text)?, number_or_none(sum)?, list(elements)?)
            }
            _ => return Err(format!("no answer: {text:?}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Change;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let results = Answer::Results(vec![Answer::Done, Answer::Refused, Answer::Number(-3)]);
        let answers = [
            Answer::Absent,
            Answer::Revision(7, 12),
            Answer::List(vec![1, 2]),
            Answer::All(Some(1), None, vec![]),
            Answer::All(None, Some(-4), vec![5]),
            results,
        ];
        let changes = vec![
            Change::Set(1),
            Change::SetIfAbsent(2),
            Change::DeleteText,
            Change::Increment(-3),
            Change::DeleteNumber,
            Change::Append(4),
            Change::DeleteList,
        ];
        let ops = [
            Op::GetText,
            Op::GetRevision,
            Op::GetNumber,
            Op::GetList,
            Op::GetAll,
            Op::Pop,
            Op::CompareAndSet(7, 9),
            Op::Do(Change::Increment(5)),
            Op::Batch(changes),
        ];
        for op in ops {
            for answer in &answers {
                let written = asking(&op) + &answered(answer);
                let read = calls(&written);
                assert_eq!(read.len(), 1);
                assert_eq!(
                    (&read[0].op, read[0].answered.as_ref().map(|(_, a)| a)),
                    (&op, Some(answer))
                );
            }
        }
    }

    #[test]
    fn what_a_killed_client_left_unsaid_is_open() {
        let written = asking(&Op::GetText) + "got 12345678901234 do";
        assert_eq!(calls(&written)[0].answered, None);
        assert_eq!(calls("ask 17 get").len(), 0);
    }
}

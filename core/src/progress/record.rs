//! One report of progress.

use super::Estimate;
use crate::error::{Error, Result};
use crate::json::push_string;
use crate::limits::MESSAGE_BYTES_MAX;
use std::fmt::Write as _;

/// One report: a JSON object `{"task":"build","id":"","current":3,"total":10,"message":"..."}` on
/// the wire. `current` and `total` are counts in the reporter's own unit, zero or more.
///
/// ```
/// use otto_core::progress::Record;
/// let record = Record::parse(r#"{"task":"build","current":3,"total":10,"message":"linking"}"#).unwrap();
/// assert_eq!(record.line(None), "build: 3/10 (30%) linking");
/// assert_eq!(Record::parse(&record.to_json()).unwrap(), record);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// The task, empty outside one.
    pub task: String,
    /// Which bar of the task, empty for the only one.
    pub id: String,
    /// How much is done.
    pub current: f64,
    /// How much there is, `None` when unknown.
    pub total: Option<f64>,
    /// What is being done, possibly empty, one line.
    pub message: String,
}

impl Record {
    /// Reads the JSON object; a missing member has its default, an unknown one is ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) naming the member that is wrong.
    pub fn parse(json: &str) -> Result<Record> {
        let value: serde_json::Value = serde_json::from_str(json)
            .map_err(|error| Error::usage(format!("progress record: {error}")))?;
        let text = |name: &str| match &value[name] {
            serde_json::Value::Null => Ok(String::new()),
            serde_json::Value::String(text) => Ok(one_line(text)),
            _ => Err(Error::usage(format!("progress record: {name} must be a string"))),
        };
        let count = |name: &str| match &value[name] {
            serde_json::Value::Null => Ok(None),
            number => match number.as_f64() {
                Some(count) if count >= 0.0 => Ok(Some(count)),
                _ => Err(Error::usage(format!("progress record: {name} must be 0 or more"))),
            },
        };
        if !value.is_object() {
            return Err(Error::usage("progress record: must be a JSON object"));
        }
        Ok(Record {
            task: text("task")?,
            id: text("id")?,
            current: count("current")?.unwrap_or(0.0),
            total: count("total")?,
            message: text("message")?,
        })
    }

    /// Reads a line of five fields parted by tabs, as shells write it: task, id, current, total (`-`
    /// where it is unknown), message.
    ///
    /// ```
    /// use otto_core::progress::Record;
    /// let record = Record::parse_line("build\t\t3\t-\tlinking").unwrap();
    /// assert_eq!(record.line(None), "build: 3 linking");
    /// assert!(Record::parse_line("build\t3").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) naming what is wrong.
    pub fn parse_line(line: &str) -> Result<Record> {
        let mut fields = line.splitn(5, '\t');
        let mut field =
            || fields.next().ok_or_else(|| Error::usage("progress: five fields wanted"));
        let (task, id, current, total, message) =
            (field()?, field()?, field()?, field()?, field()?);
        let count = |text: &str| match text.parse::<f64>() {
            Ok(count) if count.is_finite() && count >= 0.0 => Ok(count),
            _ => Err(Error::usage(format!("progress: {text:?} must be a number, 0 or more"))),
        };
        Ok(Record {
            task: one_line(task),
            id: one_line(id),
            current: count(current)?,
            total: if total == "-" { None } else { Some(count(total)?) },
            message: one_line(message),
        })
    }

    /// The JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"task\":");
        push_string(&mut out, &self.task);
        out.push_str(",\"id\":");
        push_string(&mut out, &self.id);
        // Writing to a String can't fail.
        let _ = write!(out, ",\"current\":{},\"total\":", self.current);
        match self.total {
            Some(total) => {
                let _ = write!(out, "{total}");
            }
            None => out.push_str("null"),
        }
        out.push_str(",\"message\":");
        push_string(&mut out, &self.message);
        out.push('}');
        out
    }

    /// How much is done, from 0 to 1; `None` when the total is unknown. Nothing of nothing is all.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        let total = self.total?;
        Some(if total > 0.0 { (self.current / total).min(1.0) } else { 1.0 })
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.total.is_some_and(|total| self.current >= total)
    }

    /// `task`, or `task/id` where a task has several bars; `progress` outside a task.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.task.as_str(), self.id.as_str()) {
            ("", "") => "progress".into(),
            (task, "") => task.into(),
            ("", id) => id.into(),
            (task, id) => format!("{task}/{id}"),
        }
    }

    /// One line for people: `build: 3/10 (30%) 1.5/s 4s left linking`.
    #[must_use]
    pub fn line(&self, estimate: Option<&Estimate>) -> String {
        format!("{}: {}", self.name(), self.figures(estimate))
    }

    /// [`Record::line`] without whose it is, for where that is told already.
    #[must_use]
    pub fn figures(&self, estimate: Option<&Estimate>) -> String {
        let mut out = format!("{}", self.current);
        if let Some(total) = self.total {
            let percent = self.fraction().unwrap_or(1.0) * 100.0;
            let _ = write!(out, "/{total} ({:.0}%)", percent.floor());
        }
        if let Some(rate) = estimate.and_then(Estimate::rate) {
            let _ = write!(out, " {}/s", short(rate));
        }
        if let Some(left) = estimate.and_then(|e| e.left(self)).filter(|_| !self.is_complete()) {
            let _ = write!(out, " {} left", duration(left));
        }
        if !self.message.is_empty() {
            let _ = write!(out, " {}", self.message);
        }
        out
    }
}

/// Text as one line of bounded length, without what a terminal would obey: all that is kept of the texts
/// of a record by those who read it.
///
/// ```
/// use otto_core::progress::one_line;
/// assert_eq!(one_line("linking\nlibotto"), "linking libotto");
/// ```
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > MESSAGE_BYTES_MAX {
            break;
        }
        line.push(c);
    }
    line
}

/// Three significant digits.
fn short(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.1}M", rate / 1e6),
        rate if rate >= 1e4 => format!("{:.1}k", rate / 1e3),
        rate if rate >= 100.0 => format!("{rate:.0}"),
        rate => format!("{rate:.1}"),
    }
}

/// `45s`, `3m05s`, `2h07m`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_checked() {
        for bad in ["[]", "{\"current\":-1}", "{\"task\":1}", "{\"total\":\"x\"}", "nope"] {
            assert!(Record::parse(bad).is_err(), "{bad}");
        }
        let record = Record::parse("{\"current\":2.5}").unwrap();
        assert_eq!(record.line(None), "progress: 2.5");
        assert_eq!(record.fraction(), None);
    }

    #[test]
    fn a_message_stays_one_bounded_line() {
        let json = format!("{{\"message\":\"a\\n\\u001b[2J{}\"}}", "é".repeat(5000));
        let record = Record::parse(&json).unwrap();
        assert!(record.message.starts_with("a  [2Jé") && record.message.len() <= MESSAGE_BYTES_MAX);
    }

    #[test]
    fn nothing_of_nothing_is_complete() {
        let record = Record { total: Some(0.0), ..Record::default() };
        assert_eq!(record.line(None), "progress: 0/0 (100%)");
        assert!(record.is_complete());
    }
}

//! The streams between the tasks of otto-run, which tells of them at its socket.

use crate::copy_bar::amount;
use crate::pipe::relay_socket;
use otto_core::{Error, ErrorKind, Json, Result};
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Between two questions, whose difference is the rate.
const INTERVAL: Duration = Duration::from_millis(250);
/// More than any number of tasks makes.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// A producer's stream to one of its consumers.
#[derive(Debug)]
pub(super) struct Edge {
    from: String,
    /// `None` where it is kept in a file.
    to: Option<String>,
    bytes: u64,
    records: Option<u64>,
    queued: u64,
    spilled: u64,
    state: String,
    delivery: String,
    /// Bytes a second.
    rate: f64,
}

/// Asks twice.
pub(super) fn measure(socket: &Path) -> Result<Vec<Edge>> {
    let (before, asked) = (ask(socket)?, Instant::now());
    thread::sleep(INTERVAL);
    let mut edges = ask(socket)?;
    let seconds = asked.elapsed().as_secs_f64();
    for edge in &mut edges {
        let same = before.iter().find(|old| (&old.from, &old.to) == (&edge.from, &edge.to));
        let old = same.map_or(edge.bytes, |old| old.bytes);
        edge.rate = edge.bytes.saturating_sub(old) as f64 / seconds;
    }
    Ok(edges)
}

fn ask(socket: &Path) -> Result<Vec<Edge>> {
    let answer = relay_socket::ask(socket, "stat")?;
    let mut text = String::new();
    answer
        .take(ANSWER_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| Error::io("read from", socket, error))?;
    edges(&text).ok_or_else(|| {
        let message = format!("what otto-run says at {} makes no sense", socket.display());
        Error::new(ErrorKind::Protocol, message)
    })
}

fn edges(text: &str) -> Option<Vec<Edge>> {
    let answer: Value = serde_json::from_str(text).ok()?;
    answer.get("edges")?.as_array()?.iter().map(edge).collect()
}

fn edge(value: &Value) -> Option<Edge> {
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    Some(Edge {
        from: text("from")?,
        to: text("to"),
        bytes: number("bytes")?,
        records: number("records"),
        queued: number("queued")?,
        spilled: number("spilled")?,
        state: text("state")?,
        delivery: text("delivery").unwrap_or_else(|| "broadcast".to_owned()),
        rate: 0.0,
    })
}

impl Edge {
    pub(super) fn concerns(&self, task: &str) -> bool {
        self.from == task || self.to.as_deref() == Some(task)
    }

    /// Who waits for whom.
    fn waits(&self) -> Option<(&str, &str)> {
        let (from, to) = (self.from.as_str(), self.to.as_deref()?);
        match self.state.as_str() {
            "starved" => Some((to, from)),
            "full" => Some((from, to)),
            _ => None,
        }
    }

    pub(super) fn row(&self) -> [String; 7] {
        let to = self.to.as_deref().unwrap_or("(kept in a file)");
        let words = match self.waits() {
            Some((who, whom)) => format!("{who} waits for {whom}"),
            None => self.state.clone(),
        };
        [
            format!("{} -> {to}", self.from),
            amount(self.bytes as f64),
            self.records.map_or_else(|| "-".to_owned(), |records| records.to_string()),
            format!("{}/s", amount(self.rate)),
            amount(self.queued as f64),
            amount(self.spilled as f64),
            words,
        ]
    }

    pub(super) fn json(&self) -> String {
        let text = |text: &str| Json::string(text).into_string();
        let none = || "null".to_owned();
        let (who, whom) = self.waits().map_or((None, None), |(who, whom)| (Some(who), Some(whom)));
        format!(
            "{{\"from\":{},\"to\":{},\"bytes\":{},\"records\":{},\"rate\":{:.0},\"queued\":{},\
             \"spilled\":{},\"state\":{},\"delivery\":{},\"waits\":{},\"waits_for\":{}}}",
            text(&self.from),
            self.to.as_deref().map_or_else(none, text),
            self.bytes,
            self.records.map_or_else(none, |records| records.to_string()),
            self.rate,
            self.queued,
            self.spilled,
            text(&self.state),
            text(&self.delivery),
            who.map_or_else(none, text),
            whom.map_or_else(none, text),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"edges":[{"from":"p","to":"c","bytes":2048,"records":7,"queued":1,
        "spilled":0,"state":"full","delivery":"shard"},{"from":"c","to":null,"bytes":0,
        "records":null,"queued":0,"spilled":0,"state":"flowing","delivery":"broadcast"}]}"#;

    #[test]
    fn answers_become_rows_and_words() {
        let edges = edges(ANSWER).expect("an answer");
        assert_eq!(
            edges[0].row(),
            ["p -> c", "2.0 KiB", "7", "0 B/s", "1 B", "0 B", "p waits for c"]
        );
        assert_eq!(edges[1].row()[0], "c -> (kept in a file)");
        assert!(edges[0].json().contains(r#""waits":"p","waits_for":"c"}"#));
        assert!(edges[1].json().contains(r#""to":null"#) && !edges[1].concerns("p"));
        for bad in ["", "{}", "[]", r#"{"edges":[1]}"#, r#"{"edges":[{"from":"p"}]}"#] {
            assert!(super::edges(bad).is_none(), "{bad}");
        }
    }
}

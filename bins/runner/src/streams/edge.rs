//! How a stream stands, for whoever wants to know.

use super::wiring::Ends;
use otto_core::fifo::{EdgeState, Motion};

/// One stream from one task to another, or to the file it is kept in.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) ends: Ends,
    /// Each record goes to one of the producer's consumers.
    pub(crate) shard: bool,
    pub(crate) state: EdgeState,
}

impl Edge {
    /// As a JSON object; task names need no escaping.
    pub(super) fn json(&self, names: &[String]) -> String {
        let EdgeState { bytes, records, queued, spilled, motion, .. } = &self.state;
        let to = self.ends.to.map_or("null".to_owned(), |to| format!("\"{}\"", names[to]));
        let records = records.map_or("null".to_owned(), |records| records.to_string());
        let state = match motion {
            Motion::Flowing => "flowing",
            Motion::Starved => "starved",
            Motion::Full => "full",
            Motion::Ended => "ended",
        };
        let delivery = if self.shard { "shard" } else { "broadcast" };
        format!(
            "{{\"from\":\"{}\",\"to\":{to},\"bytes\":{bytes},\"records\":{records},\
             \"queued\":{queued},\"spilled\":{spilled},\"state\":\"{state}\",\
             \"delivery\":\"{delivery}\"}}",
            names[self.ends.from]
        )
    }
}

//! `stat`: how much passes, what is queued, who waits for whom.

mod edges;
mod streams;

use super::site::Site;
use crate::cli::Given;
use crate::table::table;
use crate::{Done, print};
use clap::ArgMatches;
use edges::Edge;
use otto_core::{Error, ErrorKind};
use streams::Named;

pub(super) fn run(arguments: &ArgMatches) -> Done {
    let site = Site::named(arguments);
    let wanted = arguments.given("NAME");
    if let Some(name) = wanted.filter(|name| !name.contains('/')) {
        site.path(name)?;
    }
    let mut streams = streams::find(&site, wanted)?;
    let mut edges = match site.socket()? {
        Some(socket) => edges::measure(&socket)?,
        None => Vec::new(),
    };
    if let Some(name) = wanted {
        edges.retain(|edge| edge.concerns(name));
        if edges.is_empty() && streams.is_empty() {
            let message = format!("no such stream, and no streaming task: {name}");
            return Err(Error::new(ErrorKind::NotFound, message).into());
        }
    }
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    let out = if arguments.get_flag("json") {
        let edges: Vec<String> = edges.iter().map(Edge::json).collect();
        let streams: Vec<String> = streams.iter().map(Named::json).collect();
        format!("{{\"edges\":[{}],\"streams\":[{}]}}\n", edges.join(","), streams.join(","))
    } else {
        text(&edges, &streams)
    };
    print(out.as_bytes())?;
    Ok(0)
}

fn text(edges: &[Edge], streams: &[Named]) -> String {
    let mut out = String::new();
    if !edges.is_empty() {
        let header = ["EDGE", "BYTES", "RECORDS", "RATE", "QUEUED", "SPILLED", ""];
        out += &table(header, edges.iter().map(Edge::row));
    }
    if !streams.is_empty() {
        if !out.is_empty() {
            out.push('\n');
        }
        let header = ["STREAM", "QUEUED", "WRITERS", "READERS", ""];
        out += &table(header, streams.iter().map(Named::row));
    }
    out
}

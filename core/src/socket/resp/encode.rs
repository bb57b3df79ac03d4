//! Replies of the server itself, which it has for clients of every dialect alike.

use super::super::command::Reply;
use super::reply;
use super::value;

/// Appends the bytes of `reply`. Commands of RESP write their own; what comes here is that a client
/// is refused or disconnected, mostly.
pub(in super::super) fn encode(reply: &Reply<'_>, out: &mut Vec<u8>) {
    let what = match reply {
        Reply::Ok => return reply::ok(out),
        Reply::Absent => return reply::null(out),
        Reply::Value(json) => return value::push_bulk(out, json),
        Reply::Error(what) => what.clone(),
        other => {
            // Said as the text dialect says it.
            let mut line = Vec::new();
            super::super::text::encode(other, &mut line);
            let line = String::from_utf8_lossy(&line).into_owned();
            line.trim_end().trim_start_matches("ERROR: ").to_owned()
        }
    };
    reply::error(out, format!("ERR {what}").as_bytes());
}

//! The toolkit end to end: staged programs, real processes, sockets, signals.
#![allow(missing_docs, reason = "tests are named by what they show")]

mod killed;
mod pairs;
mod pairs_streams;
mod seed;
mod serve;
mod socket_abuse;
mod statuses;
mod writers;

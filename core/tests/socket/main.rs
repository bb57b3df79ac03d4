//! The server as its clients see it: real sockets, bytes as they stand on the wire.
#![allow(missing_docs, clippy::unwrap_used)]

mod clients;
mod hosts;
mod limits;
mod place;
mod progress;
mod replay;
mod subscribers;
mod vectors;
mod waits;
mod wire;

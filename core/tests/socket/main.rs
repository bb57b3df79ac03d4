//! The server as its clients see it: real sockets, bytes as they stand on the wire.
#![allow(missing_docs, clippy::unwrap_used)]

mod barriers;
mod batches;
mod clients;
mod hosts;
mod limits;
mod locks;
mod place;
mod progress;
mod replay;
mod resp;
mod resuming;
mod subscribers;
mod vectors;
mod waits;
mod wire;

//! The toolkit end to end: staged programs, real processes, sockets, signals.
#![allow(missing_docs, reason = "tests are named by what they show")]

mod cancelling;
mod circles;
mod coordination;
mod datasets;
mod descriptors;
mod docs;
mod edges;
mod events;
mod examples;
mod install;
mod killed;
mod linear;
mod pairs;
mod pairs_streams;
mod pipe_copies;
mod pipe_joints;
mod pipe_looks;
mod pipe_names;
mod pipe_recordings;
mod pipes;
mod redis;
mod reports;
mod runs;
mod seed;
mod serve;
mod socket_abuse;
mod statuses;
mod streams;
mod terminal;
mod tidy;
mod values;
mod watching;
mod writers;

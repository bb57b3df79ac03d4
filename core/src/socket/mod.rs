//! The socket: values, events, waiting and progress behind one path.
//!
//! [`Server`] answers; [`Client`] asks. They share the codecs and the commands, nothing else.

mod address;
mod barriers;
mod batch;
mod binary;
mod cancellation;
mod client;
mod command;
mod deadlines;
mod dispatch;
mod history;
mod locks;
mod operation;
mod producers;
#[allow(dead_code, unused_imports)]
mod resp;
mod server;
mod store;
mod text;
mod waits;

pub use client::{Client, Event, Gap, Pending, Subscription};
pub use command::{EventKind, From};
pub use operation::Operation;
#[cfg(any(test, feature = "fuzzing"))]
pub use server::fuzz;
pub use server::{Bound, Handle, Options, Running, Server, listen};
pub use waits::Waiting;

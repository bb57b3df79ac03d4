//! Whether what concurrent clients saw of a server can be told as one request after the other.
//!
//! [`model`] is what a server holding three keys must answer; [`history`] is what clients asked and
//! were answered, and when; [`checker`] looks for an order that explains a history; [`wire`] speaks
//! the dialects.

pub mod checker;
pub mod history;
pub mod model;
pub mod wire;

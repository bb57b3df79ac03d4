//! Edge of every program.

//! Lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use otto_core::socket::fuzz::{Dialect, check};

fuzz_target!(|input: &[u8]| check(Dialect::Text, input));

//! The system call a thread sleeps in, and what that waits for.

use nix::libc;

/// What a thread waits for, by the system call it is in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// What comes from a socket, if an answer is due to its process; with a limit of time, or
    /// without.
    Answer { sliced: bool },
    /// What is in one descriptor.
    Descriptor(u64),
    /// Whichever of so many descriptors has something, without a limit.
    OneOf(u64),
    /// The end of a child.
    Children,
    /// Another thread of its process, without a limit.
    Thread,
    /// Anything else, or nothing.
    Other,
}

/// Reads `/proc/<id>/syscall`: the number of the call, then its arguments.
pub(crate) fn waits_for(line: &str) -> Waits {
    let mut words = line.split_ascii_whitespace();
    let Some(call) = words.next().and_then(|word| word.parse().ok()) else { return Waits::Other };
    let arguments: Vec<u64> =
        words.map_while(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()).collect();
    let argument = |place: usize| arguments.get(place).copied();
    #[cfg(target_arch = "x86_64")]
    if call == libc::SYS_poll {
        let is_limited = argument(2).is_none_or(|limit| (limit as i32) >= 0);
        return waits_at(argument(1), is_limited);
    }
    match call {
        libc::SYS_ppoll => waits_at(argument(1), argument(2) != Some(0)),
        libc::SYS_recvfrom | libc::SYS_recvmsg => Waits::Answer { sliced: false },
        libc::SYS_read => argument(0).map_or(Waits::Other, Waits::Descriptor),
        libc::SYS_wait4 | libc::SYS_waitid => Waits::Children,
        libc::SYS_futex if is_unlimited_wait(argument(1), argument(3)) => Waits::Thread,
        _ => Waits::Other,
    }
}

/// What a thread waits for that looks at so many descriptors.
fn waits_at(descriptors: Option<u64>, is_limited: bool) -> Waits {
    match descriptors {
        Some(1) => Waits::Answer { sliced: is_limited },
        Some(count) if !is_limited => Waits::OneOf(count),
        _ => Waits::Other,
    }
}

/// Whether a futex call waits, within its process, for as long as it takes.
fn is_unlimited_wait(operation: Option<u64>, timeout: Option<u64>) -> bool {
    let private = libc::FUTEX_PRIVATE_FLAG as u64;
    let waits = [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].map(|operation| operation as u64);
    operation
        .is_some_and(|operation| operation & private != 0 && waits.contains(&(operation & 0x7f)))
        && timeout == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn system_calls_are_told_apart() {
        let answer = |sliced| Waits::Answer { sliced };
        for (line, waits) in [
            ("61 0xffffffff 0x7ffe 0x0 0x0 0x1 0x8 0x7ffe 0x7f8b", Waits::Children),
            ("247 0x3 0x5 0x7ffe 0x4 0x0 0x0 0x7ffe 0x7f8b", Waits::Children),
            ("0 0x3 0x7ffe 0x80 0x0 0x0 0x0 0x7ffe 0x7f8b", Waits::Descriptor(3)),
            ("7 0x7ffe 0x1 0xffffffff 0x0 0x0 0x0 0x7ffe 0x7f8b", answer(false)),
            ("7 0x7ffe 0x1 0x3e8 0x0 0x0 0x0 0x7ffe 0x7f8b", answer(true)),
            ("7 0x7ffe 0x2 0xffffffff 0x0 0x0 0x0 0x7ffe 0x7f8b", Waits::OneOf(2)),
            ("7 0x7ffe 0x2 0x3e8 0x0 0x0 0x0 0x7ffe 0x7f8b", Waits::Other),
            ("271 0x7ffe 0x2 0x0 0x0 0x8 0x0 0x7ffe 0x7f8b", Waits::OneOf(2)),
            ("271 0x7ffe 0x2 0x7ffe 0x0 0x8 0x0 0x7ffe 0x7f8b", Waits::Other),
            ("271 0x7ffe 0x1 0x0 0x0 0x8 0x0 0x7ffe 0x7f8b", answer(false)),
            ("271 0x7ffe 0x1 0x7ffe 0x0 0x8 0x0 0x7ffe 0x7f8b", answer(true)),
            ("45 0x3 0x7ffe 0x200 0x0 0x0 0x0 0x7ffe 0x7f8b", answer(false)),
            ("202 0x560e 0x189 0x0 0x0 0x0 0xffffffff 0x7fa8 0x7f16", Waits::Thread),
            ("202 0x560e 0x189 0x0 0x7ffe 0x0 0xffffffff 0x7fa8 0x7f16", Waits::Other),
            ("202 0x560e 0x109 0x0 0x0 0x0 0xffffffff 0x7fa8 0x7f16", Waits::Other),
            ("230 0x1 0x1 0x7ffe 0x0 0x0 0x0 0x7ffe 0x7fb8", Waits::Other),
            ("130 0x7ffd 0x8 0x1 0x7f39 0x0 0x0 0x7ffd 0x7f39", Waits::Other),
            ("running", Waits::Other),
            ("-1 0x7ffd 0x7f39", Waits::Other),
            ("", Waits::Other),
        ] {
            assert_eq!(waits_for(line), waits, "{line}");
        }
    }
}

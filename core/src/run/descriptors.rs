//! The limit of open descriptors, as a process hands it to its children.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// How many descriptors this process was allowed, before it allowed itself more: what its children
/// are to have, since programs that use `select` rely on a low limit.
///
/// ```
/// use otto_core::run::DescriptorLimit;
/// let limit = DescriptorLimit::current();
/// let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
/// limit.give_to(child.id());
/// child.kill().unwrap();
/// child.wait().unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct DescriptorLimit(Rlimit);

impl DescriptorLimit {
    /// The limit of this process now.
    #[must_use]
    pub fn current() -> DescriptorLimit {
        DescriptorLimit(getrlimit(Resource::Nofile))
    }

    /// Gives a child that has just been started this limit, where that is not what it inherited.
    pub fn give_to(&self, child: u32) {
        let now = getrlimit(Resource::Nofile);
        let child = i32::try_from(child).ok().and_then(Pid::from_raw);
        if let Some(child) = child.filter(|_| now.current != self.0.current) {
            // The hard limit stays: only the soft one is ever raised. A child that has gone
            // already needs no limit.
            let limit = Rlimit { current: self.0.current, maximum: now.maximum };
            let _ = prlimit(Some(child), Resource::Nofile, limit);
        }
    }
}

/// Allows this process twice as many descriptors, as far as the hard limit goes; whether that is
/// more than before.
pub(crate) fn raise() -> bool {
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = limit.current else { return false };
    let doubled = soft.saturating_mul(2).max(soft + 1);
    let raised = limit.maximum.map_or(doubled, |hard| hard.min(doubled));
    let wanted = Rlimit { current: Some(raised), ..limit };
    raised > soft && rustix::process::setrlimit(Resource::Nofile, wanted).is_ok()
}

//! What the tests of otto-pipe share.

use otto_e2e::{Job, Place};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A place without any run, whose streams are in a folder of its own.
pub(crate) struct Outside(Place);

impl Outside {
    pub(crate) fn new() -> Outside {
        let place = Place::new();
        let runtime = place.folder("runtime");
        std::fs::set_permissions(runtime, Permissions::from_mode(0o700)).expect("ours");
        Outside(place)
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.0.path().join("runtime")
    }

    pub(crate) fn bash(&self, script: &str) -> Job {
        self.0.bash(script).env("XDG_RUNTIME_DIR", self.runtime())
    }
}

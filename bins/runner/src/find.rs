//! Where otto.yml is.

use std::path::{Path, PathBuf};

/// The names looked for, in this order in each folder.
pub(crate) const NAMES: [&str; 4] = ["otto.yml", ".otto.yml", "otto.yaml", ".otto.yaml"];

/// The nearest file from `folder` upwards.
pub(crate) fn upwards(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_wins_then_the_order_of_names() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(top.path().join("otto.yml"), "").unwrap();
        assert_eq!(upwards(&inner), Some(top.path().join("otto.yml")));
        std::fs::write(top.path().join("a/.otto.yaml"), "").unwrap();
        std::fs::write(top.path().join("a/.otto.yml"), "").unwrap();
        assert_eq!(upwards(&inner), Some(top.path().join("a/.otto.yml")));
    }
}

//! Generated pages are in git and equal what they are generated from; `UPDATE=1` rewrites them.

use std::fs;
use std::path::Path;

/// Compares a page with what it should be, or writes it.
pub(crate) fn equals(path: &Path, wanted: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, wanted).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == wanted,
        "{} is old: UPDATE=1 rewrites it",
        path.display()
    );
}

//! `docs/reference/kubectl-countersign.md` is what `--help` says; `UPDATE=1` rewrites it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

#[path = "../../../tests/docs/generated.rs"]
mod generated;
#[path = "../../../tests/docs/help.rs"]
mod help;

use std::path::PathBuf;

#[test]
fn the_page_of_the_plugin_is_its_help() {
    let about = "A plugin of kubectl: `kubectl-countersign` in the PATH. What `--help` says.";
    let program = env!("CARGO_BIN_EXE_kubectl-countersign");
    let page = help::page(program, "kubectl countersign", about);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    generated::equals(&root.join("docs/reference/kubectl-countersign.md"), &page);
}

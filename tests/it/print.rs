//! What the program prints.

use std::process::{Command, Stdio};

#[test]
fn a_reader_that_has_gone_is_no_error() {
    for arguments in [&["crds"][..], &["taskkinds"], &["completion", "bash"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr);
        assert!(
            out.status.success() && told.is_empty(),
            "{arguments:?}: {told}"
        );
    }
}

//! What the program prints: manifests and completion.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _, stdout};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use serde_json::json;

use crate::args::Arguments;

pub(crate) fn crds() -> Result<()> {
    let mut text = String::new();
    for (name, yaml) in countersign_api::manifests() {
        writeln!(text, "# {name}\n---\n{}", yaml.trim_end())?;
    }
    print(text.as_bytes())
}

pub(crate) fn task_kinds() -> Result<()> {
    let mut text = String::new();
    for kind in countersign_tasks::defaults() {
        let name = if kind.group.is_empty() {
            kind.resource.to_owned()
        } else {
            format!("{}.{}", kind.resource, kind.group)
        };
        let object = json!({
            "apiVersion": "countersign.dev/v1alpha1",
            "kind": "TaskKind",
            "metadata": {"name": name},
            "spec": {
                "version": kind.version,
                "succeeded": kind.succeeded,
                "failed": kind.failed,
            },
        });
        writeln!(
            text,
            "---\n{}",
            serde_saphyr::to_string(&object)?.trim_end()
        )?;
    }
    print(text.as_bytes())
}

pub(crate) fn completion(shell: clap_complete::Shell) -> Result<()> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "countersign", &mut script);
    print(&script)
}

/// To stdout. A reader that has gone, such as `head`, is no error.
fn print(text: &[u8]) -> Result<()> {
    let mut out = stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("write to stdout"),
    }
}

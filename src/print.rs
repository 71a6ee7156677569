//! What the program prints: manifests and completion.

#![allow(clippy::print_stdout, reason = "a command's answer goes to stdout")]

use anyhow::Result;
use clap::CommandFactory as _;
use serde_json::json;

use crate::args::Arguments;

pub(crate) fn crds() -> Result<()> {
    for (name, yaml) in countersign_api::manifests() {
        println!("# {name}\n---\n{}", yaml.trim_end());
    }
    Ok(())
}

pub(crate) fn task_kinds() -> Result<()> {
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
        println!("---\n{}", serde_saphyr::to_string(&object)?.trim_end());
    }
    Ok(())
}

pub(crate) fn completion(shell: clap_complete::Shell) -> Result<()> {
    let mut command = Arguments::command();
    clap_complete::generate(shell, &mut command, "countersign", &mut std::io::stdout());
    Ok(())
}

//! `docs/reference/`: a page for each kind, from `crds/`, and one for the program.

use std::process::Command;

use serde_json::Value;

use crate::generated::equals;
use crate::pages::{code_words, files, read, root};
use crate::{help, kinds};

#[test]
fn each_kind_has_its_page_and_it_is_that_of_the_schema() {
    let mut count = 0;
    for path in files("crds", ".yaml") {
        let definition: Value = serde_saphyr::from_str(&read(&path)).unwrap();
        if definition["kind"] == "CustomResourceDefinition" {
            let plural = definition["spec"]["names"]["plural"].as_str().unwrap();
            let page = root().join(format!("docs/reference/{plural}.md"));
            equals(&page, &kinds::page(&definition));
            count += 1;
        }
    }
    assert_eq!(count, 7);
}

#[test]
fn the_page_of_the_program_is_its_help() {
    let about = "What `--help` says. Each flag that names an environment variable takes its default from it.";
    let page = help::page(env!("CARGO_BIN_EXE_countersign"), "countersign", about);
    equals(&root().join("docs/reference/countersign.md"), &page);
}

#[test]
fn each_kind_of_task_that_is_compiled_in_is_on_its_page() {
    let output = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("taskkinds")
        .output()
        .unwrap();
    let told = code_words(&read("docs/tasks.md"));
    let mut count = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        if let Some(name) = line.strip_prefix("  name: ") {
            count += 1;
            assert!(told.iter().any(|it| it == name), "{name}");
        }
    }
    assert!(count >= 15, "only {count} kinds");
}

//! `crds/` is what the code says.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use countersign_api::manifests;

#[test]
fn the_files_equal_the_code() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds");
    let wanted: BTreeMap<String, String> = manifests().into_iter().collect();
    assert_eq!(wanted.len(), 7 + 2 * 4, "a file each");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if !wanted.contains_key(&entry.file_name().into_string().unwrap()) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        for (name, yaml) in &wanted {
            fs::write(folder.join(name), yaml).unwrap();
        }
    }
    let found: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    let names = |all: &BTreeMap<String, String>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&wanted), "UPDATE=1 rewrites crds/");
    for (name, yaml) in &wanted {
        assert!(
            found[name] == *yaml,
            "{name} is old: UPDATE=1 rewrites crds/"
        );
        assert!(yaml.starts_with("# generated: countersign crds\napiVersion: "));
    }
}

//! The verifiers in `examples/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::files;

/// What the Python verifier needs beside the standard library, where the system hasn't any.
const CRYPTOGRAPHY: &str = "cryptography==48.0.0";

#[test]
fn the_verifier_in_python_says_of_each_vector_what_is_expected() {
    // As its help has it: `examples/vectors/*.json`, the bundle and the chain beside them included.
    let folder = std::fs::read_dir(in_vectors("")).unwrap();
    let names = folder.map(|entry| entry.unwrap().path());
    let names = names.filter(|path| path.extension().is_some_and(|it| it == "json"));
    let out = run(python().arg("examples/verify_chain.py").args(names));
    let count: usize = files().iter().map(|(_, file)| file.vectors.len()).sum();
    assert!(
        out.status.success() && text(&out).contains(&format!("{count} of {count}")),
        "{}",
        text(&out)
    );
}

#[test]
fn the_verifier_in_python_notices_a_vector_that_expects_something_else() {
    let file = std::fs::read_to_string(in_vectors("valid.json")).unwrap();
    let path = temporary("expects-something-else.json");
    std::fs::write(
        &path,
        file.replacen("\"expires\": 17", "\"expires\": 18", 1),
    )
    .unwrap();
    let out = run(python().arg("examples/verify_chain.py").arg(path));
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
}

#[test]
fn the_verifier_in_python_is_not_content_with_no_vectors() {
    let out = run(python()
        .arg("examples/verify_chain.py")
        .arg(in_vectors("chain.json")));
    assert_eq!(out.status.code(), Some(1), "{}", text(&out));
    assert!(text(&out).contains("no vectors"), "{}", text(&out));
}

#[test]
fn both_programs_show_a_chain_and_refuse_it_when_it_is_over() {
    let bundle = in_vectors("bundle.json");
    let chain = in_vectors("chain.json");
    let in_python = |at: &str| {
        run(python()
            .args([
                "examples/verify_chain.py",
                "--trust-domain",
                "example.org",
                "--at",
                at,
                "--bundle",
            ])
            .args([&bundle, &chain]))
    };
    let in_rust = |at: &str| {
        run(Command::new(example())
            .arg("example.org")
            .args([&bundle, &chain])
            .arg(at))
    };
    for verify in [&in_python as &dyn Fn(&str) -> Output, &in_rust] {
        let out = verify("2026-11-16T08:05:00Z");
        assert!(out.status.success(), "{}", text(&out));
        let shown = text(&out);
        for part in [
            "alice",
            "planner",
            "invoice-reader",
            "report-writer",
            "ledger/invoices/2026/11/*",
        ] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        let out = verify("2026-11-16T08:17:00Z");
        assert_eq!(out.status.code(), Some(1), "{}", text(&out));
        assert!(text(&out).contains("hop 3"), "{}", text(&out));
    }
}

/// The program of `examples/verify_chain.rs`. `cargo test` builds it before it runs tests;
/// `cargo test --test vectors` doesn't.
fn example() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let folder = this.ancestors().nth(2).unwrap();
    let program = folder.join("examples/verify_chain");
    if !program.exists() {
        let build = ["build", "--locked", "--example", "verify_chain"];
        let built = run(Command::new(env!("CARGO")).args(build));
        assert!(built.status.success(), "{}", text(&built));
    }
    program
}

fn in_vectors(name: &str) -> PathBuf {
    crate::folder().join(name)
}

fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn run(command: &mut Command) -> Output {
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn text(out: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&out.stdout) + &text(&out.stderr)
}

/// A Python that has `cryptography`: the system's, or one of its own under `target`, made once.
fn python() -> Command {
    static ONE: std::sync::LazyLock<PathBuf> = std::sync::LazyLock::new(|| {
        let has_it = |python: &Path| {
            let check = Command::new(python)
                .args(["-c", "import cryptography"])
                .output();
            check.is_ok_and(|out| out.status.success())
        };
        let system = PathBuf::from("python3");
        if has_it(&system) {
            return system;
        }
        let folder = temporary("python");
        let own = folder.join("bin/python");
        if !has_it(&own) {
            eprintln!("installing {CRYPTOGRAPHY} into {}, once", folder.display());
            let made = run(Command::new(&system).args(["-m", "venv"]).arg(&folder));
            assert!(made.status.success(), "{}", text(&made));
            let pip =
                run(Command::new(&own).args(["-m", "pip", "install", "--quiet", CRYPTOGRAPHY]));
            assert!(pip.status.success(), "{}", text(&pip));
        }
        own
    });
    let mut python = Command::new(&*ONE);
    python.arg("-B"); // leaves nothing in `examples/`
    python
}

//! The chain verifiers of others: a program of its own workspace, asked over a pipe.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The running program. Ends with the value.
pub(crate) struct Rivals {
    _child: Child,
    asked: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// So many verifications in a row.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Batch {
    /// The median, in microseconds.
    pub(crate) p50_us: f64,
    /// Of the chain.
    pub(crate) bytes: f64,
}

impl Rivals {
    /// Starts `program`, each of whose batches has so many verifications.
    pub(crate) fn start(program: &Path, iterations: usize) -> Result<Self> {
        ensure!(
            program.is_file(),
            "there is no {}: cargo build --release --locked --manifest-path src/bench/peers/Cargo.toml --target-dir target/peers",
            program.display()
        );
        // It ends when its input does, also when this process is killed.
        let mut child = Command::new(program)
            .arg("--serve")
            .arg(format!("--iterations={iterations}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let asked = child.stdin.take().context("the peers have no input")?;
        let answers = child.stdout.take().context("the peers have no output")?;
        Ok(Self {
            _child: child,
            asked,
            answers: BufReader::new(answers).lines(),
        })
    }

    /// One batch of `peer` at this length.
    pub(crate) async fn batch(&mut self, peer: &str, hops: usize) -> Result<Batch> {
        let line = format!("{peer} {hops}\n");
        self.asked.write_all(line.as_bytes()).await?;
        self.asked.flush().await?;
        let Some(answer) = self.answers.next_line().await? else {
            bail!("the peers ended");
        };
        serde_json::from_str(&answer).with_context(|| format!("{peer}, {hops} hops: {answer}"))
    }
}

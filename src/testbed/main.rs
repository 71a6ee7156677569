//! `countersign-testbed`: a real Kubernetes control plane for hands, scripts and CI.

#![allow(clippy::print_stdout, reason = "a command line's answers go to stdout")]
#![allow(
    clippy::disallowed_methods,
    reason = "real programs are waited for in real time"
)]

use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use countersign_testbed::cluster::{Cluster, Found};
use countersign_testbed::{Binaries, ControlPlane, Image, NodePrograms, Options};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// A real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager) on loopback,
/// without root, containers or a node.
#[derive(Debug, Parser)]
#[command(name = "countersign-testbed", version)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Starts a control plane that stays; does nothing if it runs already
    Up {
        /// Where its files go
        #[arg(long, default_value = ".cluster")]
        dir: PathBuf,
        /// With a node that runs pods; needs root
        #[arg(long)]
        node: bool,
    },
    /// Ends it and removes its folder
    Down {
        /// Where its files are
        #[arg(long, default_value = ".cluster")]
        dir: PathBuf,
    },
    /// Prints the folder of the programs, after building them if need be
    Binaries {
        /// Of a node instead
        #[arg(long)]
        node: bool,
    },
    /// Makes an image of programs of this machine, for a node
    Image(ImageArguments),
    /// Prints where Envoy is, after downloading it if need be
    Envoy,
    /// Runs a command against a control plane of its own (KUBECONFIG, PATH) and ends that again
    Run {
        /// With a node that runs pods; needs root (CONTAINERD_ADDRESS for ctr)
        #[arg(long)]
        node: bool,
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Makes a session and becomes the command
    #[command(hide = true)]
    Detach {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[derive(Debug, clap::Args)]
struct ImageArguments {
    /// As pods name it, with a tag
    #[arg(long)]
    name: String,
    /// A file of this machine and where it goes; libraries of programs come along
    #[arg(long = "file", value_name = "FILE:PATH", value_parser = pair)]
    files: Vec<(PathBuf, PathBuf)>,
    /// A link and what it points to
    #[arg(long = "link", value_name = "PATH:TARGET", value_parser = pair)]
    links: Vec<(PathBuf, PathBuf)>,
    /// Who runs it
    #[arg(long, default_value = "65532:65532")]
    user: String,
    /// The command, absolute
    #[arg(long)]
    entrypoint: Option<String>,
    /// The tar file to write, an OCI layout
    to: PathBuf,
}

fn main() -> ExitCode {
    act(Arguments::parse().action).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn act(action: Action) -> Result<ExitCode> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        match action {
            Action::Up { dir, node } => until_told_to_stop(up(&dir, node)).await,
            Action::Down { dir } => down(&dir),
            Action::Binaries { node } => binaries(node),
            Action::Image(arguments) => image(arguments),
            Action::Envoy => {
                println!("{}", countersign_testbed::envoy_program()?.display());
                Ok(ExitCode::SUCCESS)
            }
            Action::Run { node, command } => run(node, &command).await,
            Action::Detach { command } => detach(&command),
        }
    });
    runtime.shutdown_background(); // a build that was interrupted ends with the process
    code
}

async fn up(dir: &Path, node: bool) -> Result<ExitCode> {
    let launcher = [
        std::env::current_exe()?.into_os_string(),
        "detach".into(),
        "--".into(),
    ];
    let (cluster, found) = Cluster::up(dir, node, &launcher).await?;
    match found {
        Found::Nothing => println!("a control plane runs in {}", dir.display()),
        Found::Running => println!("a control plane runs in {} already", dir.display()),
    }
    println!();
    println!("  export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("  export PATH={}:$PATH", cluster.bin_dir().display());
    println!("  kubectl get namespaces");
    if let Some(socket) = cluster.node_socket() {
        println!();
        println!("It has a node; this loads an image into it:");
        println!();
        println!("  export CONTAINERD_ADDRESS={}", socket.display());
        println!("  hack/image.sh && ctr -n k8s.io images import target/image/countersign.tar");
    }
    println!();
    println!("make cluster-down ends it.");
    Ok(ExitCode::SUCCESS)
}

fn down(dir: &Path) -> Result<ExitCode> {
    if Cluster::down(dir)? {
        println!("the control plane in {} is gone", dir.display());
    } else {
        println!("there is no control plane in {}", dir.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn binaries(node: bool) -> Result<ExitCode> {
    if node {
        println!("{}", NodePrograms::find_or_build()?.dir().display());
    } else {
        println!("{}", Binaries::find_or_build()?.dir().display());
    }
    Ok(ExitCode::SUCCESS)
}

fn image(arguments: ImageArguments) -> Result<ExitCode> {
    let image = Image {
        name: arguments.name,
        files: arguments.files,
        links: arguments.links,
        user: arguments.user,
        entrypoint: arguments.entrypoint.into_iter().collect(),
    };
    image.write(&arguments.to)?;
    Ok(ExitCode::SUCCESS)
}

/// Two paths with a colon between them.
fn pair(text: &str) -> Result<(PathBuf, PathBuf)> {
    let (one, other) = text
        .split_once(':')
        .context("expected a colon between two paths")?;
    Ok((one.into(), other.into()))
}

fn detach(command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command was given")?;
    rustix::process::setsid().context("make a session")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("become {}", program.display()))
}

async fn run(node: bool, command: &[OsString]) -> Result<ExitCode> {
    let mut plane = None;
    let options = Options {
        node,
        ..Options::default()
    };
    let started = until_told_to_stop(async {
        plane = Some(ControlPlane::start(options).await?);
        Ok(ExitCode::SUCCESS)
    });
    let code = started.await?;
    let Some(plane) = plane else { return Ok(code) };
    let (program, arguments) = command.split_first().context("no command was given")?;
    let mut child = tokio::process::Command::new(program);
    child
        .args(arguments)
        .env("KUBECONFIG", plane.kubeconfig())
        .env("PATH", plane.search_path())
        .kill_on_drop(true);
    if let Some((_, socket)) = plane.node() {
        child.env("CONTAINERD_ADDRESS", socket);
    }
    let child = child
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    plane.watch(child.id())?;
    let status = wait_through_signals(child).await;
    plane.watch(None)?;
    plane.stop();
    Ok(exit_code(status?))
}

/// Waits for the command. A signal that asks to stop gives it some time to do so: a terminal's
/// Ctrl-C has reached it as well, another signal is passed on.
async fn wait_through_signals(mut child: Child) -> Result<ExitStatus> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        status = child.wait() => return status.context("wait for the command"),
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {
            let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
            if let Some(pid) = pid {
                let _gone = kill_process(pid, Signal::TERM); // it may have ended just now
            }
        }
    }
    if let Ok(status) = timeout(PATIENCE, child.wait()).await {
        return status.context("wait for the command");
    }
    child.start_kill().context("kill the command")?;
    child.wait().await.context("wait for the command")
}

/// The work, or 130 when Ctrl-C or SIGTERM comes first; dropping the work ends what it started.
async fn until_told_to_stop(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    const INTERRUPTED: u8 = 130;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        result = work => result,
        _ = interrupted.recv() => Ok(ExitCode::from(INTERRUPTED)),
        _ = terminated.recv() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// As a shell has it: the command's own code, or 128 and the signal that ended it.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

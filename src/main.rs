//! `countersign`: just-in-time identities for AI agents on Kubernetes.

mod agent_run;
mod args;
mod decide;
mod issue;
mod metrics_args;
mod print;
mod run;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Decide(arguments) => decide::run(*arguments),
        Command::Issue(arguments) => issue::run(*arguments),
        Command::Agent(arguments) => agent_run::run(*arguments),
        Command::Crds => print::crds(),
        Command::Taskkinds => print::task_kinds(),
        Command::Completion { shell } => print::completion(shell),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! The command line.

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::audit::AuditArgs;
use crate::can::CanArgs;
use crate::cluster::Cluster;
use crate::delegate::DelegateArgs;
use crate::failure::{EXIT_CODES, Outcome};
use crate::renew::RenewArgs;
use crate::revoke::RevokeArgs;
use crate::status::StatusArgs;
use crate::trail::TrailArgs;
use crate::tree::TreeArgs;
use crate::verify::VerifyArgs;
use crate::why::WhyArgs;
use crate::{audit, can, delegate, renew, revoke, status, trail, tree, verify, why};

/// The file that kubectl looks for.
const PROGRAM: &str = "kubectl-countersign";

/// Who may do what, on whose authority; handing it on, and taking it back
#[derive(Debug, Parser)]
#[command(
    name = PROGRAM,
    bin_name = "kubectl countersign",
    version,
    propagate_version = true,
    after_help = EXIT_CODES
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    cluster: Cluster,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Tree(TreeArgs),
    Trail(TrailArgs),
    Why(WhyArgs),
    Can(CanArgs),
    Verify(VerifyArgs),
    Delegate(DelegateArgs),
    Revoke(RevokeArgs),
    Renew(RenewArgs),
    Audit(AuditArgs),
    Status(StatusArgs),
    /// Print a script that completes this program's arguments in a shell
    #[command(after_help = "\
Examples:
  source <(kubectl countersign completion bash)")]
    Completion {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

impl Arguments {
    /// Reads the process's arguments; ends it with code 2 if they can't be read.
    pub(crate) fn read() -> Self {
        let matches = Self::documented().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|why| why.exit())
    }

    /// With the exit codes in the help of each command.
    fn documented() -> clap::Command {
        Self::command().mut_subcommands(document)
    }

    /// Does what they say.
    pub(crate) async fn run(self) -> Outcome {
        let cluster = &self.cluster;
        match &self.command {
            Command::Tree(args) => tree::run(cluster, args).await,
            Command::Trail(args) => trail::run(cluster, args).await,
            Command::Why(args) => why::run(args).await,
            Command::Can(args) => can::run(cluster, args).await,
            Command::Verify(args) => verify::run(cluster, args).await,
            Command::Delegate(args) => delegate::run(cluster, args).await,
            Command::Revoke(args) => revoke::run(cluster, args).await,
            Command::Renew(args) => renew::run(cluster, args).await,
            Command::Audit(args) => audit::run(cluster, args).await,
            Command::Status(args) => status::run(cluster, args).await,
            Command::Completion { shell } => {
                let mut script = Vec::new();
                let mut command = Self::command().bin_name(PROGRAM);
                clap_complete::generate(*shell, &mut command, PROGRAM, &mut script);
                Ok(crate::output::print(&String::from_utf8_lossy(&script))?)
            }
        }
    }
}

fn document(command: clap::Command) -> clap::Command {
    let examples = command.get_after_help().map(ToString::to_string);
    let help = match examples {
        // It has its own.
        Some(examples) if examples.contains("Exit codes:") => examples,
        Some(examples) => format!("{examples}\n\n{EXIT_CODES}"),
        None => EXIT_CODES.to_owned(),
    };
    command.after_help(help).mut_subcommands(document)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        let words = std::iter::once(PROGRAM).chain(line.split(' '));
        let matches = Arguments::documented().try_get_matches_from(words)?;
        Arguments::from_arg_matches(&matches)
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn usage_is_shown_as_kubectl_calls_it() {
        let help = parsed("tree --help").unwrap_err().to_string();
        assert!(help.contains("Usage: kubectl countersign tree"), "{help}");
        let help = parsed("--help").unwrap_err().to_string();
        assert!(help.contains("Exit codes:"), "{help}");
    }

    #[test]
    fn each_command_has_examples() {
        for command in [
            "tree",
            "trail",
            "why",
            "can",
            "verify",
            "delegate",
            "revoke",
            "renew",
            "audit verify",
            "audit export",
            "status",
            "completion",
        ] {
            let help = parsed(&format!("{command} --help"))
                .unwrap_err()
                .to_string();
            assert!(help.contains("Examples:"), "{command}");
            assert!(help.contains("Exit codes:"), "{command}");
            assert!(help.contains("kubectl countersign"), "{command}");
        }
    }

    #[test]
    fn good_lines_are_read() {
        for line in [
            "tree",
            "tree owner/alice -A -o mermaid --context prod",
            "tree -n finance -o table",
            "trail 7f3a09c44be1d02283a1c0ffee5eed00 --audit sqlite:x -o json",
            "why 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d --audit sqlite:x -o text",
            "can read a/b --as-agent ns/a --decision-point https://d -o json --explain",
            "can read a/b --spiffe-id spiffe://a/b --decision-point http://[::1]:1 --insecure-http --token-file t",
            "can read a --as-agent a --decision-point https://d --delegation ns/d --tool t --audience x --type document --bytes 5 --destructive --source-ip ::1",
            "verify --chain - --bundle b.json --trust-domain example.org --agent-signatures --at 2026-11-24T12:00:00Z",
            "verify delegation a -n finance -o yaml",
            "verify delegation a --certificate leaf.pem",
            "delegate --from owner/alice --to planner --action read,list --resource ledger/* --expires-after 1h30m",
            "delegate --from agent/p --to ns/q --action read --resource a --dry-run -o yaml",
            "delegate --from agent/p --to q --action read --resource a --dry-run=server --sign k --certificate c",
            "revoke delegation a --yes",
            "revoke identity a",
            "renew a -n finance",
            "audit verify --audit sqlite:x --bundle example.org=b --anchor a",
            "audit verify --segment s --segment t --bundle example.org=b",
            "audit export --audit sqlite:x --kind DelegationGranted --format ocsf",
            "status --check",
            "completion bash",
        ] {
            if let Err(why) = parsed(line) {
                panic!("{line}: {why}");
            }
        }
    }

    #[test]
    fn bad_lines_are_refused_with_code_2() {
        for line in [
            "tree -o pdf",
            "why 9b1deb4d --audit sqlite:x",
            "why 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d",
            "can read a --decision-point https://d",
            "can read a --as-agent a --spiffe-id spiffe://a/b --decision-point https://d",
            "can read a --as-agent a",
            "verify --chain c --bundle b",
            "verify",
            "delegate --from alice --to q --action read --resource a",
            "delegate --from owner/alice --to q --resource a",
            "delegate --from agent/p --to q --action read --resource a --sign k",
            "delegate --from agent/p --to q --action read --resource a --expires-after soon",
            "delegate --from agent/p --to q --action read --resource a --max-depth 16",
            "delegate --from agent/p --to q --action read --resource a --max-data-class Secret",
            "revoke everything a",
            "audit export --audit sqlite:x --kind Nothing",
            "audit verify --segment s --bundle b",
        ] {
            let why = parsed(line).expect_err(line);
            assert_eq!(why.exit_code(), 2, "{line}");
        }
    }
}

//! Verifies a chain of delegation statements without Kubernetes: from the trust domain's bundle and
//! the chain alone.
//!
//! ```text
//! cargo run --example verify_chain -- example.org bundle.json chain.json [2026-11-16T08:05:00Z]
//! ```
//!
//! `bundle.json` is the SPIFFE bundle that the operator publishes; `chain.json` a JSON array of the
//! statements, from the owner's on. Without a time it is now. Exit code: 0 if the chain is good, 1 if
//! it isn't, 2 if it couldn't be looked at. To try it there are `examples/vectors/bundle.json` and
//! `examples/vectors/chain.json`, which were good at the time above.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use countersign_statement::{Chain, ChainError, Options, TrustedKeys, verify_chain};
use jiff::Timestamp;

#[allow(clippy::print_stdout, reason = "it is what this program is for")]
fn main() -> ExitCode {
    match run() {
        Ok(Ok(chain)) => {
            print!("{}", shown(&chain));
            ExitCode::SUCCESS
        }
        Ok(Err(broken)) => {
            println!("refused ({}): {broken}", broken.category());
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("{why:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<Result<Chain, ChainError>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (trust_domain, bundle, chain, at) = match arguments.as_slice() {
        [trust_domain, bundle, chain] => (trust_domain, bundle, chain, None),
        [trust_domain, bundle, chain, at] => (trust_domain, bundle, chain, Some(at)),
        _ => bail!("usage: verify_chain TRUST-DOMAIN BUNDLE.json CHAIN.json [TIME]"),
    };
    let read =
        |path: &String| fs::read_to_string(path).with_context(|| format!("can't read {path}"));
    let now = match at {
        Some(at) => at.parse().with_context(|| format!("{at} is no time"))?,
        None => now(),
    };
    let keys = TrustedKeys::from_bundle_json(trust_domain, &read(bundle)?)?;
    let statements: Vec<String> = serde_json::from_str(&read(chain)?)
        .with_context(|| format!("{chain} is no JSON array of strings"))?;
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    // Whoever verifies often keeps a `Verifier`; whoever has revocation lists asks them here.
    Ok(verify_chain(&statements, &keys, now, &Options::default()))
}

#[allow(
    clippy::disallowed_methods,
    reason = "this program has no clock to ask"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The hops, one a line, and what the last one may do.
fn shown(chain: &Chain) -> String {
    let mut lines = Vec::new();
    for (depth, hop) in chain.hops().enumerate() {
        let claims = hop.claims();
        let requester = claims.requester.as_deref().unwrap_or("nobody known");
        lines.push(format!(
            "hop {depth}: {} until {}, asked for by {requester}",
            claims.subject, claims.expires_at
        ));
    }
    lines.push(format!(
        "good until {}; {} may:",
        chain.expires_at(),
        chain.leaf().claims().subject
    ));
    for grant in chain.grants() {
        let constraints = serde_json::to_string(&grant.constraints).unwrap_or_default();
        lines.push(format!(
            "  {} on {}, within {constraints}",
            grant.actions.join(", "),
            grant.resources.join(", ")
        ));
    }
    lines.join("\n") + "\n"
}

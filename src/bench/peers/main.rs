//! `countersign-bench-peers`: what verifying a chain of delegations costs with other people's
//! libraries, to be measured beside ours on the same machine in the same run.
//!
//! ```text
//!  Peer × hops ──prepare──▶ Case: a chain as bytes, signed once at the start
//!                             │
//!            ┌────────────────┴──────────────┐
//!            ▼ (no flag)                     ▼ --serve
//!   rounds over all cases,           stdin `biscuit 8` ─▶ one batch ─▶ a line of JSON
//!   one JSON object                  (the caller times its own verifier in between)
//! ```
//!
//! # What is measured
//!
//! A chain of n hops is n signed statements, by n different Ed25519 keys. Each hop narrows: the
//! root may list and read below a folder, each hop below it may only read, one folder deeper
//! ([`scope`]). Both libraries get the same actions and folders. A warrant always has an end of its
//! own, a minute sooner at each hop; in the biscuit only the root has one (a
//! third check in every block would cost it about 4 µs a hop: left out, in its favour).
//!
//! | name | one measurement |
//! |---|---|
//! | `biscuit` | `Biscuit::from(bytes, root key)`: parse and verify every block's signature |
//! | `biscuit_authorize` | on a token verified before: build an authorizer and run its Datalog |
//! | `tenuo` | `wire::decode_stack(bytes)` and `Authorizer::verify_chain`: parse, verify, all chain rules |
//! | `tenuo_authorize` | on a chain verified before: the leaf's `authorize`: proof of possession and constraints |
//!
//! `biscuit` and `tenuo` are cold: from bytes each time, no state kept from one measurement to the
//! next. The `_authorize` figures come on top of them; they are not contained in them.
//!
//! # What compares and what doesn't
//!
//! - **biscuit** checks signatures and the key handed from block to block, and nothing else, when
//!   it parses. A block that would widen is not refused there: a block can only restrict, by
//!   checks that all run against the request in `authorize`. So `biscuit` does less than our
//!   verifier, which compares the grants of each hop with those of the hop above, its depth,
//!   linkage and expiry; `biscuit` + `biscuit_authorize` does about as much but answers one request
//!   only. Being below `biscuit` alone is the harder comparison.
//! - A biscuit is a bearer token: nobody proves to be its holder, and blocks name no delegate. It
//!   carries the last private key, so that the holder can append (not sealed, the default and the
//!   cheaper form); deriving that key's public half is in the figure, once whatever the length.
//! - **tenuo** checks what ours does: linkage by hash, issuer is the parent's holder, depth, nested
//!   lifetimes, narrowing of each capability, no cycle. More than half of its time is parsing
//!   (`decode_stack` decompresses each key, and encodes everything again to see that the bytes were
//!   canonical). All signatures of a chain are verified at once (`ed25519_dalek::verify_batch`),
//!   which at these lengths saves little, and accepts some signatures (with keys of small order)
//!   that strict verification refuses; biscuit uses `verify_strict`, one after the other.
//! - A warrant is bound to its holder, and nothing may be done with it without a proof of
//!   possession: one more signature, over the request and the time. That is `tenuo_authorize`. Our
//!   chain is presented over mTLS, whose handshake proves possession for every request on the
//!   connection; so `tenuo` is the figure to set beside ours, and `tenuo_authorize` is the price of
//!   proving it for each request.
//! - The proof is good for some windows of 30 s around its time. It is made when the chain is, and
//!   checked as of that moment (the library's own entry point for replay; the usual one differs by
//!   reading the clock). A proof of the current window is found at the first try of up to five.
//! - Revocation lists are not set in either: their look-ups are by hash and don't matter here.
//! - Tenuo allows 64 hops, biscuit any number; so `--hops` takes 1 to 64.
//!
//! Both use ed25519-dalek with curve25519-dalek's vector code, chosen at run time. Compiled by the
//! same profile as ours.

#![allow(clippy::print_stdout, reason = "a command line's answers go to stdout")]

mod biscuit;
mod case;
mod measure;
mod scope;
mod serve;
mod tenuo;

use std::io;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::case::Cases;

/// Measures chain verification of biscuit-auth 6.0.0 and tenuo 0.3.5.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How often each chain is verified; with --serve: how often for one answer
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// Lengths of chains, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3, 5, 8, 16])]
    hops: Vec<usize>,
    /// Answers lines such as `biscuit 8` on stdin, each with one line of JSON, until they end
    #[arg(long)]
    serve: bool,
}

fn main() -> ExitCode {
    if let Err(error) = run(&Arguments::parse()) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        arguments
            .hops
            .iter()
            .all(|hops| (1..=scope::MOST_HOPS).contains(hops)),
        "a chain has 1 to {} hops",
        scope::MOST_HOPS
    );
    let cases = Cases::prepare(&arguments.hops)?;
    if arguments.serve {
        return serve::answer(
            &cases,
            arguments.iterations,
            io::stdin().lock(),
            io::stdout().lock(),
        );
    }
    println!("{}", measure::all(&cases, arguments.iterations)?);
    Ok(())
}

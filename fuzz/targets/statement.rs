//! Statements, lists, checkpoints and bundles from anybody: no panic, and nothing is accepted that
//! the trust domain didn't sign.
//!
//! The first byte of an input says what the rest is.

#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::narrow;
use countersign_fuzz::chains::Signed;
use countersign_fuzz::{DOMAIN, start};
use countersign_statement::revocation::List;
use countersign_statement::{
    Chain, Options, Purpose, TrustedKeys, Verifier, agent, checkpoint, read_unverified,
    verify_chain,
};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

static SIGNED: LazyLock<Signed> = LazyLock::new(Signed::new);
/// Remembers the chains that were signed, and is shown others.
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let verifier = Verifier::new(SIGNED.keys.clone(), 1000);
    for chain in &SIGNED.chains {
        let texts: Vec<&str> = chain.iter().map(|it| it.compact()).collect();
        let verified = verifier.verify(&texts, start(), &with_agents());
        verified.expect("what was signed verifies");
    }
    verifier
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 8 {
        0 => any_text(rest),
        1 => any_claims(rest),
        2 => any_list(rest),
        3 => any_checkpoint(rest),
        4 => any_request(rest),
        5 => any_bundle(rest),
        _ => drop(recombined(&mut Unstructured::new(rest))),
    }
});

/// Text that nobody signed, a statement on each line.
fn any_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    only_what_was_signed(&lines);
    for line in lines {
        drop(read_unverified(line));
        if List::verify(line, &SIGNED.keys, start()).is_ok() {
            assert_eq!(line, SIGNED.list, "another list is accepted");
        }
        if checkpoint::verify(line, &SIGNED.keys).is_ok() {
            assert_eq!(line, SIGNED.checkpoint, "another checkpoint is accepted");
        }
        if agent::verify(line, &SIGNED.roots, start()).is_ok() {
            assert_eq!(line, SIGNED.request, "another request is accepted");
        }
    }
}

fn only_what_was_signed(texts: &[&str]) {
    for options in [Options::default(), with_agents()] {
        if let Ok(chain) = verify_chain(texts, &SIGNED.keys, start(), &options) {
            assert!(SIGNED.signed(texts), "another chain is accepted: {texts:?}");
            let same = chain
                .hops()
                .map(|it| it.compact())
                .eq(texts.iter().copied());
            assert!(same, "other statements come back");
        }
        // A known leaf counts with its own ancestors, whatever is shown as such.
        if let Ok(chain) = VERIFIER.verify(texts, start(), &options) {
            let found: Vec<&str> = chain.hops().map(|it| it.compact()).collect();
            assert!(SIGNED.signed(&found), "another chain is remembered");
            assert_eq!(found.last(), texts.last(), "for another leaf");
        }
    }
}

/// Claims that were never checked, but are signed, below the good hops of a chain.
fn any_claims(bytes: &[u8]) {
    let Some((hop, payload)) = bytes.split_first() else {
        return;
    };
    let above = SIGNED.chains[0].iter().take(usize::from(hop % 5));
    let text = SIGNED.sign(Purpose::Statements, payload);
    let texts: Vec<&str> = above.map(|it| it.compact()).chain([&*text]).collect();
    let unverified = read_unverified(&text);
    if verify_chain(&texts, &SIGNED.keys, start(), &with_agents()).is_ok() {
        let chain = verify_chain(&texts, &SIGNED.keys, start(), &Options::default());
        assert!(chain.is_ok(), "more is looked at, and it passes");
    }
    let Ok(chain) = verify_chain(&texts, &SIGNED.keys, start(), &Options::default()) else {
        return;
    };
    check_rules(&chain);
    let leaf = chain.leaf();
    let (claims, digest) = unverified.expect("what verifies can be read");
    assert_eq!((&claims, &digest), (leaf.claims(), leaf.digest()));
    let signer = SIGNED.ring.signer(Purpose::Statements);
    let again = signer.expect("there is a key").countersign(&claims);
    let again = again.expect("what was read can be signed");
    assert_eq!(again.claims(), &claims, "and says the same");
    let read = read_unverified(again.compact()).expect("and can be read");
    assert_eq!(read.0, claims, "the same again");
}

/// The rules, said once more.
fn check_rules(chain: &Chain) {
    let hops: Vec<_> = chain.hops().map(|it| it.claims()).collect();
    for (place, below) in hops.iter().enumerate() {
        assert_eq!(usize::from(below.depth), place);
        assert_eq!(below.issuer.as_str(), DOMAIN);
        assert!(below.issued_at < below.expires_at && start() < below.expires_at);
        for above in &hops[..place] {
            assert!(below.expires_at <= above.expires_at, "it ends later");
            assert!(below.issued_at >= above.issued_at, "it begins earlier");
            assert!(below.depth <= above.max_depth && below.max_depth <= above.max_depth);
            assert_eq!(below.owner, above.owner);
            assert_ne!(below.subject, above.subject, "it is a cycle");
            assert_ne!(below.id, above.id);
            narrow(&above.grants, &below.grants).expect("it narrows all above");
        }
    }
    for (above, below) in chain.hops().zip(chain.hops().skip(1)) {
        assert_eq!(below.claims().parent.as_ref(), Some(above.digest()));
        assert_eq!(
            below.claims().delegator.as_ref(),
            Some(&above.claims().subject)
        );
    }
}

fn any_list(payload: &[u8]) {
    for purpose in [Purpose::Statements, Purpose::Checkpoints] {
        let text = SIGNED.sign(purpose, payload);
        let read = List::verify(&text, &SIGNED.keys, start());
        assert!(read.is_err(), "another purpose's key signed a list");
    }
    let text = SIGNED.sign(Purpose::Lists, payload);
    let Ok(list) = List::verify(&text, &SIGNED.keys, start()) else {
        return;
    };
    assert!(start() < list.next_update);
    assert!(
        list.digests()
            .iter()
            .all(|it| list.contains(it) == Some(true))
    );
    let signer = SIGNED.ring.signer(Purpose::Lists).expect("there is a key");
    let again = list.sign(&signer).expect("what was read can be signed");
    assert_eq!(List::verify(&again, &SIGNED.keys, start()), Ok(list));
}

fn any_checkpoint(payload: &[u8]) {
    for purpose in [Purpose::Statements, Purpose::Lists] {
        let text = SIGNED.sign(purpose, payload);
        let read = checkpoint::verify(&text, &SIGNED.keys);
        assert!(read.is_err(), "another purpose's key signed a checkpoint");
    }
    let text = SIGNED.sign(Purpose::Checkpoints, payload);
    let Ok(head) = checkpoint::verify(&text, &SIGNED.keys) else {
        return;
    };
    let signer = SIGNED.ring.signer(Purpose::Checkpoints);
    let again = checkpoint::sign(&head, &signer.expect("there is a key"));
    let again = again.expect("what was read can be signed");
    assert_eq!(checkpoint::verify(&again, &SIGNED.keys), Ok(head));
}

/// Requests that were never checked, but are signed by an agent.
fn any_request(payload: &[u8]) {
    let text = SIGNED.sign_as_agent(payload);
    let Ok(read) = agent::verify(&text, &SIGNED.roots, start()) else {
        return;
    };
    let hop = SIGNED.chains[0][1].claims();
    assert_eq!(read.request.delegator, hop.subject, "it speaks for another");
    assert!(start() < read.request.expires_at);
    drop(agent::check_within(
        &read.request,
        SIGNED.chains[0][2].claims(),
    ));
}

/// Keys that anybody published.
fn any_bundle(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(keys) = TrustedKeys::from_bundle_json(DOMAIN, &text) else {
        return;
    };
    let texts: Vec<&str> = SIGNED.chains[0].iter().map(|it| it.compact()).collect();
    if let Ok(chain) = verify_chain(&texts, &keys, start(), &Options::default()) {
        assert!(chain.hops().eq(SIGNED.chains[0].iter()));
    }
    let foreign: Vec<&str> = SIGNED.foreign.iter().map(String::as_str).collect();
    let read = verify_chain(&foreign, &keys, start(), &Options::default());
    assert!(read.is_err(), "another trust domain's chain is accepted");
}

/// Headers, payloads and signatures that belong to different things, and a bit flipped.
fn recombined(input: &mut Unstructured<'_>) -> Result<()> {
    let statements = SIGNED.chains.iter().flatten().map(|it| it.compact());
    let others = [&SIGNED.list, &SIGNED.checkpoint, &SIGNED.request];
    let others = others.into_iter().chain(&SIGNED.foreign);
    let mut all: Vec<&str> = statements.chain(others.map(String::as_str)).collect();
    let none = format!("{}.x.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    all.push(&none);
    let mut chain = Vec::new();
    for _ in 0..input.int_in_range(1..=5)? {
        let mut part = |place| {
            let text = input.choose(&all)?;
            Ok(text.split('.').nth(place).unwrap_or_default())
        };
        chain.push(format!("{}.{}.{}", part(0)?, part(1)?, part(2)?));
    }
    if input.arbitrary()? {
        let hop = input.choose_index(chain.len())?;
        let mut bytes = std::mem::take(&mut chain[hop]).into_bytes();
        let at = input.choose_index(bytes.len())?;
        bytes[at] ^= 1 << input.int_in_range(0..=6)?;
        chain[hop] = String::from_utf8(bytes).expect("ASCII stays ASCII");
    }
    only_what_was_signed(&chain.iter().map(String::as_str).collect::<Vec<_>>());
    Ok(())
}

fn with_agents() -> Options<'static> {
    Options {
        agent_signatures: Some(&SIGNED.roots),
        ..Options::default()
    }
}

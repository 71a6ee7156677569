//! Writes the seeds of `corpus/` into the folder that is named: for each kind of input an honest
//! one. `hack/fuzz.sh` compares them with those in Git.
//!
//! What is built with coverage links with libFuzzer alone, so this is a fuzz target that never gets
//! as far as an input.

#![no_main]

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::exit;

use countersign_fuzz::DOMAIN;
use countersign_fuzz::certificates::{Authority, tbs_of};
use countersign_fuzz::chains::{Signed, agent_of, payload_of};
use countersign_fuzz::events::Transmitter;
use countersign_fuzz::ring::{file, secret_data};
use countersign_fuzz::segment::Notary;
use countersign_fuzz::tokens::{AUDIENCE, Tokens};
use countersign_statement::Purpose;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: write_and_exit(),
    |_data: &[u8]| {}
);

/// Never returns; the macro wants something that might.
fn write_and_exit() {
    match write() {
        Ok(()) => exit(0),
        Err(why) => {
            eprintln!("can't write seeds: {why}");
            exit(1)
        }
    }
}

fn write() -> io::Result<()> {
    let corpus = env::args_os().nth(1).map(PathBuf::from);
    let corpus = corpus.ok_or_else(|| io::Error::other("name the folder to write into"))?;
    for (target, seeds) in [
        ("statement", statement()),
        ("keys", keys()),
        ("audit", audit()),
        ("authority", authority()),
        ("grants", grants()),
        ("authzen_body", authzen_body()),
        ("set_token", set_token()),
        ("jwt_svid", jwt_svid()),
    ] {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        for (name, kind, content) in seeds {
            let kind: Option<u8> = kind;
            let bytes: Vec<u8> = kind.into_iter().chain(content).collect();
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

/// A name, the byte in front, and what follows.
type Seeds = Vec<(&'static str, Option<u8>, Vec<u8>)>;

fn statement() -> Seeds {
    let signed = Signed::new();
    let chain: Vec<&str> = signed.chains[0].iter().map(|it| it.compact()).collect();
    let others = [&*signed.list, &*signed.checkpoint, &*signed.request];
    let claims = |hop: usize| [&[hop as u8][..], &payload_of(chain[hop])].concat();
    vec![
        ("chain", Some(0), chain.join("\n").into_bytes()),
        ("others", Some(0), others.join("\n").into_bytes()),
        ("claims-0", Some(1), claims(0)),
        ("claims-1", Some(1), claims(1)),
        ("claims-2", Some(1), claims(2)),
        ("list", Some(2), payload_of(&signed.list)),
        ("checkpoint", Some(3), payload_of(&signed.checkpoint)),
        ("request", Some(4), payload_of(&signed.request)),
        ("bundle", Some(5), signed.bundle_json.into_bytes()),
        ("recombined", Some(6), vec![0; 24]),
    ]
}

fn keys() -> Seeds {
    let data = secret_data(DOMAIN);
    let retired = String::from_utf8_lossy(&data["state.json"]).replace(
        "\"retired\":[]",
        &format!("\"retired\":[{}]", countersign_fuzz::ring::retired()),
    );
    vec![
        ("state", Some(0), data["state.json"].clone()),
        ("state-retired", Some(0), retired.into_bytes()),
        ("key", Some(3), data[&file(DOMAIN, Purpose::Lists)].clone()),
    ]
}

fn audit() -> Seeds {
    let honest = Notary::new().honest();
    vec![
        ("segment", Some(0), honest.file.into_bytes()),
        ("bodies", Some(1), honest.bodies.join("\n").into_bytes()),
        ("entry", Some(2), honest.bodies[0].clone().into_bytes()),
        ("hash", Some(3), hex::encode(honest.last).into_bytes()),
    ]
}

fn authority() -> Seeds {
    let authority = Authority::new();
    let leaf = authority.svid(agent_of(1).as_str());
    let bundle = authority.bundle();
    let tbs = tbs_of(&leaf).unwrap_or_default().to_vec();
    vec![
        ("bundle", Some(0), bundle.spiffe_json(60).into_bytes()),
        ("leaf", Some(1), leaf),
        ("pem", Some(2), bundle.pem().into_bytes()),
        ("root", Some(3), authority.root_der()),
        ("tbs", Some(4), tbs),
    ]
}

fn jwt_svid() -> Seeds {
    let tokens = Tokens::new();
    let audiences = format!("{AUDIENCE}\nother");
    vec![
        ("token", Some(0), b"e30.e30.AAAA".to_vec()),
        ("claims", Some(1), Tokens::claims().into_bytes()),
        ("header", Some(2), tokens.header().into_bytes()),
        ("bundle", Some(3), Tokens::bundle().into_bytes()),
        ("audience", Some(4), audiences.into_bytes()),
        (
            "issuer",
            Some(5),
            b"https://id.example.org:8443/agents".to_vec(),
        ),
    ]
}

fn grants() -> Seeds {
    let json = r#"[[{"actions":["*"],"resources":["ledger/*"],"constraints":{"maxCalls":9,"audiences":["bank"],"maxDataClass":"Internal","notAfter":"2026-12-01T00:00:00Z"}}],[{"actions":["read"],"resources":["*/x"]}],[{"actions":["read"],"resources":["ledger/x"],"constraints":{"maxCalls":1,"audiences":[],"maxDataClass":"Public","notAfter":"2026-12-01T00:00:00Z"}}]]"#;
    vec![
        ("json", None, json.as_bytes().to_vec()),
        ("words", None, (0..96).collect()),
    ]
}

fn authzen_body() -> Seeds {
    let evaluation = r#"{"subject":{"type":"agent","id":"alice","properties":{"role":"admin"}},"action":{"name":"read","properties":{"tool":"browser","bytes":7,"destructive":false,"soft":true}},"resource":{"type":"record","id":"ledger/invoices/7","properties":{"status":"active","pages":12,"open":true,"list":[]}},"context":{"delegation":["a.b.c"],"certificate":"MAA=","sourceIP":"2001:db8::7","tool":"browser","bytes":9,"destructive":true,"audience":"bank","time":"x"}}"#;
    let evaluations = r#"{"subject":{"type":"agent","id":"alice"},"action":{"name":"read"},"resource":{"type":"record"},"context":{"delegation":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},"evaluations":[{"resource":{"id":"1"}},{},{"action":{"name":"write"},"resource":{"type":"record","id":"2"}},7],"options":{"evaluations_semantic":"deny_on_first_deny"}}"#;
    let subject = r#"{"subject":{"type":"user"},"action":{"name":"read"},"resource":{"type":"record","id":"1"},"page":{"limit":1,"properties":{}}}"#;
    let resource = r#"{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record"},"page":{"limit":0,"token":""}}"#;
    let action = r#"{"subject":{"type":"user","id":"alice"},"resource":{"type":"record","id":"1"},"context":{},"page":{"limit":2}}"#;
    vec![
        ("evaluation", Some(0), evaluation.as_bytes().to_vec()),
        ("evaluations", Some(1), evaluations.as_bytes().to_vec()),
        ("subject", Some(2), subject.as_bytes().to_vec()),
        ("resource", Some(3), resource.as_bytes().to_vec()),
        ("action", Some(4), action.as_bytes().to_vec()),
    ]
}

fn set_token() -> Seeds {
    let transmitter = Transmitter::new();
    let claims = Transmitter::claims();
    let text = |claims: &str| {
        String::from_utf8_lossy(&Transmitter::claims())
            .replace(r#"{"format":"email","email":"alice@example.com"}"#, claims)
    };
    let complex = text(
        r#"{"format":"complex","user":{"format":"iss_sub","iss":"https://idp.example.com","sub":"42"},"session":{"format":"opaque","id":"ALL"}}"#,
    );
    let agent = text(r#"{"format":"uri","uri":"spiffe://example.org/ns/finance/agent/planner"}"#);
    let revoked = text(r#"{"format":"account","uri":"acct:alice@example.com"}"#)
        .replace("risk-level-change", "credential-change")
        .replace(
            r#""current_level":"HIGH""#,
            r#""change_type":"revoke","x509_serial":"1000""#,
        );
    let alert = r#"{"priority":"Notice","rule":"Terminal shell in container","time":"2026-11-24T11:59:59.5Z","uuid":"f6b0a6a4","output_fields":{"k8s.ns.name":"finance","k8s.pod.name":"planner-7d4f"}}"#;
    vec![
        ("token", Some(0), transmitter.token(&claims).into_bytes()),
        ("claims", Some(1), claims),
        ("complex", Some(1), complex.into_bytes()),
        ("agent", Some(1), agent.into_bytes()),
        ("revoked", Some(1), revoked.into_bytes()),
        ("header", Some(2), transmitter.header().into_bytes()),
        ("keys", Some(3), transmitter.jwks().into_bytes()),
        ("alert", Some(4), alert.as_bytes().to_vec()),
    ]
}

//! What the verifier of this repository says of a vector.

use countersign_authority::Bundle;
use countersign_statement::revocation::List;
use countersign_statement::{Broken, ChainError, Digest, Options, TrustedKeys, verify_chain};
use jiff::Timestamp;
use serde_json::json;

use crate::vector::{Expect, File, Vector, sorted};

pub(crate) fn judge(file: &File, vector: &Vector) -> Expect {
    verify(file, vector).unwrap_or_else(|(hop, category)| Expect::Broken {
        hop,
        category: category.to_owned(),
    })
}

type Refused = (Option<usize>, &'static str);

fn verify(file: &File, vector: &Vector) -> Result<Expect, Refused> {
    let bundle = vector.bundle.as_ref().unwrap_or(&file.bundle).to_string();
    let keys = TrustedKeys::from_bundle_json(&file.trust_domain, &bundle).unwrap();
    let roots = Bundle::from_spiffe_json(&bundle).unwrap();
    let now = Timestamp::from_second(vector.now.unwrap_or(file.now)).unwrap();
    let lists = vector.revocation_lists.iter();
    let lists = lists.map(|list| List::verify(list, &keys, now));
    let lists: Vec<List> = lists
        .collect::<Result<_, Broken>>()
        .map_err(|why| (None, why.category()))?;
    let revoked = |digest: &Digest| lists.iter().any(|list| list.contains(digest) == Some(true));
    let options = Options {
        agent_signatures: vector.agent_statements.then_some(&roots),
        revoked: Some(&revoked),
        ..Options::default()
    };
    let statements: Vec<&str> = vector.statements.iter().map(String::as_str).collect();
    let chain = verify_chain(&statements, &keys, now, &options)
        .map_err(|why: ChainError| (why.hop, why.category()))?;
    // Whoever goes by lists has one for each hop: a rule of readers, as the library has no lists.
    let unknown = |digest| !lists.iter().any(|list| list.contains(digest).is_some());
    if !lists.is_empty() && chain.digests().any(unknown) {
        return Err((None, "stale"));
    }
    let grants: Vec<_> = chain
        .grants()
        .iter()
        .map(|grant| {
            let mut detail = serde_json::to_value(grant).unwrap();
            detail["type"] = json!("countersign_grant");
            detail
        })
        .collect();
    Ok(Expect::Valid {
        sub: chain.leaf().claims().subject.to_string(),
        grants: sorted(grants.into()),
        expires: chain.expires_at().as_second(),
    })
}

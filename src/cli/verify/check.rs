//! The verdict: pure, from texts alone.

use countersign_authority::{Bundle, verify_svid_pem};
use countersign_core::Grant;
use countersign_statement::revocation::List;
use countersign_statement::{Digest, Options, TrustedKeys, read_unverified, verify_chain};
use jiff::Timestamp;
use serde::Serialize;

use crate::grants;
use crate::output::columns;
use crate::text::{clean, relative, short, time};

/// What is verified, and against what.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    /// Compact, hop 0 first.
    pub(crate) statements: &'a [String],
    /// The SPIFFE bundle.
    pub(crate) bundle: &'a str,
    pub(crate) trust_domain: &'a str,
    /// PEM, leaf first.
    pub(crate) certificate: Option<&'a str>,
    /// Signed lists; none given, nothing is asked.
    pub(crate) revocations: &'a [String],
    pub(crate) agent_signatures: bool,
    pub(crate) at: Timestamp,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) valid: bool,
    /// The hop that breaks, from 0, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broken_hop: Option<usize>,
    /// A stable word for what breaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) category: Option<&'static str>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    pub(crate) trust_domain: String,
    pub(crate) at: Timestamp,
    pub(crate) hops: Vec<HopReport>,
    /// Who may act, if it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delegate: Option<String>,
    /// The serial number of the certificate that was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate: Option<String>,
    /// What was not looked at.
    pub(crate) notes: Vec<String>,
}

/// A hop as its statement says. Verified only if the report is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HopReport {
    pub(crate) hop: usize,
    pub(crate) from: String,
    pub(crate) to: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requester: Option<String>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) digest: String,
}

/// Verifies. An error is something that can't be read; what can be and doesn't hold is in the report.
pub(crate) fn check(evidence: &Evidence<'_>) -> Result<Report, String> {
    let keys = TrustedKeys::from_bundle_json(evidence.trust_domain, evidence.bundle);
    let keys = keys.map_err(|why| why.to_string())?;
    let bundle = Bundle::from_spiffe_json(evidence.bundle).map_err(|why| why.to_string())?;
    let mut report = Report {
        valid: false,
        broken_hop: None,
        category: None,
        reason: None,
        trust_domain: evidence.trust_domain.to_owned(),
        at: evidence.at,
        hops: evidence.statements.iter().enumerate().map(hop).collect(),
        delegate: None,
        certificate: None,
        notes: Vec::new(),
    };
    let lists = evidence.revocations.iter();
    let lists = lists.map(|it| List::verify(it.trim(), &keys, evidence.at));
    let lists = match lists.collect::<Result<Vec<_>, _>>() {
        Ok(lists) => lists,
        Err(why) => {
            report.category = Some(why.category());
            report.reason = Some(format!("a revocation list: {why}"));
            return Ok(report);
        }
    };
    let revoked = |digest: &Digest| lists.iter().any(|it| it.contains(digest) == Some(true));
    let options = Options {
        agent_signatures: evidence.agent_signatures.then_some(&bundle),
        revoked: Some(&revoked),
        ..Options::default()
    };
    let statements: Vec<&str> = evidence.statements.iter().map(String::as_str).collect();
    let chain = match verify_chain(&statements, &keys, evidence.at, &options) {
        Ok(chain) => chain,
        Err(why) => {
            report.broken_hop = why.hop;
            report.category = Some(why.category());
            report.reason = Some(why.to_string());
            return Ok(report);
        }
    };
    if lists.is_empty() {
        report.notes.push(
            "revocation was not looked at: --revocations takes the operator's lists".to_owned(),
        );
    } else {
        // Of what no list speaks, nothing is known: that is a no.
        let known = |digest: &Digest| lists.iter().any(|it| it.contains(digest).is_some());
        if let Some(hop) = chain.digests().position(|it| !known(it)) {
            report.broken_hop = Some(hop);
            report.category = Some("revocation-unknown");
            report.reason = Some(format!(
                "hop {hop}: none of the revocation lists given covers its statement: give every partition"
            ));
            return Ok(report);
        }
    }
    let delegate = chain.leaf().claims().subject.to_string();
    if let Some(pem) = evidence.certificate {
        match verify_svid_pem(pem, &bundle, evidence.at) {
            Err(why) => {
                report.category = Some("certificate");
                report.reason = Some(format!("the certificate: {why}"));
                return Ok(report);
            }
            Ok(svid) if svid.spiffe_id != delegate => {
                report.category = Some("certificate");
                report.reason = Some(format!(
                    "the certificate is {}'s, and the chain's delegate is {delegate}",
                    svid.spiffe_id
                ));
                return Ok(report);
            }
            Ok(svid) => report.certificate = Some(svid.serial_number),
        }
    } else {
        report.notes.push(
            "no certificate was given: who shows the chain must still prove to be its delegate"
                .to_owned(),
        );
    }
    if chain.leaf().claims().depth == 0 {
        report
            .notes
            .push("it is an owner's grants alone: nothing is delegated to an agent yet".to_owned());
    }
    report.valid = true;
    report.delegate = Some(delegate);
    Ok(report)
}

fn hop((hop, statement): (usize, &String)) -> HopReport {
    match read_unverified(statement) {
        Ok((claims, digest)) => HopReport {
            hop,
            from: claims.delegator.map_or_else(
                || format!("trust domain {}", claims.issuer),
                |it| it.to_string(),
            ),
            to: claims.subject.to_string(),
            expires: Some(claims.expires_at),
            requester: claims.requester,
            grants: claims.grants,
            digest: digest.to_string(),
        },
        Err(_) => HopReport {
            hop,
            from: "<unreadable>".to_owned(),
            to: "<unreadable>".to_owned(),
            expires: None,
            requester: None,
            grants: Vec::new(),
            digest: String::new(),
        },
    }
}

/// For people.
pub(crate) fn text(report: &Report) -> String {
    let rows = report.hops.iter().map(|hop| {
        let mark = match (report.valid, report.broken_hop) {
            (true, _) => "ok",
            (false, Some(broken)) if broken == hop.hop => "BROKEN",
            (false, _) => "unproved",
        };
        [
            hop.hop.to_string(),
            mark.to_owned(),
            within(&hop.from, &report.trust_domain),
            within(&hop.to, &report.trust_domain),
            hop.expires.map_or_else(
                || "<unknown>".to_owned(),
                |it| format!("{} ({})", time(it), relative(it, report.at)),
            ),
            short(&grants::line(&hop.grants), 80),
        ]
    });
    let mut text = columns(
        ["HOP", "VERDICT", "FROM", "TO", "UNTIL", "GRANTS"],
        rows.collect(),
    );
    let verdict = match (&report.reason, &report.delegate) {
        (None, Some(delegate)) => format!("valid: {} may act by it", clean(delegate)),
        (Some(reason), _) => format!("not valid: {}", clean(reason)),
        (None, None) => "not valid".to_owned(),
    };
    text.push_str(&format!("\n\n{verdict} (at {})", time(report.at)));
    if let Some(serial) = &report.certificate {
        text.push_str(&format!("\ncertificate {} is that agent's", clean(serial)));
    }
    for note in &report.notes {
        text.push_str(&format!("\nnote: {}", clean(note)));
    }
    text
}

/// An identity as a person calls it: `agent finance/planner`, `owner alice`. The verdict and JSON have
/// it whole.
fn within(id: &str, trust_domain: &str) -> String {
    let path = id
        .strip_prefix("spiffe://")
        .and_then(|it| it.strip_prefix(trust_domain));
    let Some(path) = path.and_then(|it| it.strip_prefix('/')) else {
        return id.to_owned();
    };
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["owner", name] => format!("owner {name}"),
        ["ns", namespace, "agent", name, "task", _, _] => format!("agent {namespace}/{name}"),
        _ => format!("/{path}"),
    }
}

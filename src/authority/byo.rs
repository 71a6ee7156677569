//! An issuing authority of your own: everything that would make its leaves fail to verify is found
//! here, with its reason, rather than at an agent's first handshake.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use crate::certificate::{is_self_signed, parse, subject_key_id, validity_end, validity_start};
use crate::key::SigningKey;
use crate::pem_text::{self, Block, MAX_CHAIN_BYTES};
use crate::public_key::PublicKey;
use crate::{
    AuthorityCertificate, AuthorityError, KeyAlgorithm, LeafKey, LeafRequest, PrivateKey, Signer,
    spiffe, verify,
};

/// No error message quotes more of a subject.
const MAX_SUBJECT_CHARS: usize = 256;

/// A signer that has proven, by a leaf that is thrown away, that what it issues verifies.
pub(crate) fn signer(
    chain_pem: &str,
    key_pem: &str,
    roots_pem: Option<&str>,
    trust_domain: &str,
    now: Timestamp,
) -> Result<Signer, AuthorityError> {
    spiffe::check_trust_domain(trust_domain)?;
    let chain_blocks = certificates(chain_pem)?;
    let root_blocks = roots_pem.map(certificates).transpose()?.unwrap_or_default();
    let chain = parse_all(&chain_blocks)?;
    let given_roots = parse_all(&root_blocks)?;

    // First, since a leaf in the wrong place is the likeliest mistake.
    if let Some(issuing) = chain.first().filter(|it| !is_authority(it)) {
        return Err(AuthorityError::NotAnAuthority(subject(issuing)));
    }
    // Roots beside the path, too: whoever breaks one breaks the trust domain.
    chain.iter().chain(&given_roots).try_for_each(check_key)?;
    let (below, own_root) = split_root(&chain)?;
    let roots = all_roots(&given_roots, own_root)?;
    let path = path(below, &roots)?;
    for (below_it, certificate) in path.iter().enumerate() {
        check_authority(certificate, below_it, trust_domain, now)?;
    }

    let issuing = path.first().ok_or(AuthorityError::NoRoot)?;
    let key = signing_key(key_pem, issuing)?;
    let roots = roots
        .iter()
        .map(|root| AuthorityCertificate::from_der(root.as_raw()));
    let roots = roots.collect::<Result<Vec<_>, _>>()?;
    let begin = path.iter().map(|it| validity_start(it)).max();
    let end = path.iter().map(|it| validity_end(it)).min();
    let signer = Signer {
        trust_domain: trust_domain.to_owned(),
        certificate: AuthorityCertificate::from_der(issuing.as_raw())?,
        key,
        issuer: issuing.subject().as_raw().to_vec(),
        key_id: subject_key_id(issuing)?.to_vec(),
        intermediates: below
            .iter()
            .map(|it| CertificateDer::from(it.as_raw().to_vec()))
            .collect(),
        anchors: roots.iter().map(verify::anchor).collect::<Result<_, _>>()?,
        roots,
        not_before: begin.unwrap_or(Timestamp::MAX),
        not_after: end.unwrap_or(Timestamp::MIN),
        max_leaf_ttl_seconds: u64::MAX,
    };
    probe(&signer, now)?;
    Ok(signer)
}

fn certificates(pem: &str) -> Result<Vec<Block>, AuthorityError> {
    let blocks = pem_text::blocks(pem, MAX_CHAIN_BYTES)
        .map_err(|why| AuthorityError::BadCertificate(why.to_string()))?;
    match blocks.iter().find(|block| block.label != "CERTIFICATE") {
        Some(_) => Err(AuthorityError::BadCertificate(
            "expected CERTIFICATE blocks only".to_owned(),
        )),
        None => Ok(blocks),
    }
}

fn parse_all(blocks: &[Block]) -> Result<Vec<X509Certificate<'_>>, AuthorityError> {
    blocks.iter().map(|block| parse(&block.der)).collect()
}

fn check_key(certificate: &X509Certificate<'_>) -> Result<(), AuthorityError> {
    match PublicKey::from_spki(certificate.public_key().raw) {
        Ok(_) => Ok(()),
        Err(AuthorityError::WeakKey(why)) => {
            let whose = subject(certificate);
            Err(AuthorityError::WeakKey(format!("that of {whose}: {why}")))
        }
        Err(other) => Err(other),
    }
}

type Chain<'c, 'a> = &'c [X509Certificate<'a>];

/// The chain without its root, and the root when it is there. A root is the last, if anything.
fn split_root<'c, 'a>(
    chain: Chain<'c, 'a>,
) -> Result<(Chain<'c, 'a>, Option<&'c X509Certificate<'a>>), AuthorityError> {
    match chain.iter().position(is_self_signed) {
        None => Ok((chain, None)),
        Some(index) if index + 1 == chain.len() => {
            let (below, root) = chain.split_at(index);
            Ok((below, root.first()))
        }
        Some(index) => Err(AuthorityError::ChainBroken(format!(
            "certificate {} is a root, and more certificates come after it",
            index + 1
        ))),
    }
}

/// Every root that was given. Old ones beside that of the chain are welcome: that is how a root is
/// changed.
fn all_roots<'c, 'a>(
    given: Chain<'c, 'a>,
    own: Option<&'c X509Certificate<'a>>,
) -> Result<Vec<&'c X509Certificate<'a>>, AuthorityError> {
    let mut roots: Vec<_> = own.into_iter().collect();
    for root in given {
        if !is_self_signed(root) {
            return Err(AuthorityError::ChainBroken(format!(
                "{} is given as a root but is not self-signed: move it to the chain",
                subject(root)
            )));
        }
        if !is_authority(root) {
            return Err(AuthorityError::NotAnAuthority(subject(root)));
        }
        if !roots.iter().any(|known| known.as_raw() == root.as_raw()) {
            roots.push(root);
        }
    }
    Ok(roots)
}

/// From the issuing authority to its root; each is signed by the one after it.
fn path<'c, 'a>(
    below: Chain<'c, 'a>,
    roots: &[&'c X509Certificate<'a>],
) -> Result<Vec<&'c X509Certificate<'a>>, AuthorityError> {
    for pair in below.windows(2) {
        if let [lower, upper] = pair
            && !is_signed_by(lower, upper)
        {
            return Err(AuthorityError::ChainBroken(format!(
                "{} is not signed by {}, which comes after it",
                subject(lower),
                subject(upper)
            )));
        }
    }
    let mut path: Vec<_> = below.iter().collect();
    let Some(top) = below.last() else {
        path.extend(roots.first());
        return Ok(path);
    };
    match roots.iter().find(|root| is_signed_by(top, root)) {
        Some(root) => path.push(root),
        None if roots.is_empty() => return Err(AuthorityError::NoRoot),
        None => {
            return Err(AuthorityError::ChainBroken(format!(
                "{} is not signed by any of the roots",
                subject(top)
            )));
        }
    }
    Ok(path)
}

/// Is `upper` the issuer of `lower`, by name and by signature?
pub(crate) fn is_signed_by(lower: &X509Certificate<'_>, upper: &X509Certificate<'_>) -> bool {
    lower.issuer().as_raw() == upper.subject().as_raw()
        && lower.verify_signature(Some(upper.public_key())).is_ok()
}

/// May it stand where it stands, with `below` authorities below it?
fn check_authority(
    certificate: &X509Certificate<'_>,
    below: usize,
    trust_domain: &str,
    now: Timestamp,
) -> Result<(), AuthorityError> {
    let subject = subject(certificate);
    if !is_authority(certificate) {
        return Err(AuthorityError::NotAnAuthority(subject));
    }
    check_usages(certificate, below == 0, &subject)?;
    let allowed = certificate.basic_constraints().ok().flatten();
    let needed = u32::try_from(below).unwrap_or(u32::MAX);
    if let Some(allowed) = allowed.and_then(|it| it.value.path_len_constraint)
        && allowed < needed
    {
        return Err(AuthorityError::PathLength {
            subject,
            allowed,
            needed,
        });
    }
    let (not_before, not_after) = (validity_start(certificate), validity_end(certificate));
    if now < not_before {
        return Err(AuthorityError::NotYetValid {
            what: subject,
            not_before,
        });
    }
    if not_after <= now {
        return Err(AuthorityError::Expired {
            what: subject,
            not_after,
        });
    }
    match constraint(certificate, trust_domain) {
        Some(why) => Err(AuthorityError::NameConstraint {
            subject,
            trust_domain: trust_domain.to_owned(),
            why,
        }),
        None => Ok(()),
    }
}

pub(crate) fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    matches!(certificate.basic_constraints(), Ok(Some(it)) if it.value.ca)
}

/// The issuing authority must say that it signs certificates (X.509-SVID, 4.3); of those above it
/// only a contradiction counts, as old roots say nothing.
fn check_usages(
    certificate: &X509Certificate<'_>,
    issuing: bool,
    subject: &str,
) -> Result<(), AuthorityError> {
    let may_sign = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => !issuing,
        Err(_) => false,
    };
    if !may_sign {
        return Err(AuthorityError::NoCertSign(subject.to_owned()));
    }
    match certificate.extended_key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.client_auth && usage.value.server_auth => Ok(()),
        _ => Err(AuthorityError::ExtendedKeyUsage(subject.to_owned())),
    }
}

/// Why a name constraint stands in the way, if it does. Leaves have a URI and no subject, so that
/// constraints on other kinds of names don't touch them; of the two that do, rustls judges neither
/// and refuses the leaf.
fn constraint(certificate: &X509Certificate<'_>, trust_domain: &str) -> Option<String> {
    let constraints =
        certificate
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::NameConstraints(it) => Some(it),
                _ => None,
            })?;
    let permitted = constraints.permitted_subtrees.iter().flatten();
    let excluded = constraints.excluded_subtrees.iter().flatten();
    let permitted = permitted.map(|tree| ("permits only", &tree.base));
    let excluded = excluded.map(|tree| ("excludes", &tree.base));
    permitted.chain(excluded).find_map(|(what, base)| match base {
        GeneralName::URI(host) if *host != trust_domain && what == "permits only" => {
            Some(format!("it {what} {host:?}"))
        }
        GeneralName::URI(host) => Some(format!(
            "it {what} {host:?}, and rustls refuses every leaf below a constraint on URIs: use an authority without one"
        )),
        GeneralName::DirectoryName(_) => Some(format!(
            "it {what} some directory names, and rustls refuses every leaf below such a constraint: use an authority without one"
        )),
        _ => None,
    })
}

fn signing_key(pem: &str, issuing: &X509Certificate<'_>) -> Result<SigningKey, AuthorityError> {
    let key = SigningKey::load(&PrivateKey::from_pem(pem)?)?;
    if key.public().spki() == issuing.public_key().raw {
        Ok(key)
    } else {
        Err(AuthorityError::KeyMismatch(subject(issuing)))
    }
}

/// Issues a leaf and throws it away: rustls-webpki knows rules that are not spelled out here, such
/// as unknown critical extensions and signatures with SHA-1.
fn probe(signer: &Signer, now: Timestamp) -> Result<(), AuthorityError> {
    let request = LeafRequest {
        spiffe_id: &format!("spiffe://{}/countersign/probe", signer.trust_domain),
        key: LeafKey::Generate(KeyAlgorithm::EcdsaP256),
        ttl_seconds: 60,
        not_after_cap: None,
    };
    match signer.issue(&request, now) {
        Ok(_) => Ok(()),
        Err(AuthorityError::SelfCheck(why)) => Err(AuthorityError::ChainBroken(why)),
        Err(other) => Err(other),
    }
}

fn subject(certificate: &X509Certificate<'_>) -> String {
    let name = certificate.subject().to_string();
    name.chars().take(MAX_SUBJECT_CHARS).collect()
}

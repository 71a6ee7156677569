//! Verifies the certificate of somebody who shows one: for those who decide on what an agent
//! signed, or on its connection.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::certificate::X509Certificate;

use crate::certificate::{only_uri, parse, uris, validity_end, validity_start};
use crate::pem_text::{self, MAX_CHAIN_BYTES};
use crate::public_key::{PublicKey, unpadded};
use crate::{AuthorityError, AuthorityId, Bundle, jose, spiffe, verify};

/// A leaf and so many authorities; a chain of ours has at most three.
const MAX_CERTIFICATES: usize = 8;

/// An X.509-SVID whose chain was verified at a moment. It says who somebody is while `not_after`
/// lies ahead and it is not revoked; neither is looked at again here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Svid {
    /// The one URI SAN.
    pub spiffe_id: String,
    /// Lower-case hex without padding; 32 digits for those issued here.
    pub serial_number: String,
    /// Begin of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Hex of SHA-256 over the SubjectPublicKeyInfo.
    pub public_key_sha256: String,
    /// Who signed it, from its authority key identifier; those issued here have one.
    pub authority_id: Option<AuthorityId>,
    key: PublicKey,
}

impl Svid {
    /// The trust domain of its SPIFFE ID.
    pub fn trust_domain(&self) -> &str {
        // It was parsed, so it has one.
        spiffe::trust_domain_of(&self.spiffe_id).unwrap_or_default()
    }

    /// The one value of a JWS header's `alg` that this key signs with: `ES256` for P-256, `ES384`
    /// for P-384, `EdDSA` for Ed25519. RSA is refused.
    pub fn jws_algorithm(&self) -> Result<&'static str, AuthorityError> {
        jose::algorithm(self.key.kind())
    }

    /// Is `jose_signature` (RFC 7518, 3.4: R and S of fixed length for ECDSA) made by this
    /// certificate's key over `message`? RSA keys are refused.
    pub fn verify_signature(
        &self,
        message: &[u8],
        jose_signature: &[u8],
    ) -> Result<(), AuthorityError> {
        jose::verify(&self.key, message, jose_signature)
    }
}

/// Verifies a chain of DER certificates, leaf first and without the root, against the bundle's
/// roots at `now`, over what is shown above the leaf and the bundle's own authorities below its roots,
/// as that of a TLS client, and its leaf against the SPIFFE X.509-SVID standard
/// (sections 4 and 5). Stricter than that: no name beside the SPIFFE ID, and both extended key
/// usages present.
///
/// The bundle must be that of the one trust domain that the caller expects: a bundle of an authority
/// of your own does not name it, so compare [`Svid::trust_domain`]. An authority that does name its
/// trust domain certifies nobody of another. A root that is over vouches for nobody.
pub fn verify_svid(
    chain_der: &[Vec<u8>],
    bundle: &Bundle,
    now: Timestamp,
) -> Result<Svid, AuthorityError> {
    let broken = |why: &str| AuthorityError::ChainBroken(why.to_owned());
    let (leaf, above) = chain_der
        .split_first()
        .ok_or_else(|| broken("it is empty"))?;
    if chain_der.len() > MAX_CERTIFICATES
        || chain_der.iter().map(Vec::len).sum::<usize>() > MAX_CHAIN_BYTES
    {
        return Err(broken("it has more than 8 certificates or 64 KiB"));
    }
    let svid = read(&parse(leaf)?)?;
    check_time(&svid, now)?;
    check_path(leaf, above, bundle, now, svid.trust_domain())?;
    Ok(svid)
}

/// The SPIFFE ID of a DER certificate whose chain and time somebody else has verified, such as a TLS
/// stack: of its exactly one URI SAN.
///
/// # Errors
/// It can't be read, has none or several, or it is no SPIFFE ID.
pub fn spiffe_id_of(der: &[u8]) -> Result<String, AuthorityError> {
    let parsed = parse(der)?;
    let mut uris = uris(&parsed);
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(bad(
            "it must have exactly one URI as a subject alternative name",
        ));
    };
    spiffe::trust_domain_of(uri)?;
    Ok(uri.to_owned())
}

/// [`verify_svid`] of `CERTIFICATE` blocks, leaf first.
pub fn verify_svid_pem(
    chain_pem: &str,
    bundle: &Bundle,
    now: Timestamp,
) -> Result<Svid, AuthorityError> {
    let blocks = pem_text::blocks(chain_pem, MAX_CHAIN_BYTES)
        .map_err(|why| AuthorityError::BadCertificate(why.to_string()))?;
    if blocks.iter().any(|block| block.label != "CERTIFICATE") {
        return Err(bad("expected CERTIFICATE blocks only"));
    }
    let chain: Vec<_> = blocks.iter().map(|block| block.der.to_vec()).collect();
    verify_svid(&chain, bundle, now)
}

/// The leaf's profile and what it says.
fn read(leaf: &X509Certificate<'_>) -> Result<Svid, AuthorityError> {
    match leaf.basic_constraints() {
        Ok(None) => {}
        Ok(Some(it)) if !it.value.ca => {}
        _ => return Err(bad("it is an authority's, not a workload's")),
    }
    match leaf.key_usage() {
        Ok(Some(it))
            if it.value.digital_signature()
                && !it.value.key_cert_sign()
                && !it.value.crl_sign() => {}
        _ => {
            return Err(bad(
                "its key usage must have digitalSignature and neither keyCertSign nor cRLSign",
            ));
        }
    }
    match leaf.extended_key_usage() {
        Ok(Some(it)) if it.value.client_auth && it.value.server_auth => {}
        _ => {
            return Err(bad(
                "its extended key usages must include serverAuth and clientAuth",
            ));
        }
    }
    let spiffe_id = only_uri(leaf)?;
    spiffe::trust_domain_of(spiffe_id)?;
    let key = PublicKey::from_spki(leaf.public_key().raw)?;
    let authority_id = verify::authority_key_id(leaf).map(AuthorityId::from_bytes);
    Ok(Svid {
        spiffe_id: spiffe_id.to_owned(),
        serial_number: hex::encode(unpadded(leaf.raw_serial())),
        not_before: validity_start(leaf),
        not_after: validity_end(leaf),
        public_key_sha256: key.sha256_hex(),
        authority_id: authority_id.transpose()?,
        key,
    })
}

/// rustls-webpki looks too; this gives the error that says which certificate and when.
fn check_time(svid: &Svid, now: Timestamp) -> Result<(), AuthorityError> {
    if svid.not_after <= now {
        return Err(AuthorityError::Expired {
            what: svid.spiffe_id.clone(),
            not_after: svid.not_after,
        });
    }
    if now < svid.not_before {
        return Err(AuthorityError::NotYetValid {
            what: svid.spiffe_id.clone(),
            not_before: svid.not_before,
        });
    }
    Ok(())
}

fn check_path(
    leaf: &[u8],
    above: &[Vec<u8>],
    bundle: &Bundle,
    now: Timestamp,
    trust_domain: &str,
) -> Result<(), AuthorityError> {
    let broken = |why: webpki::Error| AuthorityError::ChainBroken(why.to_string());
    let time = verify::unix_time(now).map_err(AuthorityError::ChainBroken)?;
    let leaf = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&leaf).map_err(broken)?;
    let above = above.iter().map(Vec::as_slice);
    let above = above.chain(bundle.intermediates());
    let above: Vec<_> = above.map(CertificateDer::from).collect();
    // rustls-webpki does not look at the dates of roots: a bundle that was kept may be an old one.
    let roots = bundle.roots().iter();
    let roots = roots.filter(|root| root.not_before() <= now && now < root.not_after());
    let roots: Vec<_> = roots.collect();
    let anchors = roots.iter().map(|root| verify::anchor(root));
    let anchors = anchors.collect::<Result<Vec<_>, _>>()?;
    let usage = KeyUsage::client_auth();
    let path = leaf
        .verify_for_usage(
            verify::ALGORITHMS,
            &anchors,
            &above,
            time,
            usage,
            None,
            None,
        )
        .map_err(broken)?;
    for intermediate in path.intermediate_certificates() {
        check_authority(&intermediate.der(), trust_domain)?;
    }
    let pairs = anchors.iter().zip(&roots);
    for (_, root) in pairs.filter(|(anchor, _)| *anchor == path.anchor()) {
        check_authority(root.der(), trust_domain)?;
    }
    Ok(())
}

/// An authority with a SPIFFE ID signs for its own trust domain only (X.509-SVID, 4.2).
fn check_authority(der: &[u8], trust_domain: &str) -> Result<(), AuthorityError> {
    let parsed = parse(der)?;
    let mut names = uris(&parsed).filter_map(|uri| uri.strip_prefix("spiffe://"));
    match names.find(|name| *name != trust_domain) {
        None => Ok(()),
        Some(_) => Err(AuthorityError::ChainBroken(format!(
            "an authority of another trust domain certified somebody of {trust_domain}"
        ))),
    }
}

fn bad(why: &str) -> AuthorityError {
    AuthorityError::BadCertificate(why.to_owned())
}

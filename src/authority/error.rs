//! What can go wrong, each with a reason for a condition and a message for a person.

use jiff::Timestamp;

/// Why the authority refused. Messages say what to do; they never carry key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The trust domain's name is not one (SPIFFE ID standard, section 2.1).
    #[error(
        "trust domain {0:?} is not valid: use 1 to 255 of the characters a-z, 0-9, '.', '-' and '_'"
    )]
    BadTrustDomain(String),
    /// The SPIFFE ID is malformed or belongs to another trust domain.
    #[error("SPIFFE ID {id:?} refused: {why}")]
    BadSpiffeId {
        /// The ID as it was asked for.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The PKCS#10 request can't be read or does not prove possession of its key.
    #[error("certificate request refused: {0}")]
    BadCertificateRequest(String),
    /// The key is too short, or of a kind that is not accepted.
    #[error("key refused: {0}; use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits")]
    WeakKey(String),
    /// The private key can't be read.
    #[error("private key refused: {0}")]
    BadKey(String),
    /// The certificate can't be read or breaks its profile.
    #[error("certificate refused: {0}")]
    BadCertificate(String),
    /// The private key does not belong to the certificate.
    #[error("the private key does not belong to {0}: provide the pair that was issued together")]
    KeyMismatch(String),
    /// The first certificate is not a certificate authority.
    #[error("{0} is not a certificate authority: provide one with CA:TRUE")]
    NotAnAuthority(String),
    /// The authority may not sign certificates.
    #[error("{0} may not sign certificates: its key usage must include keyCertSign")]
    NoCertSign(String),
    /// The authority may not sign revocation lists.
    #[error(
        "{0} may not sign revocation lists: its key usage must include cRLSign; rotate a built-in authority, or provide a certificate with it"
    )]
    NoCrlSign(String),
    /// A revocation list can't be made of this.
    #[error("revocation list refused: {0}")]
    BadRevocation(String),
    /// A SPIFFE bundle document can't be read.
    #[error("SPIFFE bundle refused: {0}")]
    BadBundle(String),
    /// A signature over a message is not that of the key.
    #[error("signature refused: {0}")]
    BadSignature(&'static str),
    /// A path length constraint forbids the chain.
    #[error(
        "{subject} allows {allowed} authorities below it, but {needed} are in the chain: use one with a larger or no path length"
    )]
    PathLength {
        /// Subject of the constraining certificate.
        subject: String,
        /// Its pathLenConstraint.
        allowed: u32,
        /// Authorities below it.
        needed: u32,
    },
    /// A certificate is over.
    #[error("{what} expired at {not_after}: provide a current one")]
    Expired {
        /// Which certificate.
        what: String,
        /// When it ended.
        not_after: Timestamp,
    },
    /// A certificate is not valid yet.
    #[error("{what} is not valid before {not_before}: wait, or check the clock")]
    NotYetValid {
        /// Which certificate.
        what: String,
        /// When it begins.
        not_before: Timestamp,
    },
    /// A name constraint excludes the trust domain, or can't be judged.
    #[error("{subject} has a name constraint that excludes the trust domain {trust_domain}: {why}")]
    NameConstraint {
        /// Subject of the constraining certificate.
        subject: String,
        /// The trust domain.
        trust_domain: String,
        /// The constraint.
        why: String,
    },
    /// An extended key usage of the authority excludes TLS.
    #[error(
        "{0} has extended key usages that leave out serverAuth or clientAuth: use one without extended key usages, or with both"
    )]
    ExtendedKeyUsage(String),
    /// The chain does not lead to a root.
    #[error("the chain does not verify: {0}")]
    ChainBroken(String),
    /// There is no root to verify against.
    #[error(
        "there is no root certificate: append the self-signed root to tls.crt or provide it in ca.crt"
    )]
    NoRoot,
    /// Nothing is left of the requested lifetime.
    #[error("no lifetime is left: a certificate issued at {now} would end at {not_after}")]
    NoLifetimeLeft {
        /// The moment of issue.
        now: Timestamp,
        /// When it would end.
        not_after: Timestamp,
    },
    /// The lifetime of authorities and leaves don't fit together.
    #[error(
        "an authority that lives {authority_seconds} s can't issue certificates of {leaf_seconds} s: caLifetimeSeconds must be at least 6 times the longest certificate, and at most 100 years"
    )]
    BadAuthorityLifetime {
        /// Wanted lifetime of an authority.
        authority_seconds: u64,
        /// Wanted longest lifetime of a leaf.
        leaf_seconds: u64,
    },
    /// A time that X.509 or the calendar can't express.
    #[error("time out of range: {0}")]
    BadTime(String),
    /// The stored state can't be read.
    #[error(
        "the stored authority state is not usable: {0}; restore the Secret from a backup, or delete it to start over (every certificate is then re-issued)"
    )]
    BadState(String),
    /// The stored state belongs to another trust domain.
    #[error(
        "the stored authorities belong to trust domain {stored:?}, not {wanted:?}: restore the right Secret"
    )]
    OtherTrustDomain {
        /// In the state.
        stored: String,
        /// In the request.
        wanted: String,
    },
    /// A certificate or list did not pass the independent check and was thrown away.
    #[error(
        "what was signed did not pass the check before release and was thrown away: {0}; report this"
    )]
    SelfCheck(String),
    /// The cryptographic library failed.
    #[error("the cryptographic library failed: {0}")]
    Crypto(&'static str),
}

impl AuthorityError {
    /// A stable CamelCase word for a condition's `reason`, a metric's label and a log field.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadTrustDomain(_) => "BadTrustDomain",
            Self::BadSpiffeId { .. } => "BadSPIFFEID",
            Self::BadCertificateRequest(_) => "BadCertificateRequest",
            Self::WeakKey(_) => "WeakKey",
            Self::BadKey(_) => "BadKey",
            Self::BadCertificate(_) => "BadCertificate",
            Self::KeyMismatch(_) => "KeyMismatch",
            Self::NotAnAuthority(_) => "NotAnAuthority",
            Self::NoCertSign(_) => "NoCertSign",
            Self::NoCrlSign(_) => "NoCRLSign",
            Self::BadRevocation(_) => "BadRevocation",
            Self::BadBundle(_) => "BadBundle",
            Self::BadSignature(_) => "BadSignature",
            Self::PathLength { .. } => "PathLengthExceeded",
            Self::Expired { .. } => "Expired",
            Self::NotYetValid { .. } => "NotYetValid",
            Self::NameConstraint { .. } => "NameConstraintExcludes",
            Self::ExtendedKeyUsage(_) => "ExtendedKeyUsageExcludes",
            Self::ChainBroken(_) => "ChainBroken",
            Self::NoRoot => "NoRoot",
            Self::NoLifetimeLeft { .. } => "NoLifetimeLeft",
            Self::BadAuthorityLifetime { .. } => "BadAuthorityLifetime",
            Self::BadTime(_) => "BadTime",
            Self::BadState(_) => "BadAuthorityState",
            Self::OtherTrustDomain { .. } => "OtherTrustDomain",
            Self::SelfCheck(_) => "SelfCheckFailed",
            Self::Crypto(_) => "CryptoFailed",
        }
    }
}

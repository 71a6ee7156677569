//! The control plane's keys, certificates and tokens, new for each one.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

/// What the control plane signs and serves with.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The CA's certificate, DER.
    pub(crate) ca_der: Vec<u8>,
    /// The CA's certificate, PEM.
    pub(crate) ca_pem: String,
    /// The serving certificate for 127.0.0.1 and localhost, PEM.
    pub(crate) serving_pem: String,
    /// Its private key, PKCS #8 PEM.
    pub(crate) serving_key_pem: String,
    /// The API server's certificate towards a kubelet, PEM.
    pub(crate) kubelet_client_pem: String,
    /// Its private key, PKCS #8 PEM.
    pub(crate) kubelet_client_key_pem: String,
    /// Signs ServiceAccount tokens (ES256), PKCS #8 PEM.
    pub(crate) token_key_pem: String,
    /// Checks them, PEM.
    pub(crate) token_public_pem: String,
}

impl Keys {
    /// Makes a CA that exists only for this call, a serving certificate from it, and a key for
    /// ServiceAccount tokens. All keys are P-256.
    pub(crate) fn generate() -> Result<Self> {
        let ca = CertifiedIssuer::self_signed(ca_params(), KeyPair::generate()?)
            .context("sign the test CA")?;
        let key = KeyPair::generate()?;
        let serving = serving_params()?
            .signed_by(&key, &ca)
            .context("sign the serving certificate")?;
        let client_key = KeyPair::generate()?;
        let client = client_params()
            .signed_by(&client_key, &ca)
            .context("sign the certificate for the kubelet")?;
        let tokens = KeyPair::generate()?;
        Ok(Self {
            ca_der: ca.der().to_vec(),
            ca_pem: ca.pem(),
            serving_pem: serving.pem(),
            serving_key_pem: key.serialize_pem(),
            kubelet_client_pem: client.pem(),
            kubelet_client_key_pem: client_key.serialize_pem(),
            token_key_pem: tokens.serialize_pem(),
            token_public_pem: tokens.public_key_pem(),
        })
    }
}

/// A bearer token of 128 random bits, in hex.
pub(crate) fn random_token() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("countersign testbed CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
}

fn serving_params() -> Result<CertificateParams> {
    let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned);
    let mut params = CertificateParams::new(names).context("name the serving certificate")?;
    params.distinguished_name = common_name("kube-apiserver");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn client_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("kube-apiserver-kubelet-client");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

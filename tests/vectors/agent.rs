//! Hops that the delegator signed too, with the key of its certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use serde_json::{Value, json};

use crate::keys::{AUTHORITY, FOREIGN, Key, PLANNER, encode};
use crate::story::{T0, chain, drafts, spiffe_id, text};
use crate::vector::Vector;

const TYP: &str = "countersign-agent-delegation+jwt";

/// What the planner signs, before it does.
struct Request {
    claims: Value,
    /// Members of the header.
    header: Value,
    key: Key,
}

pub(crate) fn vectors() -> Vec<Vector> {
    let leaf = &drafts(3)[2].claims;
    let good = hop(|_| {});
    let mut all = vec![
        Vector::valid(
            "agent-statement",
            "the planner signed hop 2 as it is",
            good.clone(),
            leaf,
        )
        .with_agents(),
        Vector::valid(
            "agent-statement-unread",
            "the same, where it isn't verified",
            good,
            leaf,
        ),
        Vector::valid(
            "agent-statement-wider",
            "the planner asked for more than was countersigned",
            hop(|it| {
                it.claims["exp"] = json!(T0 + 3600);
                it.claims["del_max_depth"] = json!(16);
                it.claims["authorization_details"] = json!([
                    {"type": "countersign_grant", "actions": ["*"], "resources": ["ledger/*"]},
                ]);
            }),
            leaf,
        )
        .with_agents(),
    ];
    let claims =
        |member: &'static str, value: Value| hop(move |it| it.claims[member] = value.clone());
    let header =
        |member: &'static str, value: Value| hop(move |it| it.header[member] = value.clone());
    let certificates = |names: &[&[u8]]| {
        json!(
            names
                .iter()
                .map(|der| STANDARD.encode(der))
                .collect::<Vec<_>>()
        )
    };
    let cases = [
        (
            "wrong-key",
            "signed by another key than the certificate's",
            hop(|it| it.key = FOREIGN),
        ),
        (
            "of-another",
            "the certificate is the ledger's, and it has signed as the planner",
            header(
                "x5c",
                certificates(&[&svid(&spiffe_id("ledger", 9), AUTHORITY, |_| {})]),
            ),
        ),
        (
            "by-another",
            "iss is not the certificate's",
            claims("iss", json!(spiffe_id("ledger", 9))),
        ),
        (
            "unknown-authority",
            "the certificate is of no root of the bundle",
            header("x5c", certificates(&[&svid(&planner(), FOREIGN, |_| {})])),
        ),
        ("no-certificate", "an empty x5c", header("x5c", json!([]))),
        (
            "certificate-over",
            "the certificate ended before hop 2 was issued",
            header(
                "x5c",
                certificates(&[&svid(&planner(), AUTHORITY, |it| {
                    it.not_after = date_time_ymd(2026, 11, 15)
                })]),
            ),
        ),
        (
            "certificate-of-an-authority",
            "a certificate that may certify others",
            header(
                "x5c",
                certificates(&[&svid(&planner(), AUTHORITY, |it| {
                    it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                })]),
            ),
        ),
        (
            "certificate-for-servers",
            "a certificate for servers only",
            header(
                "x5c",
                certificates(&[&svid(&planner(), AUTHORITY, |it| {
                    it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                })]),
            ),
        ),
        (
            "certificate-with-two-names",
            "a certificate with a DNS name too",
            header(
                "x5c",
                certificates(&[&svid(&planner(), AUTHORITY, |it| {
                    it.subject_alt_names
                        .push(SanType::DnsName("planner.example".try_into().unwrap()));
                })]),
            ),
        ),
        (
            "typ",
            "the trust domain's typ",
            header("typ", json!("countersign-delegation+jwt")),
        ),
        (
            "alg",
            "another algorithm than the certificate's key has",
            header("alg", json!("ES256")),
        ),
        ("alg-none", "alg none", header("alg", json!("none"))),
        ("kid", "a kid beside x5c", header("kid", json!("planner"))),
        ("kid-empty", "an empty kid", header("kid", json!(""))),
        ("kid-null", "null is no kid", header("kid", json!(null))),
        ("jwk", "its own key", header("jwk", FOREIGN.jwk())),
        ("crit", "an extension", header("crit", json!(["b64"]))),
        (
            "crit-null",
            "whatever its value, it is there",
            header("crit", json!(null)),
        ),
        ("b64-null", "the same", header("b64", json!(null))),
        ("jwk-null", "the same", header("jwk", json!(null))),
        ("jku-null", "the same", header("jku", json!(null))),
        ("x5u-null", "the same", header("x5u", json!(null))),
        (
            "header-as-array",
            "a header's members without their names",
            hop(|it| {
                let member = |name| &it.header[name];
                let named = ["alg", "typ"].map(member);
                let more = [&json!(""), member("x5c")];
                let absent = [&Value::Null; 5];
                it.header = json!([named.as_slice(), &more, &absent].concat());
            }),
        ),
        (
            "claims-as-array",
            "claims without their names",
            hop(|it| {
                let names = [
                    "iss",
                    "sub",
                    "jti",
                    "iat",
                    "exp",
                    "del_max_depth",
                    "par_hash",
                    "authorization_details",
                ];
                it.claims = json!(names.map(|name| &it.claims[name]));
            }),
        ),
        (
            "grant-as-array",
            "a grant's members without their names",
            claims(
                "authorization_details",
                json!([["countersign_grant", ["*"], ["ledger/*"], {}]]),
            ),
        ),
        (
            "delegate",
            "signed for another delegate",
            claims("sub", json!(spiffe_id("ledger", 9))),
        ),
        (
            "parent",
            "signed below another parent",
            claims("par_hash", json!("A".repeat(43))),
        ),
        (
            "ends-earlier",
            "the planner wanted it to end a second earlier",
            claims("exp", json!(T0 + 1799)),
        ),
        (
            "less-deep",
            "the planner allowed one hop less below",
            claims("del_max_depth", json!(2)),
        ),
        (
            "narrower",
            "the planner gave less",
            claims(
                "authorization_details",
                json!([
                    {"type": "countersign_grant", "actions": ["read"], "resources": ["ledger/invoices/2026/*"]},
                ]),
            ),
        ),
        (
            "expired",
            "over when hop 2 was issued",
            hop(|it| {
                it.claims["iat"] = json!(T0);
                it.claims["exp"] = json!(T0 + 60);
            }),
        ),
        (
            "from-the-future",
            "issued 61 seconds after hop 2",
            claims("iat", json!(T0 + 121)),
        ),
        (
            "unknown-claim",
            "a claim that isn't known",
            claims("del_depth", json!(2)),
        ),
    ];
    for (name, description, statements) in cases {
        let name = format!("agent-statement-{name}");
        all.push(
            Vector::broken(&name, description, statements, 2, "agent-statement").with_agents(),
        );
    }
    let no_jws = chain(3, |hop, draft| {
        if hop == 2 {
            draft.claims["statement"] = json!("anything");
        }
    });
    all.push(
        Vector::broken(
            "agent-statement-no-jws",
            "nothing that is signed",
            no_jws,
            2,
            "agent-statement",
        )
        .with_agents(),
    );
    all
}

/// Three statements, the last of which the planner signed too.
fn hop(edit: impl Fn(&mut Request)) -> Vec<String> {
    chain(3, |hop, draft| {
        if hop != 2 {
            return;
        }
        let mut claims = json!({"iss": planner(), "jti": "planner-1"});
        for name in [
            "sub",
            "iat",
            "exp",
            "del_max_depth",
            "par_hash",
            "authorization_details",
        ] {
            claims[name] = draft.claims[name].clone();
        }
        let certificate = svid(&planner(), AUTHORITY, |_| {});
        let mut request = Request {
            claims,
            header: json!({"alg": "EdDSA", "typ": TYP, "x5c": [STANDARD.encode(certificate)]}),
            key: PLANNER,
        };
        edit(&mut request);
        let header = text(&request.header);
        draft.claims["statement"] =
            json!(request.key.sign(&header, text(&request.claims).as_bytes()));
    })
}

fn planner() -> String {
    spiffe_id("planner", 1)
}

/// The trust domain's root, as the bundle has it.
pub(crate) fn root_jwk() -> Value {
    let pair = key_pair(AUTHORITY);
    let x = encode(pair.public_key_raw());
    let der = root().self_signed(&pair).unwrap().der().to_vec();
    json!({"use": "x509-svid", "kty": "OKP", "crv": "Ed25519", "x": x, "x5c": [STANDARD.encode(der)]})
}

fn root() -> CertificateParams {
    let mut root = CertificateParams::default();
    root.distinguished_name = DistinguishedName::new();
    root.distinguished_name
        .push(rcgen::DnType::CommonName, "example.org");
    root.serial_number = Some(SerialNumber::from(1));
    root.not_before = date_time_ymd(2026, 11, 1);
    root.not_after = date_time_ymd(2026, 12, 1);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    root.subject_alt_names = vec![SanType::URI("spiffe://example.org".try_into().unwrap())];
    root
}

/// A certificate of [`PLANNER`]'s key.
fn svid(id: &str, authority: Key, edit: impl Fn(&mut CertificateParams)) -> Vec<u8> {
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = DistinguishedName::new();
    leaf.serial_number = Some(SerialNumber::from(2));
    leaf.not_before = date_time_ymd(2026, 11, 10);
    leaf.not_after = date_time_ymd(2026, 11, 20);
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    leaf.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    leaf.use_authority_key_identifier_extension = true;
    edit(&mut leaf);
    let issuer = Issuer::new(root(), key_pair(authority));
    leaf.signed_by(&key_pair(PLANNER), &issuer)
        .unwrap()
        .der()
        .to_vec()
}

fn key_pair(key: Key) -> KeyPair {
    KeyPair::try_from(key.pkcs8()).unwrap()
}

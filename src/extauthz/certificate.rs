//! The peer's certificate, as Envoy passes it on.

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::percent;

/// A leaf and what may come after it, encoded: far more than eight certificates of 2 KiB.
const MAX_BYTES: usize = 96 * 1024;

/// The first certificate's DER out of URL-encoded PEM; `None` if it can't be read, has other blocks
/// than certificates, or has bytes after the certificate.
pub(crate) fn leaf(encoded: &str) -> Option<Vec<u8>> {
    if encoded.len() > MAX_BYTES {
        return None;
    }
    let text = percent::decode(encoded.as_bytes())?;
    let blocks = pem::parse_many(text).ok()?;
    if blocks.iter().any(|it| it.tag() != "CERTIFICATE") {
        return None;
    }
    blocks.into_iter().next().map(pem::Pem::into_contents)
}

/// The one URI among the subject's alternative names; `None` if there is none, or more than one, or
/// if it is no certificate.
pub(crate) fn only_uri(der: &[u8]) -> Option<String> {
    let (rest, parsed) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let extensions = parsed.iter_extensions();
    let names = extensions.filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(san) => Some(&san.general_names),
        _ => None,
    });
    let mut uris = names.flatten().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Some(uri.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_sent_is_read_or_refused(
            text in "(-----BEGIN CERTIFICATE-----%0A)?[A-Za-z0-9%/+=-]{0,200}(%0A-----END CERTIFICATE-----)?",
            der in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Some(der) = leaf(&text) {
                prop_assert_eq!(only_uri(&der), None);
            }
            prop_assert_eq!(only_uri(&der), None);
        }
    }
}

//! The certificate that metrics are served with: of files, or one that signs itself.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::pages::MetricsTls;

/// How often it is looked whether a file changed or a certificate is to be renewed.
const LOOK: Duration = Duration::from_secs(5);
/// Of a certificate that signs itself: nobody can trust it beforehand, so nobody minds a new one. Renewed
/// at half of it.
const LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// For clients whose clock is behind.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

/// What is shown in handshakes.
pub(crate) struct Certificate {
    files: Option<MetricsTls>,
    clock: Clock,
    held: Mutex<Held>,
}

struct Held {
    key: Arc<CertifiedKey>,
    until: Until,
}

/// How long it is shown.
#[derive(Debug, PartialEq, Eq)]
enum Until {
    /// The certificate's file has other content than this.
    Changed(Vec<u8>),
    /// This moment.
    Moment(Timestamp),
}

impl Certificate {
    /// Of these files, or one that signs itself.
    ///
    /// # Errors
    /// The files can't be used now, in words.
    pub(crate) fn load(files: Option<MetricsTls>, clock: Clock) -> Result<Self, String> {
        let held = match &files {
            Some(files) => read(files)?,
            None => make(clock.now())?,
        };
        Ok(Self {
            files,
            clock,
            held: Mutex::new(held),
        })
    }

    /// Replaces it in time, for ever.
    pub(crate) async fn keep(&self) -> Infallible {
        loop {
            sleep(LOOK).await;
            self.look();
        }
    }

    /// What can't be used doesn't replace what can.
    fn look(&self) {
        let next = match &self.files {
            Some(files) => self.changed(files),
            None => self.renewed(),
        };
        match next {
            Ok(Some(held)) => {
                *self.held.lock() = held;
                info!(certificate = %self, "metrics are served with a new certificate");
            }
            Ok(None) => {}
            Err(why) => warn!("the certificate for metrics stays as it was: {why}"),
        }
    }

    fn changed(&self, files: &MetricsTls) -> Result<Option<Held>, String> {
        let now = Until::Changed(content(&files.certificate)?);
        if self.held.lock().until == now {
            return Ok(None);
        }
        read(files).map(Some)
    }

    fn renewed(&self) -> Result<Option<Held>, String> {
        let now = self.clock.now();
        match self.held.lock().until {
            Until::Moment(until) if now >= until => {}
            _ => return Ok(None),
        }
        make(now).map(Some)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.held.lock().key))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Where it is from.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.files {
            Some(files) => write!(f, "{}", files.certificate.display()),
            None => f.write_str("self-signed"),
        }
    }
}

fn content(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|why| format!("{}: {why}", file.display()))
}

fn read(files: &MetricsTls) -> Result<Held, String> {
    let content = content(&files.certificate)?;
    let unusable = |file: &Path, why: &dyn fmt::Display| format!("{}: {why}", file.display());
    let chain = CertificateDer::pem_slice_iter(&content).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|why| unusable(&files.certificate, &why))?;
    if chain.is_empty() {
        return Err(unusable(&files.certificate, &"no certificate is in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|why| unusable(&files.key, &why))?;
    Ok(Held {
        key: certified(chain, key).map_err(|why| unusable(&files.certificate, &why))?,
        until: Until::Changed(content),
    })
}

fn make(now: Timestamp) -> Result<Held, String> {
    let in_words = |why: rcgen::Error| why.to_string();
    let mut params = CertificateParams::new(["localhost".to_owned()]).map_err(in_words)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = moment(now, -BACKDATED)?;
    params.not_after = moment(now, LIFE)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(in_words)?;
    let made = params.self_signed(&key).map_err(in_words)?;
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok(Held {
        key: certified(vec![made.der().clone()], private).map_err(|why| why.to_string())?,
        until: Until::Moment(now.checked_add(LIFE / 2).unwrap_or(now)),
    })
}

/// With the proof that the key is the certificate's.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    CertifiedKey::from_der(chain, key, &default_provider()).map(Arc::new)
}

fn moment(now: Timestamp, later: SignedDuration) -> Result<OffsetDateTime, String> {
    let seconds = now.as_second().saturating_add(later.as_secs());
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A certificate and its key.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::default().self_signed(&key).unwrap();
        (made.pem(), key.serialize_pem())
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn files(&self) -> MetricsTls {
            MetricsTls {
                certificate: self.path("tls.crt"),
                key: self.path("tls.key"),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, certificate: &str, key: &str) {
            std::fs::write(self.path("tls.crt"), certificate).unwrap();
            std::fs::write(self.path("tls.key"), key).unwrap();
        }
    }

    fn shown(certificate: &Certificate) -> Vec<u8> {
        certificate.held.lock().key.cert[0].to_vec()
    }

    #[test]
    fn files_are_read_again_and_what_cant_be_used_replaces_nothing() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let (first, second) = (pair(), pair());
        folder.write(&first.0, &first.1);
        let certificate = Certificate::load(Some(folder.files()), Clock::system()).unwrap();
        let before = shown(&certificate);
        certificate.look();
        assert_eq!(shown(&certificate), before);
        folder.write(&second.0, &first.1); // the key comes a moment later
        certificate.look();
        assert_eq!(shown(&certificate), before);
        for junk in [
            "",
            "junk",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            folder.write(junk, &second.1);
            certificate.look();
            assert_eq!(shown(&certificate), before, "{junk}");
        }
        std::fs::remove_file(folder.path("tls.crt")).unwrap();
        certificate.look();
        assert_eq!(shown(&certificate), before);
        folder.write(&second.0, &second.1);
        certificate.look();
        assert_ne!(shown(&certificate), before);
    }

    #[test]
    fn files_that_cant_be_used_are_told_at_the_start() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let load = || Certificate::load(Some(folder.files()), Clock::system()).unwrap_err();
        assert!(load().contains("tls.crt: No such file"), "{}", load());
        let (first, second) = (pair(), pair());
        folder.write("", &first.1);
        assert!(load().contains("tls.crt: no certificate"), "{}", load());
        folder.write(&first.0, &second.1);
        assert!(load().contains("tls.crt: "), "{}", load());
        folder.write(&first.0, "");
        assert!(load().contains("tls.key: "), "{}", load());
    }

    #[test]
    fn one_that_signs_itself_is_renewed_long_before_it_ends() {
        let day = SignedDuration::from_hours(24);
        let at = |age: SignedDuration| Certificate {
            files: None,
            clock: Clock::system(),
            held: Mutex::new(make(Clock::system().now().checked_sub(age).unwrap()).unwrap()),
        };
        for (age, renewed) in [
            (SignedDuration::ZERO, false),
            (day * 3, false),
            (day * 4, true),
            (day * 30, true),
        ] {
            let certificate = at(age);
            let before = shown(&certificate);
            certificate.look();
            assert_eq!(shown(&certificate) != before, renewed, "{age:?}");
        }
    }
}

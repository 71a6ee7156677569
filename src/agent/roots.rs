//! Whose word the issuing endpoint's certificate is: the roots of a file, and those that the endpoint
//! itself has handed out since.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use countersign_authority::{AuthorityCertificate, Bundle};
use parking_lot::Mutex;
use tracing::warn;

use crate::trust::Trust;

/// As large as a ConfigMap can be.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Roots {
    file: PathBuf,
    given: Mutex<Option<Arc<Trust>>>,
}

impl Roots {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self {
            file,
            given: Mutex::default(),
        }
    }

    /// A rotation reaches us so before the kubelet changes the file.
    pub(crate) fn give(&self, trust: &Arc<Trust>) {
        *self.given.lock() = Some(Arc::clone(trust));
    }

    /// Both, as they are now. The file is read each time, and may be missing once there is something
    /// else.
    ///
    /// # Errors
    /// There is no root at all.
    pub(crate) fn bundle(&self) -> Result<Bundle, String> {
        let given = self.given.lock().clone();
        let given = given
            .iter()
            .flat_map(|it| it.bundle.roots().iter().cloned());
        let mut roots: Vec<_> = given.collect();
        match self.read() {
            Ok(read) => roots.extend(read),
            Err(why) if roots.is_empty() => return Err(why),
            Err(why) => warn!("the trust bundle's file can't be used, what was given is: {why}"),
        }
        Ok(Bundle::new(0, roots))
    }

    fn read(&self) -> Result<Vec<AuthorityCertificate>, String> {
        let path = self.file.display();
        let mut text = String::new();
        File::open(&self.file)
            .and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
            .map_err(|why| format!("read {path}: {why}"))?;
        let blocks = pem::parse_many(&text).map_err(|why| format!("{path} is no PEM: {why}"))?;
        let roots = blocks.iter().filter(|it| it.tag() == "CERTIFICATE");
        let roots = roots.map(|it| AuthorityCertificate::from_der(it.contents()));
        let roots = roots.collect::<Result<Vec<_>, _>>();
        let roots = roots.map_err(|why| format!("{path}: {why}"))?;
        if roots.is_empty() {
            return Err(format!("{path} has no certificate"));
        }
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;
    use crate::tests::fixture::TrustDomain;

    #[test]
    fn roots_are_those_of_the_file_and_those_given_since() {
        let (before, after) = (TrustDomain::new(), TrustDomain::new());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.crt");
        let roots = Roots::new(file.clone());
        assert!(roots.bundle().unwrap_err().starts_with("read "));
        std::fs::write(&file, "nothing").unwrap();
        assert!(roots.bundle().unwrap_err().ends_with("has no certificate"));
        std::fs::write(&file, before.bundle().pem()).unwrap();
        assert_eq!(roots.bundle().unwrap().digest(), before.bundle().digest());

        let given = Trust::read(after.trust(), "example.org").unwrap();
        roots.give(&Arc::new(given));
        assert_eq!(roots.bundle().unwrap().roots().len(), 2);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(roots.bundle().unwrap().digest(), after.bundle().digest());
    }
}

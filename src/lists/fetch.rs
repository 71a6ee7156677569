//! From an operator's server. Its index is signed by nobody, so that nothing is taken from it: which
//! lists there are is known from the bundle, the trust domain's status, and the lists themselves.

use std::time::Duration;

use countersign_authority::{AuthorityId, VerifiedCrl};
use countersign_http::Bytes;
use countersign_statement::TrustedKeys;
use countersign_statement::revocation::{List, MAX_LIST_BYTES};

use crate::lists::{Lists, Wanted};

/// For one list.
const WITHIN: Duration = Duration::from_secs(10);
/// More partitions than any operator makes.
const MAX_PARTITIONS: u32 = 1024;

impl Lists {
    /// Fetches all lists of a trust domain. Each that is good counts, also where another isn't.
    pub(crate) async fn fetch(
        &self,
        server: &str,
        name: &str,
        wanted: &Wanted,
    ) -> Result<(), String> {
        let at = format!("{server}/revocations/{name}");
        let mut troubles = Vec::new();
        if let Some(keys) = &wanted.keys {
            troubles = self.all_statements(&at, name, keys).await?;
        }
        if wanted.signing.is_empty() {
            troubles.push("no authority of it is active".to_owned());
        }
        for authority in &wanted.signing {
            let fetched = self.certificates(&at, name, authority, wanted);
            troubles.extend(fetched.await.err());
        }
        // One is as good as many.
        troubles.pop().map_or(Ok(()), Err)
    }

    async fn get(&self, address: &str) -> Result<Bytes, String> {
        let got = self.http.fetch(address, WITHIN, MAX_LIST_BYTES).await;
        got.map_err(|why| format!("{address}: {why}"))
    }

    /// What was wrong with which; `Err`: there is none to be had.
    async fn all_statements(
        &self,
        at: &str,
        name: &str,
        keys: &TrustedKeys,
    ) -> Result<Vec<String>, String> {
        let partitions = self.statements(at, name, 0, None, keys).await?;
        if partitions > MAX_PARTITIONS {
            return Err(format!("there are {partitions} partitions of statements"));
        }
        let mut troubles = Vec::new();
        for partition in 1..partitions {
            let partitions = Some(partitions);
            let fetched = self.statements(at, name, partition, partitions, keys);
            troubles.extend(fetched.await.err());
        }
        Ok(troubles)
    }

    /// How many partitions there are.
    async fn statements(
        &self,
        at: &str,
        name: &str,
        partition: u32,
        partitions: Option<u32>,
        keys: &TrustedKeys,
    ) -> Result<u32, String> {
        let address = format!("{at}/statements/{partition}");
        let bad = |why: &dyn std::fmt::Display| format!("{address}: {why}");
        let text = self.get(&address).await?;
        let text = str::from_utf8(&text).map_err(|why| bad(&why))?;
        let now = self.clock.now();
        let list = List::verify(text.trim(), keys, now).map_err(|why| bad(&why))?;
        if list.partition != partition || partitions.is_some_and(|it| it != list.partitions) {
            return Err(bad(&"it is another partition"));
        }
        let mut domains = self.domains.lock();
        if let Some(domain) = domains.get_mut(name) {
            domain
                .held
                .take_statements(&list, now)
                .map_err(|why| bad(&why))?;
        }
        Ok(list.partitions)
    }

    async fn certificates(
        &self,
        at: &str,
        name: &str,
        authority: &str,
        wanted: &Wanted,
    ) -> Result<(), String> {
        let id = AuthorityId::parse(authority).map_err(|why| why.to_string())?;
        let Some(authority) = wanted.bundle.authority(&id) else {
            return Err(format!("authority {id} is not in the bundle yet"));
        };
        if !authority.signs_lists() {
            // It can't, so that there is none: its operator says so, too.
            return Ok(());
        }
        let address = format!("{at}/certificates/{id}.crl");
        let bad = |why: &dyn std::fmt::Display| format!("{address}: {why}");
        let der = self.get(&address).await?;
        let now = self.clock.now();
        let list = VerifiedCrl::read(&der, &authority, now).map_err(|why| bad(&why))?;
        let mut domains = self.domains.lock();
        let Some(domain) = domains.get_mut(name) else {
            return Ok(()); // it is gone
        };
        let taken = domain.held.take_certificates(&id, &list, now);
        let changed = taken.map_err(|why| bad(&why))?;
        if self.revoke.is_none() {
            domain.passing.take(&id, der, &list, changed, now);
        }
        Ok(())
    }
}

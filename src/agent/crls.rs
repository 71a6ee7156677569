//! Lists of revoked certificates, to be handed on: of each authority the newest that it signed.
//!
//! That an authority signed a list, and none with a higher number before, is looked at here again; times
//! aren't. The endpoint takes no list that is past its time, this node's clock may be off, and whoever
//! relies on a list reads in it until when it counts. One that is past its time still says what was revoked.

use std::collections::BTreeMap;

use countersign_authority::{AuthorityId, Bundle};
use countersign_issuing::Bytes;
use tracing::warn;

/// One of each authority: the two slots, and some that signed before.
const MOST: usize = 64;

/// None, or some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Crls(BTreeMap<AuthorityId, Crl>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Crl {
    number: u64,
    der: Bytes,
}

impl Crls {
    /// Those that an authority of `bundle` signed. Others are left out, with a warning: what else came
    /// with them is none the worse.
    pub(crate) fn read(ders: Vec<Bytes>, bundle: &Bundle) -> Self {
        let mut crls = Self::default();
        for der in ders.into_iter().take(MOST) {
            match bundle.verify_crl(&der) {
                Ok((id, list)) => {
                    let number = list.number;
                    crls.take(id, Crl { number, der });
                }
                Err(why) => warn!("a revocation list is not handed on: {why}"),
            }
        }
        crls
    }

    /// With what was there `before`, of authorities that `bundle` still has, where it is newer: another
    /// replica of the endpoint may have older lists, or none yet.
    pub(crate) fn after(mut self, before: &Self, bundle: &Bundle) -> Self {
        for (id, crl) in &before.0 {
            if bundle.authority(id).is_some() {
                self.take(id.clone(), crl.clone());
            }
        }
        self
    }

    /// In DER.
    pub(crate) fn ders(&self) -> Vec<Vec<u8>> {
        self.0.values().map(|it| it.der.to_vec()).collect()
    }

    fn take(&mut self, id: AuthorityId, crl: Crl) {
        let there = self.0.get(&id);
        if there.is_none_or(|it| it.number < crl.number) {
            self.0.insert(id, crl);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture::TrustDomain;

    #[test]
    fn what_no_authority_signed_is_left_out_and_the_rest_is_taken() {
        let (domain, other) = (TrustDomain::new(), TrustDomain::new());
        let good = domain.crl(&["0a"], 1);
        let mut torn = domain.crl(&["0b"], 2).to_vec();
        torn.truncate(torn.len() - 1);
        let ders = vec![
            other.crl(&["0c"], 3),
            torn.into(),
            Bytes::from_static(b"a list"),
            good.clone(),
        ];
        assert_eq!(Crls::read(ders, &domain.bundle()).ders(), [good.to_vec()]);
    }

    #[test]
    fn a_list_gives_way_to_a_newer_one_alone() {
        let domain = TrustDomain::new();
        let bundle = domain.bundle();
        let read = |numbers: &[u64]| {
            let ders = numbers.iter().map(|number| domain.crl(&["0a"], *number));
            Crls::read(ders.collect(), &bundle)
        };
        let second = read(&[1, 2, 1]);
        assert_eq!(second.0.values().next().map(|it| it.number), Some(2));
        for older in [read(&[1]), read(&[])] {
            assert_eq!(older.after(&second, &bundle), second);
        }
        let third = read(&[3]);
        assert_eq!(third.clone().after(&second, &bundle), third);
    }

    #[test]
    fn what_an_authority_signed_that_is_trusted_no_more_goes_with_it() {
        let (domain, next) = (TrustDomain::new(), TrustDomain::new());
        let crls = Crls::read(vec![domain.crl(&["0a"], 1)], &domain.bundle());
        assert_eq!(crls.ders().len(), 1);
        let after = Crls::default().after(&crls, &next.bundle());
        assert_eq!(after, Crls::default());
    }
}

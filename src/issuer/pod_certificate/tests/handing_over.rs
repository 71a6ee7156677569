//! The status with a certificate, held against what the API server demands
//! (`ValidatePodCertificateRequestStatusUpdate` of Kubernetes 1.37).

use std::time::Duration;

use jiff::SignedDuration;
use rcgen::KeyPair;

use super::fixture::{ID, certificate, requested, start};
use crate::Lifetime;
use crate::pod_certificate::issued::{Unfit, status};

const HOUR: u64 = 3600;

fn within(at_most: u64) -> Lifetime {
    Lifetime {
        at_least: Duration::from_secs(HOUR),
        at_most: Duration::from_secs(at_most),
    }
}

#[test]
fn the_status_says_what_the_certificate_says() {
    let key = requested(&KeyPair::generate().unwrap());
    for ttl in [HOUR, 2 * HOUR, 86_400 - 10] {
        let issued = certificate(&key, ttl);
        let (status, facts) = status(&issued, &key, within(86_400), start()).unwrap();
        let (begin, end) = (status.not_before.unwrap().0, status.not_after.unwrap().0);
        assert_eq!((begin, end), (facts.not_before, facts.not_after));
        let minutes = SignedDuration::from_mins;
        assert!(start().duration_since(begin) < minutes(5));
        let refresh = status.begin_refresh_at.unwrap().0;
        assert!(begin + minutes(10) <= refresh && refresh <= end - minutes(10));
        assert_eq!(refresh.subsec_nanosecond(), 0);
        // Half of its life, so that the kubelet's five minutes of jitter leave enough.
        assert!(end.duration_since(refresh) >= minutes(30));
        let chain = pem::parse_many(status.certificate_chain.unwrap()).unwrap();
        let chain: Vec<_> = chain.iter().map(|it| it.contents().to_vec()).collect();
        assert_eq!(chain, issued.chain);
        let conditions = status.conditions.unwrap();
        assert_eq!(conditions.len(), 1);
        assert_eq!(
            (&*conditions[0].type_, &*conditions[0].status),
            ("Issued", "True")
        );
        assert!(conditions[0].message.contains(ID));
        assert!(conditions[0].message.contains(&facts.serial_number));
    }
}

#[test]
fn what_the_api_server_would_not_take_is_not_handed_over() {
    let key = requested(&KeyPair::generate().unwrap());
    let other = requested(&KeyPair::generate().unwrap());
    let refused = |issued, key, at_most| status(issued, key, within(at_most), start()).unwrap_err();
    let good = certificate(&key, HOUR);
    assert!(matches!(refused(&good, &other, 86_400), Unfit::OtherKey));
    // Ten seconds of it lie in the past, and count.
    assert!(matches!(refused(&good, &key, HOUR), Unfit::Lifetime(_)));
    assert!(status(&certificate(&key, HOUR - 10), &key, within(HOUR), start()).is_ok());
    let short = certificate(&key, HOUR - 11);
    assert!(matches!(refused(&short, &key, 86_400), Unfit::Lifetime(_)));
    let mut broken = good.clone();
    broken.chain[0].truncate(100);
    assert!(matches!(
        refused(&broken, &key, 86_400),
        Unfit::Unreadable(_)
    ));
    let mut empty = good.clone();
    empty.chain.clear();
    assert!(matches!(
        refused(&empty, &key, 86_400),
        Unfit::Unreadable(_)
    ));
    let mut long = good.clone();
    long.chain.extend(vec![vec![0; 1000]; 100]);
    assert!(matches!(refused(&long, &key, 86_400), Unfit::TooLong));
}

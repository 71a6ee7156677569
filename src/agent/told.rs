//! What the issuing endpoint last said about the identity, by Watch.

use std::sync::Arc;

use countersign_authority::KeyAlgorithm;
use countersign_issuing::{State, WatchResponse};

use crate::trust::Trust;
use crate::view::Why;

/// Kept when the stream breaks: silence changes nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) said: Said,
    pub(crate) trust: Option<Arc<Trust>>,
    pub(crate) key_algorithm: KeyAlgorithm,
    /// Goes up each time that a new certificate was wanted.
    pub(crate) reissues: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Said {
    /// Nothing yet.
    #[default]
    Nothing,
    /// There is no identity, or it isn't ready.
    Waiting(Why),
    Active,
    /// Suspended, or ended for good.
    Over(Why),
}

impl Told {
    /// Takes a message in. `Err` says what of it was left out.
    pub(crate) fn hear(&mut self, message: WatchResponse, domain: &str) -> Result<(), String> {
        let why = Why::new(&message.reason, message.message.clone());
        self.said = match message.state() {
            State::Active => Said::Active,
            State::Suspended | State::Ended => Said::Over(why),
            // A state that is new to us is no permission.
            State::Waiting | State::Unspecified => Said::Waiting(why),
        };
        self.reissues += u64::from(message.reissue);
        if let Ok(algorithm) = KeyAlgorithm::parse(&message.key_algorithm) {
            self.key_algorithm = algorithm;
        }
        let Some(trust) = message.trust else {
            return Ok(());
        };
        let trust = Trust::read(trust, domain)?.after(self.trust.as_deref());
        if self.trust.as_deref() != Some(&trust) {
            self.trust = Some(Arc::new(trust));
        }
        Ok(())
    }

    /// Nothing may be served any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.said, Said::Over(_))
    }

    /// Is what was heard the same for everybody who looks?
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let trust = |it: &Self| it.trust.as_ref().map(Arc::as_ptr);
        self.said != other.said
            || trust(self) != trust(other)
            || self.reissues != other.reissues
            || self.key_algorithm != other.key_algorithm
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;
    use crate::tests::fixture::TrustDomain;

    fn message(state: State) -> WatchResponse {
        WatchResponse {
            state: state.into(),
            reason: "Because".to_owned(),
            message: "it is so".to_owned(),
            ..WatchResponse::default()
        }
    }

    #[test]
    fn a_heartbeat_changes_nothing() {
        let domain = TrustDomain::new();
        let mut told = Told::default();
        let mut first = message(State::Active);
        first.trust = Some(domain.trust());
        told.hear(first.clone(), "example.org").unwrap();
        let before = told.clone();
        told.hear(first, "example.org").unwrap();
        told.hear(message(State::Active), "example.org").unwrap();
        assert!(!told.differs(&before));
        assert!(told.trust.is_some());
    }

    #[test]
    fn suspended_and_ended_are_over_and_anything_new_is_no_permission() {
        let mut told = Told::default();
        let because = Why::new("Because", "it is so");
        for state in [State::Suspended, State::Ended] {
            told.hear(message(state), "example.org").unwrap();
            assert_eq!(told.said, Said::Over(because.clone()));
        }
        let mut unknown = message(State::Active);
        unknown.state = 17;
        told.hear(unknown, "example.org").unwrap();
        assert_eq!(told.said, Said::Waiting(because));
    }

    #[test]
    fn each_wish_for_a_new_certificate_counts() {
        let mut told = Told::default();
        let mut wish = message(State::Active);
        wish.reissue = true;
        told.hear(wish.clone(), "example.org").unwrap();
        told.hear(message(State::Active), "example.org").unwrap();
        assert_eq!(told.reissues, 1);
        let before = told.clone();
        told.hear(wish, "example.org").unwrap();
        assert!(told.differs(&before));
    }

    #[test]
    fn trust_that_cannot_be_read_leaves_the_old_one_and_the_state_counts() {
        let domain = TrustDomain::new();
        let mut told = Told::default();
        let mut first = message(State::Active);
        first.trust = Some(domain.trust());
        told.hear(first, "example.org").unwrap();
        let mut bad = message(State::Ended);
        bad.trust = Some(countersign_issuing::Trust::default());
        assert!(told.hear(bad, "example.org").is_err());
        assert!(told.is_over() && told.trust.is_some());
    }
}

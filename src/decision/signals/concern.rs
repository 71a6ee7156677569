//! What the signals that concern somebody come to.

use jiff::Timestamp;

use crate::{Effect, Risk, RiskPart, Signal};

/// The most parts that a risk is shown with, and codes that policies see.
const MAX_PARTS: usize = 32;

/// What was found so far, of however many subjects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Concern {
    /// Is there any signal, be it one that takes others back?
    pub(crate) heard: bool,
    parts: Vec<RiskPart>,
    codes: Vec<String>,
    /// The kind of a signal that denies everything.
    pub(crate) denied_by: Option<String>,
    /// What began before this is denied, and the signal's kind.
    pub(crate) sessions_end: Option<(Timestamp, String)>,
}

impl Concern {
    /// Counts a signal that lives.
    pub(crate) fn add(&mut self, signal: &Signal, now: Timestamp) {
        self.heard = true;
        match signal.effect {
            Effect::Clear => return,
            Effect::Risk => {}
            Effect::Deny => {
                self.denied_by.get_or_insert_with(|| signal.kind.clone());
            }
            Effect::EndSessions => {
                let later = self.sessions_end.as_ref();
                if later.is_none_or(|(moment, _)| *moment < signal.observed) {
                    self.sessions_end = Some((signal.observed, signal.kind.clone()));
                }
            }
        }
        if !self.codes.contains(&signal.kind) && self.codes.len() < MAX_PARTS {
            self.codes.push(signal.kind.clone());
        }
        let score = faded(signal, now);
        let place = self.parts.partition_point(|it| it.score >= score);
        if place < MAX_PARTS {
            self.parts.insert(
                place,
                RiskPart {
                    kind: signal.kind.clone(),
                    score,
                    why: signal.why.clone(),
                },
            );
            self.parts.truncate(MAX_PARTS);
        }
    }

    /// Did something that began then end?
    pub(crate) fn ended(&self, began: Timestamp) -> bool {
        let end = self.sessions_end.as_ref();
        end.is_some_and(|(moment, _)| began <= *moment)
    }

    /// Both together.
    pub(crate) fn merge(&mut self, other: Self) {
        self.heard |= other.heard;
        self.parts.extend(other.parts);
        self.parts.sort_by_key(|it| std::cmp::Reverse(it.score));
        self.parts.truncate(MAX_PARTS);
        for code in other.codes {
            if !self.codes.contains(&code) && self.codes.len() < MAX_PARTS {
                self.codes.push(code);
            }
        }
        self.denied_by = self.denied_by.take().or(other.denied_by);
        self.sessions_end = self.sessions_end.take().max(other.sessions_end);
    }

    /// 0 to 100: the worst.
    pub(crate) fn risk(&self) -> u8 {
        self.parts.first().map_or(0, |it| it.score)
    }

    /// The kinds.
    pub(crate) fn codes(&self) -> &[String] {
        &self.codes
    }

    /// Together with what is odd in somebody's behaviour; the worst first.
    pub(crate) fn with_behaviour(&self, odd: &[RiskPart]) -> Risk {
        let mut parts = self.parts.clone();
        parts.extend_from_slice(odd);
        parts.sort_by_key(|it| std::cmp::Reverse(it.score));
        Risk {
            risk: self.risk(),
            anomaly: odd.iter().map(|it| it.score).max().unwrap_or(0),
            parts,
        }
    }
}

/// Severity × (1 − age / lifetime), rounded up: what lives is never nothing unless it was.
pub(crate) fn faded(signal: &Signal, now: Timestamp) -> u8 {
    let lifetime = signal.lifetime.as_millis().max(1);
    let age = now.duration_since(signal.observed).as_millis();
    let left = lifetime.saturating_sub(age.clamp(0, lifetime));
    let score = (i128::from(signal.severity) * left + lifetime - 1) / lifetime;
    u8::try_from(score).unwrap_or(signal.severity)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test should panic")]
mod tests {
    use super::*;
    use crate::SignalSubject;
    use jiff::SignedDuration;

    #[test]
    fn a_signal_fades_to_nothing_over_its_lifetime() {
        let observed: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let signal = Signal {
            id: "1".to_owned(),
            source: "test".to_owned(),
            subject: SignalSubject::Owner("alice".to_owned()),
            kind: "test".to_owned(),
            severity: 80,
            observed,
            lifetime: SignedDuration::from_secs(100),
            effect: Effect::Risk,
            why: String::new(),
        };
        let at = |seconds| faded(&signal, observed + SignedDuration::from_secs(seconds));
        assert_eq!(
            [-60, 0, 25, 50, 99, 100, 1000].map(at),
            [80, 80, 60, 40, 1, 0, 0]
        );
    }
}

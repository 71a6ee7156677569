//! The table of signals.

mod aliases;
mod bounds;
pub(crate) mod concern;
pub(crate) mod subject;
mod table;

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::RwLock;

use self::aliases::Aliases;
use self::concern::Concern;
use self::subject::Kind;
use self::table::{MAX_SIGNALS, Table};
use crate::{Signal, SignalRefused, SignalSink};

/// All signals that live, in memory: at most 1,000,000, and 64 of one subject.
///
/// The same signals in whichever order leave the same table, so replicas may hand theirs on to each
/// other as they come. Time is a parameter.
#[derive(Debug)]
pub struct Signals {
    held: RwLock<Held>,
}

#[derive(Debug)]
struct Held {
    table: Table,
    aliases: Aliases,
    /// Since when some may be missing.
    incomplete_since: Option<Timestamp>,
}

/// Whose signals are asked for. What isn't known is left out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About<'a> {
    /// By SPIFFE ID; its pods too.
    pub(crate) agent: Option<&'a str>,
    /// By name, and by those of its users.
    pub(crate) owner: Option<OwnerNames<'a>>,
    /// By serial number.
    pub(crate) certificate: Option<&'a str>,
}

/// The names of an owner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnerNames<'a> {
    pub(crate) name: &'a str,
    pub(crate) users: &'a [String],
}

/// Whose agents may have a risk.
#[derive(Debug, Default)]
pub(crate) struct Concerned {
    pub(crate) agents: HashSet<Arc<str>>,
    pub(crate) delegations: Vec<Arc<str>>,
    /// Some owner or certificate: only the identities themselves say whose.
    pub(crate) any_other: bool,
}

impl Signals {
    /// None.
    pub fn new() -> Self {
        Self::with_room(MAX_SIGNALS)
    }

    pub(crate) fn with_room(most: usize) -> Self {
        Self {
            held: RwLock::new(Held {
                table: Table::new(most),
                aliases: Aliases::default(),
                incomplete_since: None,
            }),
        }
    }

    /// Takes one at `now`. It counts for the next question. True if it changed anything: who hands
    /// signals on to others hands on those.
    ///
    /// Severity is at most 100, the lifetime 1 second to 30 days, `observed` at most a minute ahead
    /// and not longer ago than the lifetime; texts have at most 1024 bytes, a subject 2048. A signal
    /// whose source and id are known changes nothing, nor does one that was observed before what the
    /// same source said of the same subject with the same kind. Of a subject with 64 signals the
    /// least severe goes, those that deny last.
    ///
    /// # Errors
    /// [`SignalRefused::Bad`] says what can't be; [`SignalRefused::Full`] that there are a million.
    pub fn accept(&self, signal: Signal, now: Timestamp) -> Result<bool, SignalRefused> {
        self.held.write().table.accept(signal, now)
    }

    /// All that live at `now`, those that took others back too.
    pub fn all(&self, now: Timestamp) -> Vec<Signal> {
        self.held.read().table.all(now)
    }

    /// How many there are, those included that are over and not yet forgotten.
    pub fn len(&self) -> usize {
        self.held.read().table.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets those that are over at `now`. Taking one does that too.
    pub fn prune(&self, now: Timestamp) {
        self.held.write().table.prune(now);
    }

    /// This pod is the agent's, or one of those that it is: signals about the pod concern the agent.
    pub fn set_pod(&self, namespace: &str, pod: &str, spiffe_id: &str) {
        self.held.write().aliases.set_pod(namespace, pod, spiffe_id);
    }

    /// This pod is gone.
    pub fn remove_pod(&self, namespace: &str, pod: &str) {
        self.held.write().aliases.remove_pod(namespace, pod);
    }

    /// Further names by which signals may name an owner, beside its own and those of its
    /// [`crate::OwnerFacts::users`].
    pub fn set_owner_names(&self, owner: &str, names: Vec<String>) {
        self.held.write().aliases.set_owner(owner, names);
    }

    /// Since when signals may be missing, such as since a source or another replica can't be heard;
    /// `None`: they are complete. Policies see how long ago that is.
    pub fn set_incomplete_since(&self, since: Option<Timestamp>) {
        self.held.write().incomplete_since = since;
    }

    /// Milliseconds since they were known to be complete.
    pub(crate) fn age_milliseconds(&self, now: Timestamp) -> u64 {
        let since = self.held.read().incomplete_since;
        let age = since.map_or(0, |it| now.duration_since(it).as_millis());
        u64::try_from(age).unwrap_or(0)
    }

    /// Adds all that is said of somebody.
    pub(crate) fn about(&self, about: About<'_>, now: Timestamp, concern: &mut Concern) {
        let held = self.held.read();
        let Held { table, aliases, .. } = &*held;
        if let Some(agent) = about.agent {
            let pardoned = table.pardoned(agent, now);
            table.look((Kind::Agent, agent), pardoned, now, concern);
            for pod in aliases.pods_of(agent) {
                table.look((Kind::Pod, pod), pardoned, now, concern);
            }
        }
        let mut look = |kind, name: &str| table.look((kind, name), None, now, concern);
        if let Some(OwnerNames { name, users }) = about.owner {
            look(Kind::Owner, name);
            // A name that is given twice, or is the owner's own, is looked at once.
            let names = || users.iter().chain(aliases.names_of(name));
            for (place, other) in names().enumerate() {
                if other != name && !names().take(place).any(|it| it == other) {
                    look(Kind::Owner, other);
                }
            }
        }
        if let Some(serial_number) = about.certificate {
            look(Kind::Certificate, serial_number);
        }
    }

    /// Adds what is said of a statement. Its digest is written out only where any is known.
    pub(crate) fn about_statement(
        &self,
        digest: &impl ToString,
        now: Timestamp,
        concern: &mut Concern,
    ) {
        let held = self.held.read();
        if !held.table.is_silent(Kind::Delegation) {
            let name = digest.to_string();
            let statement = (Kind::Delegation, name.as_str());
            held.table.look(statement, None, now, concern);
        }
    }

    /// Whom anything is said of.
    pub(crate) fn concerned(&self) -> Concerned {
        let held = self.held.read();
        let Held { table, aliases, .. } = &*held;
        let pods = table.names(Kind::Pod);
        let of_pods = pods.flat_map(|it| aliases.agents_of(it));
        Concerned {
            agents: table.names(Kind::Agent).chain(of_pods).cloned().collect(),
            delegations: table.names(Kind::Delegation).cloned().collect(),
            any_other: !table.is_silent(Kind::Owner) || !table.is_silent(Kind::Certificate),
        }
    }
}

impl Default for Signals {
    fn default() -> Self {
        Self::new()
    }
}

/// The table as whoever receives signals sees it, with a clock.
#[derive(Clone)]
pub struct SignalInlet {
    signals: Arc<Signals>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl SignalInlet {
    /// Into `signals`, at the time that `clock` tells.
    pub fn new(signals: Arc<Signals>, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        Self { signals, clock }
    }
}

impl SignalSink for SignalInlet {
    fn accept(&self, signal: Signal) -> Result<(), SignalRefused> {
        self.signals.accept(signal, (self.clock)()).map(|_| ())
    }

    fn all(&self) -> Vec<Signal> {
        self.signals.all((self.clock)())
    }
}

impl std::fmt::Debug for SignalInlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignalInlet").finish_non_exhaustive()
    }
}

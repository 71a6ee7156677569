//! The schema that ships, and what of it is needed for each request.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cedar_policy::{Schema, Validator};
use cedar_policy_core::FromNormalizedStr as _;
use cedar_policy_core::ast::{Eid, Entity, EntityType, EntityUID, ExtensionFunction, Name};

use crate::datetime::{Datetimes, function};
use crate::index::TypeName;

/// The schema of all policies, in Cedar's own syntax
/// (<https://docs.cedarpolicy.com/schema/human-readable-schema.html>).
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// Every action is in this one.
pub(crate) const ANY_ACTION: &str = "any";
/// What a verb is asked as that the schema doesn't declare.
pub(crate) const OTHER_ACTION: &str = "other";

static VOCABULARY: LazyLock<Option<Vocabulary>> = LazyLock::new(Vocabulary::read);

/// The schema, read.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) validator: Validator,
    /// In the order of [`TypeName::ALL`].
    types: Vec<EntityType>,
    actions: HashMap<Box<str>, Arc<Entity>>,
    other: Arc<Entity>,
    pub(crate) datetimes: Datetimes,
    /// Makes an `ipaddr` of a string.
    pub(crate) ip: &'static ExtensionFunction,
}

impl Vocabulary {
    /// The one of the schema that ships. `None` only if that is broken, which a test rules out; then
    /// no policy compiles and every request is denied.
    pub(crate) fn shipped() -> Option<&'static Self> {
        VOCABULARY.as_ref()
    }

    fn read() -> Option<Self> {
        let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).ok()?;
        let types = TypeName::ALL
            .into_iter()
            .map(|it| Some(Name::from_normalized_str(it.qualified()).ok()?.into()))
            .collect::<Option<_>>()?;
        let actions: HashMap<Box<str>, Arc<Entity>> = schema
            .action_entities()
            .ok()?
            .iter()
            .map(|it| AsRef::<Entity>::as_ref(it).clone())
            .map(|it| (Box::from(it.uid().eid().as_ref()), Arc::new(it)))
            .collect();
        Some(Self {
            other: Arc::clone(actions.get(OTHER_ACTION)?),
            types,
            actions,
            datetimes: Datetimes::new()?,
            ip: function("ip")?,
            validator: Validator::new(schema),
        })
    }

    /// The entity that a verb is asked as.
    pub(crate) fn action(&self, verb: &str) -> &Arc<Entity> {
        self.actions
            .get(verb)
            .filter(|_| verb != ANY_ACTION)
            .unwrap_or(&self.other)
    }

    /// The entity of a type with an id.
    pub(crate) fn uid(&self, of: TypeName, id: impl Into<smol_str::SmolStr>) -> Option<EntityUID> {
        let of = self.types.get(of as usize)?.clone();
        Some(EntityUID::from_components(of, Eid::new(id), None))
    }
}

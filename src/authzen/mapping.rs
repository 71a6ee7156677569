//! From AuthZEN's words to a question's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_decision::{Authority, Call, PresentedCertificate, Question, ResourceRef};
use countersign_statement::{Digest, MAX_STATEMENT_BYTES};

use crate::json::{Action, Context, Delegation, Entity, Properties, Request, Said, Scalar};
use crate::refused::Refused;

/// The types that subjects may have in a subject search. All of them are agents; another type has no
/// subjects here.
pub const SUBJECT_TYPES: [&str; 5] = ["agent", "identity", "service", "user", "workload"];

/// The longest id: that of a SPIFFE ID (SPIFFE-ID, section 2.3), and more than a resource's path.
const MOST_ID: usize = 2048;

/// The longest name of a type, an action, a tool or an audience.
const MOST_NAME: usize = 1024;

/// The longest certificate, as it is written. One with a P-256 key takes less than a tenth.
const MOST_CERTIFICATE: usize = 16 << 10;

/// Before the name of an action's property among those of the resource.
const OF_ACTION: &str = "action.";

/// What is said for a part of a request, and the default.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'r, 'a> {
    /// The evaluation, or the whole request.
    pub(crate) own: &'r Request<'a>,
    /// What holds where it says nothing.
    pub(crate) default: Option<&'r Request<'a>>,
}

/// Everything of an action, as it comes: its properties are said of other things.
pub(crate) struct ActionSaid<'r> {
    pub(crate) name: &'r str,
    properties: Option<&'r Properties>,
}

/// What is asked of a context.
#[derive(Default)]
pub(crate) struct ContextSaid {
    pub(crate) authority: Option<Authority>,
    pub(crate) certificate: Option<PresentedCertificate>,
    pub(crate) call: Call,
}

impl<'r, 'a> Asked<'r, 'a> {
    /// The whole request.
    pub(crate) fn whole(own: &'r Request<'a>) -> Self {
        Self { own, default: None }
    }

    /// The question that it puts.
    ///
    /// # Errors
    /// A part is missing or not as it must be.
    pub(crate) fn question(self, request_id: Option<&str>) -> Result<Question, Refused> {
        let agent = self.subject()?.to_owned();
        let action = self.action()?;
        let resource = self.resource(Some(&action))?;
        let context = self.context(Some(&action), request_id)?;
        Ok(Question {
            agent,
            certificate: context.certificate,
            action: action.name.to_owned(),
            resource,
            authority: context.authority,
            call: context.call,
        })
    }

    /// `subject.id`.
    pub(crate) fn subject(self) -> Result<&'r str, Refused> {
        let subject = self.entity(|it| &it.subject, "subject")?;
        subject.0.properties.optional("subject.properties")?;
        kind(subject, "subject.type")?;
        id(subject, "subject.id")
    }

    /// `subject.type`, where the id isn't known yet.
    pub(crate) fn subject_kind(self) -> Result<&'r str, Refused> {
        let subject = self.entity(|it| &it.subject, "subject")?;
        subject.0.properties.optional("subject.properties")?;
        kind(subject, "subject.type")
    }

    /// `action`.
    pub(crate) fn action(self) -> Result<ActionSaid<'r>, Refused> {
        let (action, default): (&Action<'_>, _) = self.entity(|it| &it.action, "action")?;
        let name = action.name.or(default.map(|it| &it.name));
        Ok(ActionSaid {
            name: short(name.required("action.name")?, MOST_NAME, "action.name")?,
            properties: properties(&action.properties, "action.properties")?,
        })
    }

    /// `resource`, with what is said of it beside it.
    pub(crate) fn resource(self, action: Option<&ActionSaid<'_>>) -> Result<ResourceRef, Refused> {
        let resource = self.entity(|it| &it.resource, "resource")?;
        let kind = kind(resource, "resource.type")?.to_owned();
        let path = id(resource, "resource.id")?.to_owned();
        let mut said = BTreeMap::new();
        if let Some(properties) = properties(&resource.0.properties, "resource.properties")? {
            said.extend(scalars(properties).filter(|(name, _)| !name.starts_with(OF_ACTION)));
        }
        if let Some(properties) = action.and_then(|it| it.properties) {
            let own = scalars(properties).filter(|(name, _)| !is_call(name));
            said.extend(own.map(|(name, value)| (format!("{OF_ACTION}{name}"), value)));
        }
        Ok(ResourceRef {
            kind,
            path,
            properties: said,
        })
    }

    /// `resource.type`, where the id isn't known yet.
    pub(crate) fn resource_kind(self) -> Result<&'r str, Refused> {
        let resource = self.entity(|it| &it.resource, "resource")?;
        properties(&resource.0.properties, "resource.properties")?;
        kind(resource, "resource.type")
    }

    /// `context`, with what the action's properties say of the call.
    pub(crate) fn context(
        self,
        action: Option<&ActionSaid<'_>>,
        request_id: Option<&str>,
    ) -> Result<ContextSaid, Refused> {
        let context = self.own.context.or(self.default.map(|it| &it.context));
        let mut said = match context.optional("context")? {
            Some(context) => read_context(context)?,
            None => ContextSaid::default(),
        };
        if let Some(properties) = action.and_then(|it| it.properties) {
            graver(&mut said.call, properties)?;
        }
        said.call.request_id = request_id.map(str::to_owned);
        Ok(said)
    }

    /// The entity and, for members that it lacks, its default. A whole entity is replaced, but for its
    /// required members (certification scenario, batch with default value merging).
    fn entity<T>(
        self,
        of: impl Fn(&'r Request<'a>) -> &'r Said<T>,
        at: &str,
    ) -> Result<(&'r T, Option<&'r T>), Refused>
    where
        T: crate::json::Wanted<'a>,
    {
        let own = of(self.own);
        let default = self.default.map(&of);
        let entity = own.or(default).required(at)?;
        let beside = own.this().and_then(|_| default?.this());
        Ok((entity, beside))
    }
}

fn kind<'r, P>(
    (entity, default): (&'r Entity<'_, P>, Option<&'r Entity<'_, P>>),
    at: &str,
) -> Result<&'r str, Refused> {
    let kind = entity.kind.or(default.map(|it| &it.kind));
    short(kind.required(at)?, MOST_NAME, at)
}

fn id<'r, P>(
    (entity, default): (&'r Entity<'_, P>, Option<&'r Entity<'_, P>>),
    at: &str,
) -> Result<&'r str, Refused> {
    let id = entity.id.or(default.map(|it| &it.id));
    short(id.required(at)?, MOST_ID, at)
}

fn short<'r>(text: &'r str, most: usize, at: &str) -> Result<&'r str, Refused> {
    if text.len() > most {
        return Err(Refused::bad(format!("{at} is longer than {most} bytes")));
    }
    Ok(text)
}

fn properties<'r>(
    properties: &'r Said<Properties>,
    at: &str,
) -> Result<Option<&'r Properties>, Refused> {
    let properties = properties.optional(at)?;
    if properties.is_some_and(|it| it.too_many) {
        return Err(Refused::bad(format!("{at} has too many members")));
    }
    Ok(properties)
}

/// Those that have a value, as text.
fn scalars(properties: &Properties) -> impl Iterator<Item = (String, String)> + '_ {
    let members = properties.members.iter();
    members.filter_map(|(name, value)| Some((name.clone(), value.this()?.to_text())))
}

/// Is it said of the call?
fn is_call(name: &str) -> bool {
    matches!(name, "tool" | "bytes" | "destructive")
}

fn read_context(context: &Context<'_>) -> Result<ContextSaid, Refused> {
    let text = |it: &Said<Cow<'_, str>>, at| -> Result<Option<String>, Refused> {
        let text = it.optional(at)?;
        let text = text.map(|it| short(it, MOST_NAME, at)).transpose()?;
        Ok(text.map(str::to_owned))
    };
    let authority = context.delegation.optional("context.delegation")?;
    let certificate = context.certificate.optional("context.certificate")?;
    let source_ip = context.source_ip.optional("context.sourceIP")?;
    let source_ip = source_ip.map(|it| it.parse());
    Ok(ContextSaid {
        authority: authority.map(read_chain).transpose()?,
        certificate: certificate.map(|it| read_certificate(it)).transpose()?,
        call: Call {
            source_ip: source_ip
                .transpose()
                .map_err(|_| Refused::bad("context.sourceIP is no IP address"))?,
            tool: text(&context.tool, "context.tool")?,
            bytes: *context.bytes.optional("context.bytes")?.unwrap_or(&0),
            destructive: *context
                .destructive
                .optional("context.destructive")?
                .unwrap_or(&false),
            audience: text(&context.audience, "context.audience")?,
            ..Call::default()
        },
    })
}

fn read_chain(delegation: &Delegation<'_>) -> Result<Authority, Refused> {
    const AT: &str = "context.delegation";
    match delegation {
        Delegation::Digest(text) => Digest::parse(text)
            .map(Authority::Digest)
            .map_err(|why| Refused::bad(format!("{AT}: {why}"))),
        Delegation::TooMany => Err(Refused::bad(format!("{AT} has too many statements"))),
        Delegation::Statements(statements) if statements.is_empty() => {
            Err(Refused::bad(format!("{AT} has no statements")))
        }
        Delegation::Statements(statements) => {
            let statement = |it: &Said<Cow<'_, str>>| {
                const EACH: &str = "each statement of context.delegation";
                let text = short(it.required(EACH)?, MAX_STATEMENT_BYTES, EACH)?;
                Ok(text.to_owned())
            };
            let statements = statements.iter().map(statement);
            Ok(Authority::Statements(statements.collect::<Result<_, _>>()?))
        }
    }
}

fn read_certificate(text: &str) -> Result<PresentedCertificate, Refused> {
    const AT: &str = "context.certificate";
    let der = STANDARD.decode(short(text, MOST_CERTIFICATE, AT)?);
    let der =
        der.map_err(|_| Refused::bad(format!("{AT} is not base64 of a certificate's DER")))?;
    Ok(PresentedCertificate { der })
}

/// Adds what an action's properties say of the call. Of two the graver counts, and two tools are one
/// too many, so that nobody makes a call look harmless by saying it twice.
fn graver(call: &mut Call, properties: &Properties) -> Result<(), Refused> {
    let wrong = |at, wanted, value: &Scalar| {
        let kind = value.kind();
        Refused::bad(format!(
            "action.properties.{at} must be {wanted}, not {kind}"
        ))
    };
    for at in ["tool", "bytes", "destructive"] {
        let Some(value) = properties.members.get(at) else {
            continue;
        };
        let value = value.required(&format!("action.properties.{at}"))?;
        match (at, value) {
            ("tool", Scalar::Text(tool)) => {
                let tool = short(tool, MOST_NAME, "action.properties.tool")?;
                if call.tool.as_deref().is_some_and(|it| it != tool) {
                    let message = "action.properties.tool and context.tool differ";
                    return Err(Refused::bad(message));
                }
                call.tool = Some(tool.to_owned());
            }
            ("tool", _) => return Err(wrong(at, "a string", value)),
            ("bytes", Scalar::Number(number)) => {
                let bytes = number.as_u64();
                let bytes = bytes.ok_or_else(|| wrong(at, "a whole number from 0 on", value))?;
                call.bytes = call.bytes.max(bytes);
            }
            ("bytes", _) => return Err(wrong(at, "a whole number from 0 on", value)),
            (_, Scalar::Flag(destructive)) => call.destructive |= destructive,
            _ => return Err(wrong(at, "a boolean", value)),
        }
    }
    Ok(())
}

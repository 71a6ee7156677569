//! What a delegator signed itself.

use countersign_statement::agent;
use jiff::Timestamp;

use super::observed::{DomainSeen, Recorded, Signed};
use crate::context::Context;

/// Verifies `spec.statement`: once it is countersigned, as of then, since the certificate that
/// signed it ends soon.
pub(crate) fn look(
    ctx: &Context,
    recorded: &Recorded,
    domain: &DomainSeen,
    statement: &str,
    now: Timestamp,
) -> Result<Signed, String> {
    let name = domain.name.as_ref().map(ToString::to_string);
    let known = name.and_then(|name| ctx.domains.get(&name));
    let Some(Ok(signing)) = known.as_ref().map(|domain| &domain.signing) else {
        return Err("its trust domain has no authority to verify it with".to_owned());
    };
    let at = recorded.issued.filter(|_| recorded.granted).unwrap_or(now);
    let signed = agent::verify(statement, &signing.bundle, at).map_err(|why| why.to_string())?;
    Ok(Signed {
        revoked: !recorded.granted && ctx.revocations.is_revoked(&signed.serial_number),
        request: signed.request,
    })
}

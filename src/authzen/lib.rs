//! The OpenID AuthZEN Authorization API 1.0 over a decision point: HTTP and JSON in, questions out.
//!
//! ```text
//!  request ──▶ caller? ──▶ body: size, UTF-8, depth, JSON ──▶ Question ──▶ DecisionPoint::decide ──▶ decision, context
//!                 │                    │                      Search   ──▶ DecisionPoint::search ──▶ results, page
//!                401               400, 413, 415
//! ```
//!
//! # Endpoints
//! `POST` of `application/json`, below the base URL:
//!
//! | path | asks | answers |
//! |---|---|---|
//! | `/access/v1/evaluation` | `subject, action, resource, context?` | `decision, context` |
//! | `/access/v1/evaluations` | the same as defaults, `evaluations[]`, `options.evaluations_semantic` | `evaluations[]` |
//! | `/access/v1/search/subject` | `subject.type`, `action, resource, context?, page?` | `results[]` of `type, id`; `page` |
//! | `/access/v1/search/resource` | `resource.type`, `subject, action, context?, page?` | `results[]` of `type, id`; `page` |
//! | `/access/v1/search/action` | `subject, resource, context?, page?` | `results[]` of `name`; `page` |
//!
//! `GET /.well-known/authzen-configuration`, with the base URL's path after it, says where they are.
//! `X-Request-ID` comes back as it was sent, with every answer.
//!
//! # What goes in
//! | AuthZEN | question |
//! |---|---|
//! | `subject.id` | the agent's SPIFFE ID |
//! | `subject.type` | not judged; in a subject search, one that isn't in [`SUBJECT_TYPES`] finds nobody |
//! | `subject.properties` | nothing: what an agent is comes from the cluster, not from who asks |
//! | `action.name` | the action |
//! | `action.properties` | `tool`, `bytes` and `destructive` as in `context`, of both the graver; others are properties of the resource under `action.<name>` |
//! | `resource.type`, `resource.id` | the resource's type and path |
//! | `resource.properties` | the resource's properties: strings as they are, numbers and booleans as their JSON; lists, objects and `null` are left out, and so is a name that begins with `action.` |
//! | `context.delegation` | the chain: its digest, or the list of its statements from hop 0 |
//! | `context.certificate` | the certificate that the agent showed in a handshake with the caller: base64 of its DER (as a member of `x5c`, RFC 7515, section 4.1.6) |
//! | `context.sourceIP` | where the agent's request comes from |
//! | `context.tool`, `bytes`, `destructive`, `audience` | the call |
//!
//! Properties count only if the caller is authoritative, and an agent without a certificate only if the
//! caller vouches: the decision point judges that. Whatever isn't in this table is ignored. A member of
//! the table that has the wrong type is refused by its name; one that is there twice, or a property
//! that is, is refused.
//!
//! # What comes out
//! `context` of a decision: `id` (its name in the log), `reason` (a word), `explanation` (a sentence),
//! `policies` (the names of those that decided), `obligations` (`id`, `type`, `properties`, as in the
//! AuthZEN profile for obligations; not understanding one means deny), `risk`. Never a policy's text.
//! An evaluation of many that can't be read, or may not be asked, has `decision: false` and
//! `context.error` with `status` and `message`.
//!
//! Codes: 200 for every decision, also a deny; 400 for what can't be read, a content type other than
//! `application/json` included (the certification scenario wants it so); 401 without a [`Caller`]; 403
//! for what the caller may not ask; 405; 413; 415 for a content coding; 500. The body of an error is a
//! message in plain text.
//!
//! What it must not do: authenticate callers, decide, keep an answer, answer `true` for what it could
//! not read whole.
//!
//! [`Caller`]: countersign_decision::Caller

mod answer;
mod body;
mod discovery;
mod evaluate;
mod json;
mod mapping;
mod page;
mod refused;
mod router;
mod search;
mod settings;

pub use mapping::SUBJECT_TYPES;
pub use router::router;
pub use settings::{BadBaseUrl, BaseUrl, Settings};

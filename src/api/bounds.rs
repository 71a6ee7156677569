//! How large and of which form things may be.
//!
//! The bounds are for the API server, which estimates the cost of every CEL rule from them, and for
//! whoever lists objects: none can be made large.

/// A name of an object (DNS-1123 subdomain).
pub(crate) const DNS_SUBDOMAIN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// An API group: as [`DNS_SUBDOMAIN`], or empty for the core group.
pub(crate) const API_GROUP: &str =
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$";
/// A namespace or a plural resource name (DNS-1123 label).
pub(crate) const DNS_LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// An API version, such as `v1` or `v1beta2`.
pub(crate) const API_VERSION: &str = r"^v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?$";
/// A verb of an agent's: `*` for any.
pub(crate) const ACTION: &str = r"^(\*|[A-Za-z][A-Za-z0-9._:/-]*)$";
/// A path of segments; `*` only as a whole segment, so that nobody reads `a*` as a prefix; no `.`
/// or `..`, which some would resolve to a place outside of what covers it.
pub(crate) const RESOURCE: &str = r"^(\*|\.{0,2}[^*/.\s\x00-\x1f\x7f][^*/\s\x00-\x1f\x7f]*)(/(\*|\.{0,2}[^*/.\s\x00-\x1f\x7f][^*/\s\x00-\x1f\x7f]*))*$";
/// A verb of an agent's: one.
pub(crate) const VERB: &str = r"^[A-Za-z][A-Za-z0-9._:/-]*$";
/// A path as [`RESOURCE`], of one thing: without `*`.
pub(crate) const PATH: &str = r"^\.{0,2}[^*/.\s\x00-\x1f\x7f][^*/\s\x00-\x1f\x7f]*(/\.{0,2}[^*/.\s\x00-\x1f\x7f][^*/\s\x00-\x1f\x7f]*)*$";
/// Where data may be, such as `eu` or `eu-central-1`.
pub(crate) const REGION: &str = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$";
/// The type of an obligation, such as `step-up` or `session_termination`.
pub(crate) const OBLIGATION_TYPE: &str = r"^[a-z][a-z0-9_-]*$";
/// The digest of a set of policies.
pub(crate) const POLICY_DIGEST: &str = r"^sha256:[0-9a-f]{64}$";
/// For whom something is: without white space or control characters.
pub(crate) const AUDIENCE: &str = r"^[^\s\x00-\x1f\x7f]+$";
/// A UID of an object, or of a user: whatever the API server gives, so only its length is bounded.
pub(crate) const MAX_UID: usize = 256;
/// Lower-case hex.
pub(crate) const HEX: &str = r"^[0-9a-f]+$";

/// A compact JWS (RFC 7515): three parts in base64url.
pub(crate) const COMPACT_JWS: &str = r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$";
/// SHA-256 in base64url without padding.
pub(crate) const DIGEST: &str = r"^[A-Za-z0-9_-]{43}$";
/// An RFC 3339 time in UTC, in whole seconds.
pub(crate) const WHOLE_SECONDS: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";

/// A DNS-1123 subdomain.
pub(crate) const MAX_NAME: usize = 253;
/// A DNS-1123 label.
pub(crate) const MAX_LABEL: usize = 63;
/// A year: longer than any identity should live.
pub(crate) const YEAR_SECONDS: i64 = 31_536_000;
/// Ten years: longer than any CA of its own makes sense.
pub(crate) const TEN_YEARS_SECONDS: i64 = 315_360_000;
/// A day: what lives longer isn't short-lived.
pub(crate) const DAY_SECONDS: i64 = 86_400;
/// Objects are looked at by their generation; a number beyond would be lost in JSON.
pub(crate) const MAX_EXACT_INTEGER: i64 = 9_007_199_254_740_991;
/// As deep as delegations go below one another, the root included.
pub(crate) const MAX_DEPTH: i64 = 16;
/// A statement with the certificate chain of an agent's own key in it, countersigned or not.
pub(crate) const MAX_STATEMENT: usize = 32_768;
/// A policy in Cedar: as much as other engines take (10 KiB).
pub(crate) const MAX_POLICY: usize = 10_240;
/// An RFC 3339 time, in whatever precision.
pub(crate) const MAX_TIME: usize = 64;

/// The key of a label, with or without a prefix.
pub(crate) const LABEL_KEY: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
/// The value of a label.
pub(crate) const LABEL_VALUE: &str = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";
/// As `metav1.Condition` has it.
pub(crate) const CONDITION_TYPE: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
/// As `metav1.Condition` has it.
pub(crate) const CONDITION_REASON: &str = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";

/// A kind of task that is known without a TaskKind object; one of the same name overrides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindDefault {
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The plural resource name.
    pub resource: &'static str,
    /// The API version that the rules are written for.
    pub version: &'static str,
    /// The kind, as owner references spell it.
    pub kind: &'static str,
    /// CEL: the task is over, and well.
    pub succeeded: &'static str,
    /// CEL: the task is over, and not well. Asked first.
    pub failed: &'static str,
}

/// The kinds that are compiled in, ordered by group and resource.
#[must_use]
pub fn defaults() -> &'static [KindDefault] {
    DEFAULTS
}

const DEFAULTS: &[KindDefault] = &[KindDefault {
    group: "batch",
    resource: "jobs",
    version: "v1",
    kind: "Job",
    succeeded: r#"object.status.conditions.exists(c, c.type == "Complete" && c.status == "True")"#,
    failed: r#"object.status.conditions.exists(c, c.type == "Failed" && c.status == "True")"#,
}];

//! From texts to policies that can take effect, or to all that is wrong with them.

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{
    Policy, PolicyId, PolicySet as Cedar, ValidationMode, ValidationWarning, Validator,
};
use cedar_policy_core::ast;
use miette::Diagnostic;

use crate::checks;
use crate::depth;
use crate::digest;
use crate::problem::Problem;
use crate::rule::Rule;
use crate::source::{Mode, PolicySource, PolicyText, Scope};
use crate::trial;
use crate::verdict::PolicyName;
use crate::vocabulary::Vocabulary;

/// How many entities after one another a policy may follow: `principal.owner.type` is two. What it
/// would follow further isn't there.
const MAX_STEPS: u32 = 2;

/// An object whose policies can take effect. Cheap to clone.
#[derive(Clone)]
pub struct Compiled(Arc<Object>);

struct Object {
    scope: Scope,
    name: String,
    mode: Mode,
    digest: String,
    rules: Vec<Arc<Rule>>,
}

/// Reads an object's policies, validates them against [`crate::SCHEMA`], and runs its tests, in
/// whichever mode it is. The work is bounded by [`crate::MAX_POLICIES`] and the other bounds.
///
/// # Errors
/// All that is wrong with it: of names and sizes first; then of all policies; then of all tests.
pub fn compile(source: &PolicySource) -> Result<Compiled, Vec<Problem>> {
    let problems = checks::check(source);
    if !problems.is_empty() {
        return Err(problems);
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("compile".to_owned())
            .stack_size(depth::STACK_BYTES)
            .spawn_scoped(scope, || checked(source))
            .map_err(|error| format!("no thread to compile policies on: {error}"))?
            .join()
            .map_err(|_| "compiling the policies panicked: report it".to_owned())
    })
    .unwrap_or_else(|why| Err(vec![Problem::of_object(why)]))
}

/// [`compile`], on a stack that is large enough.
fn checked(source: &PolicySource) -> Result<Compiled, Vec<Problem>> {
    let Some(vocabulary) = Vocabulary::shipped() else {
        return Err(vec![Problem::of_object(
            "this program's own schema can't be read: report it",
        )]);
    };
    let mut rules = Vec::with_capacity(source.policies.len());
    let mut problems = Vec::new();
    for text in &source.policies {
        match read(text).and_then(|policy| validated(&vocabulary.validator, text, policy)) {
            Ok(policy) => {
                let name = PolicyName::new(&source.scope, &source.name, &text.id);
                rules.push(Arc::new(Rule::of(name, &policy, &text.obligations)));
            }
            Err(wrong) => problems.extend(wrong),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let compiled = Compiled(Arc::new(Object {
        scope: source.scope.clone(),
        name: source.name.clone(),
        mode: source.mode,
        digest: digest::of_source(source),
        rules,
    }));
    let failed = trial::run(&compiled, &source.tests);
    if failed.is_empty() {
        Ok(compiled)
    } else {
        Err(failed)
    }
}

/// The one policy of a text.
fn read(text: &PolicyText) -> Result<Policy, Vec<Problem>> {
    let id = text.id.as_str();
    depth::of_text(id, &text.cedar).map_err(|it| vec![it])?;
    let parsed = Cedar::from_str(&text.cedar).map_err(|errors| {
        errors
            .iter()
            .map(|it| explained(text, it))
            .collect::<Vec<_>>()
    })?;
    if let Some(template) = parsed.templates().next() {
        let slots: Vec<String> = template.slots().map(ToString::to_string).collect();
        return Err(vec![Problem::of_policy(
            id,
            format!(
                "this is a template: put an entity in place of {}",
                slots.join(" and ")
            ),
        )]);
    }
    let mut policies: Vec<&Policy> = parsed.policies().collect();
    policies.sort_by_key(|it| start(it));
    match policies.as_slice() {
        [one] => Ok(one.new_id(PolicyId::new(id))),
        [] => Err(vec![Problem::of_policy(
            id,
            "the text must be exactly one policy, and there is none",
        )]),
        [_, second, ..] => Err(vec![Problem::at(
            id,
            &text.cedar,
            start(second),
            format!(
                "the text must be exactly one policy, and there are {}: give each its own entry",
                policies.len()
            ),
        )]),
    }
}

/// Where a policy's text begins, in bytes.
fn start(policy: &Policy) -> usize {
    AsRef::<ast::Policy>::as_ref(policy)
        .loc()
        .map_or(0, |it| it.span.offset())
}

fn validated(
    validator: &Validator,
    text: &PolicyText,
    policy: Policy,
) -> Result<Policy, Vec<Problem>> {
    let condition = AsRef::<ast::Policy>::as_ref(&policy).condition();
    depth::of_expression(&text.id, &text.cedar, &condition).map_err(|it| vec![it])?;
    let alone = Cedar::from_policies([policy.clone()])
        .map_err(|error| vec![Problem::of_policy(&text.id, error.to_string())])?;
    let result = validator.validate_with_level(&alone, ValidationMode::Strict, MAX_STEPS);
    let errors = result.validation_errors().map(|it| explained(text, it));
    let warnings = result
        .validation_warnings()
        .filter_map(|it| harmful(text, it));
    let mut problems: Vec<Problem> = errors.chain(warnings).collect();
    if problems.is_empty() {
        return Ok(policy);
    }
    problems.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
    problems.dedup();
    Err(problems)
}

/// Of warnings those count by which an author, or who reviews, would be misled.
fn harmful(text: &PolicyText, warning: &ValidationWarning) -> Option<Problem> {
    let mut problem = explained(text, warning);
    match warning {
        ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) => {
            problem.message = format!(
                "this can never apply to any request, so it protects and permits nothing: {}",
                problem.message
            );
        }
        ValidationWarning::BidiCharsInString(_) | ValidationWarning::BidiCharsInIdentifier(_) => {
            problem
                .message
                .push_str(": write them as \\u{…}, so that what is read is what is meant");
        }
        // Names of other scripts are nothing unusual.
        _ => return None,
    }
    Some(problem)
}

/// A problem of Cedar's own, with its place and its advice.
fn explained<E: Diagnostic + fmt::Display>(text: &PolicyText, error: &E) -> Problem {
    let said = error.to_string();
    let about = format!("for policy `{}`", text.id);
    let message = said
        .strip_prefix(&about)
        .map_or(said.as_str(), |it| it.trim_start_matches([',', ':', ' ']));
    let mut message = without_action(message);
    let labels: Vec<_> = error.labels().into_iter().flatten().collect();
    if let Some(label) = labels.first().and_then(|it| it.label()) {
        message = format!("{message}: {label}");
    }
    if let Some(help) = error.help() {
        message = format!("{message} ({help})");
    }
    match labels.first() {
        Some(label) => Problem::at(&text.id, &text.cedar, label.offset(), message),
        None => Problem::of_policy(&text.id, message),
    }
}

/// Cedar says what is wrong with a context once for each action, and all have the same.
fn without_action(message: &str) -> String {
    const ACTION: &str = " for Countersign::Action::\"";
    message
        .split_once(ACTION)
        .and_then(|(before, rest)| Some((before, rest.split_once('"')?.1)))
        .map_or_else(
            || message.to_owned(),
            |(before, after)| format!("{before}{after}"),
        )
}

impl Compiled {
    /// Whose agents it is about.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Does it decide?
    pub fn mode(&self) -> Mode {
        self.0.mode
    }

    /// `sha256:<64 hex digits>` over scope, name, mode, and policies with their obligations.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    pub(crate) fn rules(&self) -> &[Arc<Rule>] {
        &self.0.rules
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("scope", &self.0.scope)
            .field("name", &self.0.name)
            .field("mode", &self.0.mode)
            .field("digest", &self.0.digest)
            .finish_non_exhaustive()
    }
}

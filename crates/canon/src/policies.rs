//! Policies from text: parsed, named, annotated, validated against the schema.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, Schema, ValidationMode,
    ValidationWarning, Validator,
};

use crate::error::{CanonError, with_causes};
use crate::nearest::nearest;
use crate::nesting;
use crate::obligation::{Duty, ESCALATE, Obligation};
use crate::source::Source;

/// Most policies of a canon.
pub const POLICIES_MAX: usize = 20_000;
/// Most that the lists of all policies hold together, within a few: each takes time to read.
pub const LISTED_MAX: usize = 50_000;
/// Most policies, each counted for every principal type, action and resource type that go together.
pub const VALIDATIONS_MAX: usize = 1_000_000;
/// Most characters of an annotation.
pub const ANNOTATION_MAX: usize = 4_096;
/// The effect of which everything is recorded before it is decided.
const COMPLETION: &str = "session.accept";
/// How many policies are validated before it is looked whether any is wrong: of many wrong ones
/// the first few are enough, and telling each takes time.
const VALIDATED_TOGETHER: usize = 64;
/// Most characters of an `@id`.
const ID_MAX: usize = 128;

/// The annotations that a policy can have.
const ANNOTATIONS: [&str; 10] = [
    "id",
    "reason",
    "advice",
    "control",
    "approval",
    ESCALATE,
    "limit",
    "redact",
    "window",
    "declassify",
];

/// What people are told of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyNote {
    /// `@id`: unique in the canon.
    pub id: String,
    /// `@reason`: why, shown to the refused.
    pub reason: Option<String>,
    /// `@advice`: what to do.
    pub advice: Option<String>,
    /// `@control`: the controls it serves, such as `SOC2:CC6.1`.
    pub controls: Vec<String>,
    /// Whether it permits or forbids.
    pub effect: Side,
}

/// Whether a policy permits or forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It permits, unless another forbids.
    Permit,
    /// It forbids, whatever others permit.
    Forbid,
}

/// A policy as it is evaluated and explained.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) note: Arc<PolicyNote>,
    pub(crate) obligations: Vec<Obligation>,
    pub(crate) policy: Policy,
    /// The text as it stands in the file.
    pub(crate) text: String,
    file: String,
    byte: usize,
}

impl Rule {
    /// The file that it stands in.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Where in its file a word of it stands; its beginning, when it is not in it.
    pub(crate) fn byte_of(&self, word: &str) -> usize {
        self.byte + self.text.find(word).unwrap_or(0)
    }
}

/// All policies, in the order of their ids.
pub(crate) type Rules = Vec<Rule>;

/// All policies by id.
type ById = BTreeMap<String, Rule>;

/// Read all policies. Also gives the warnings of the validator.
///
/// Each policy is validated for each of the `environments`: who may do what to what, by type.
pub(crate) fn load(
    source: &Source,
    schema: &Schema,
    environments: usize,
) -> Result<(Rules, Vec<String>), CanonError> {
    let files = source.folder("policies/")?;
    let (mut rules, mut listed) = (ById::new(), 0_usize);
    for (file, text) in &files {
        listed = listed.saturating_add(nesting::listed(text));
        if listed > LISTED_MAX {
            let what = format!("lists of policies hold more than {LISTED_MAX} together");
            let hint = "put what is asked for into facts: a group, and `in` in place of a list";
            return Err(CanonError::in_file(file, what).hint(hint));
        }
        for rule in parse(file, text)? {
            let wrong = |what: String| CanonError::at_byte(file, text, rule.byte, what);
            if let Some(other) = rules.get(&rule.note.id) {
                let what = format!("the id `{}` is taken by {}", rule.note.id, other.file);
                return Err(wrong(what).hint("each policy has an @id of its own"));
            }
            if rules.len() >= POLICIES_MAX {
                return Err(wrong(format!("more than {POLICIES_MAX} policies")));
            }
            rules.insert(rule.note.id.clone(), rule);
        }
    }
    let steps = rules.len().saturating_mul(environments);
    if steps > VALIDATIONS_MAX {
        let what = format!(
            "{} policies for {environments} ways in which the types of the schema go together in \
             its actions take {steps} validations; there may be {VALIDATIONS_MAX}",
            rules.len()
        );
        let hint =
            "have each action apply to the types that it is for, or make groups of types one";
        return Err(CanonError::in_file("policies", what).hint(hint));
    }
    let warnings = validate(&rules, &files, schema)?;
    Ok((rules.into_values().collect(), warnings))
}

fn parse(file: &str, text: &str) -> Result<Vec<Rule>, CanonError> {
    nesting::check(file, text)?;
    let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        let first = errors.iter().next();
        first.map_or_else(
            || CanonError::in_file(file, errors.to_string()),
            |first| CanonError::from_cedar(file, text, first),
        )
    })?;
    if let Some(template) = set.templates().next() {
        let byte = text.find(&template.to_cedar()).unwrap_or(0);
        let what = "a policy with `?principal` or `?resource` is a template";
        let hint = "write a policy for each role instead: roles are entities in facts/";
        return Err(CanonError::at_byte(file, text, byte, what).hint(hint));
    }
    let mut policies: Vec<_> = set.policies().collect();
    policies.sort_by_key(|policy| position(policy.id()));
    let mut cursor = 0;
    let mut rules = Vec::with_capacity(policies.len());
    for policy in policies {
        let own = policy.to_cedar().unwrap_or_default();
        let found = text.get(cursor..).and_then(|rest| rest.find(&own));
        let byte = cursor + found.unwrap_or(0);
        cursor = byte + own.len();
        rules.push(read(file, text, byte, own, policy)?);
    }
    Ok(rules)
}

/// Whether the scope of a policy names an action.
fn is_about(policy: &Policy, action: &str) -> bool {
    let is_it = |uid: &EntityUid| uid.id().unescaped() == action;
    match policy.action_constraint() {
        ActionConstraint::Any => false,
        ActionConstraint::Eq(uid) => is_it(&uid),
        ActionConstraint::In(uids) => uids.iter().any(is_it),
    }
}

/// Cedar names the policies of a file `policy0`, `policy1` and so on, in their order.
fn position(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}

fn read(
    file: &str,
    text: &str,
    byte: usize,
    own: String,
    policy: &Policy,
) -> Result<Rule, CanonError> {
    let wrong = |annotation: &str, what: String| {
        let offset = own.find(&format!("@{annotation}")).unwrap_or(0);
        CanonError::at_byte(file, text, byte + offset, what)
    };
    let mut notes: BTreeMap<&str, &str> = policy.annotations().collect();
    check_annotations(&notes, policy.effect()).map_err(|(name, what, hint)| {
        let error = wrong(&name, what);
        if hint.is_empty() { error } else { error.hint(hint) }
    })?;
    let id = notes.get("id").map(|id| (*id).to_owned()).unwrap_or_default();
    let mut obligations = Vec::new();
    for (annotation, value) in &notes {
        let duties = Duty::parse(annotation, value).map_err(|what| wrong(annotation, what))?;
        let owned = duties.into_iter().map(|duty| Obligation { policy: id.clone(), duty });
        obligations.extend(owned);
    }
    let asks = |it: &Obligation| matches!(it.duty, Duty::Approval { .. });
    let escalates = |it: &&Obligation| matches!(it.duty, Duty::Escalate { .. });
    match obligations.iter().filter(escalates).count() {
        0 => {}
        1 if obligations.iter().any(asks) => {}
        1 => {
            let what = "`@escalate` says who else may agree, and nobody is asked".to_owned();
            return Err(
                wrong(ESCALATE, what).hint("say who is asked first: `@approval(\"1 of role:x\")`")
            );
        }
        _ => {
            let what = "`@escalate` says twice who else may agree".to_owned();
            return Err(wrong(ESCALATE, what).hint("name them together: `role:a, user:b after 4h`"));
        }
    }
    let redacts = |it: &Obligation| matches!(it.duty, Duty::Redact { .. });
    if obligations.iter().any(redacts) && is_about(policy, COMPLETION) {
        let what =
            "`@redact` hides nothing of a completion: its event stands beside the receipt".into();
        let hint = "leave `@redact` out, and let the source leave out what nobody is to see";
        return Err(wrong("redact", what).hint(hint));
    }
    let controls = notes.remove("control").unwrap_or_default().split(',').map(str::trim);
    let note = PolicyNote {
        reason: notes.remove("reason").map(str::to_owned),
        advice: notes.remove("advice").map(str::to_owned),
        controls: controls.filter(|control| !control.is_empty()).map(str::to_owned).collect(),
        effect: match policy.effect() {
            Effect::Permit => Side::Permit,
            Effect::Forbid => Side::Forbid,
        },
        id: id.clone(),
    };
    let policy = policy.new_id(PolicyId::new(id));
    let file = file.to_owned();
    Ok(Rule { note: Arc::new(note), obligations, policy, text: own, file, byte })
}

/// Which annotation is wrong, what is wrong with it, and a hint.
type Wrong = (String, String, String);

fn check_annotations(notes: &BTreeMap<&str, &str>, effect: Effect) -> Result<(), Wrong> {
    let wrong = |name: &str, what: String, hint: String| Err((name.to_owned(), what, hint));
    for (name, value) in notes {
        if !ANNOTATIONS.contains(name) {
            let hint = match nearest(name, ANNOTATIONS) {
                Some(meant) => format!("did you mean @{meant}?"),
                None => format!("the annotations are @{}", ANNOTATIONS.join(", @")),
            };
            return wrong(name, format!("unknown annotation `@{name}`"), hint);
        }
        if value.chars().count() > ANNOTATION_MAX {
            let what = format!("`@{name}` is longer than {ANNOTATION_MAX} characters");
            return wrong(name, what, String::new());
        }
        let duty = Duty::parse(name, value).is_ok_and(|duties| duties.is_empty());
        if effect == Effect::Forbid && !duty {
            let what = format!("`@{name}` stands on a policy that forbids");
            let hint = "obligations bind what is permitted; put it on the permit policy";
            return wrong(name, what, hint.to_owned());
        }
    }
    let named = |id: &&str| {
        let good = |letter: char| letter.is_alphanumeric() || "._-:/".contains(letter);
        !id.is_empty() && id.chars().count() <= ID_MAX && id.chars().all(good)
    };
    match notes.get("id") {
        None => {
            let hint = "give it a short unique name: @id(\"pay.small\")";
            wrong("", "the policy has no @id".into(), hint.into())
        }
        Some(id) if !named(id) => {
            let what = format!("`{id}` is no good @id");
            let hint = format!("use letters, digits, `.`, `-`, `_`, `:` and `/`, {ID_MAX} at most");
            wrong("id", what, hint)
        }
        Some(_) => Ok(()),
    }
}

/// Strict validation by Cedar. Text that deceives the eye is an error, not a warning.
fn validate(
    rules: &ById,
    files: &[(&str, &str)],
    schema: &Schema,
) -> Result<Vec<String>, CanonError> {
    let validator = Validator::new(schema.clone());
    let mut warnings = Vec::new();
    let all: Vec<&Rule> = rules.values().collect();
    for some in all.chunks(VALIDATED_TOGETHER) {
        warnings.extend(validate_some(some, rules, files, &validator)?);
    }
    warnings.sort();
    Ok(warnings)
}

fn validate_some(
    some: &[&Rule],
    rules: &ById,
    files: &[(&str, &str)],
    validator: &Validator,
) -> Result<Vec<String>, CanonError> {
    let set = PolicySet::from_policies(some.iter().map(|rule| rule.policy.clone()))
        .map_err(|error| CanonError::in_file("policies", with_causes(&error)))?;
    let result = validator.validate(&set, ValidationMode::Strict);
    let blame = |id: &PolicyId, found: &dyn miette::Diagnostic| {
        let rule = rules.get::<str>(id.as_ref());
        let file = rule.map_or("policies", |rule| rule.file.as_str());
        let text = files.iter().find(|(path, _)| *path == file).map_or("", |(_, text)| text);
        CanonError::from_cedar(file, text, found)
    };
    // Cedar finds them in an order that changes from run to run.
    let errors = result.validation_errors().map(|error| blame(error.policy_id(), error));
    if let Some(first) = errors.min_by_key(CanonError::place) {
        return Err(first);
    }
    let mut warnings = Vec::new();
    for warning in result.validation_warnings() {
        let never_applies = matches!(
            warning,
            ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_)
        );
        let found = blame(warning.policy_id(), warning);
        if !never_applies {
            return Err(found);
        }
        warnings.push(found.to_string());
    }
    Ok(warnings)
}

//! From files to a canon that answers.

use std::collections::BTreeSet;
use std::fmt;

use cog_base::{Digest, Period};

use crate::cases::{self, Case};
use crate::conform::{self, Actions};
use crate::error::CanonError;
use crate::facts::Facts;
use crate::flip::Hints;
use crate::index::Index;
use crate::names;
use crate::obligation::{Duty, Obligation};
use crate::policies::{self, Rules};
use crate::settings::Settings;
use crate::source::{SCHEMA, SETTINGS, Source};

/// A canon: what binds in a domain, compiled. It never changes; a changed canon is another
/// one with another digest.
pub struct Canon {
    digest: Digest,
    periods: BTreeSet<Period>,
    settings: Settings,
    settings_text: String,
    schema_text: String,
    warnings: Vec<String>,
    pub(crate) facts: Facts,
    pub(crate) actions: Actions,
    pub(crate) rules: Rules,
    pub(crate) index: Index,
    pub(crate) hints: Hints,
    pub(crate) cases: Vec<Case>,
}

impl Canon {
    /// Compile a canon from its files. Its tests are read but not run: see [`Canon::test`].
    ///
    /// # Errors
    /// [`CanonError`] names the file, the place and a way out. Nothing is half loaded.
    pub fn load(source: &Source) -> Result<Self, CanonError> {
        source.check_limits()?;
        let settings_text = source.text(SETTINGS)?.to_owned();
        let settings = Settings::parse(&settings_text)?;
        let schema_text = source.text(SCHEMA)?.to_owned();
        let (schema, mut actions) = conform::load(&schema_text)?;
        names::check_actions(&settings, &settings_text, &actions)?;
        names::check_headers(&schema_text, &actions)?;
        let facts = Facts::load(source, &schema)?;
        let environments =
            actions.values().map(|it| it.principals.len() * it.resources.len()).sum();
        let (rules, mut warnings) = policies::load(source, &schema, environments)?;
        warnings.extend(names::unheard_of(&settings, &schema_text, &actions));
        warnings.extend(names::astray(&settings, &settings_text, &actions));
        warnings.extend(names::steering(&settings, &settings_text));
        warnings.extend(names::movable(&settings, &settings_text));
        warnings.extend(names::strangers(source, &actions, &facts, &rules)?);
        check_people(source, &settings, &rules, &facts)?;
        check_classes(source, &settings, &rules)?;
        let (index, reads) = Index::new(&rules, &actions, &facts.entities);
        for (name, action) in &mut actions {
            reads.get(name).into_iter().for_each(|reads| action.mark(reads));
        }
        let cases = cases::load(source, settings.data.as_ref())?;
        let hints = Hints::new(&rules, &facts);
        let limited = rules.iter().flat_map(|rule| &rule.obligations);
        let limited = limited.filter_map(|obligation| obligation.duty.period());
        let bounded = settings.envelope.periods().map(|(period, _)| period);
        let periods = bounded.chain(limited).collect();
        Ok(Self {
            periods,
            digest: source.digest(),
            settings,
            settings_text,
            schema_text,
            warnings,
            facts,
            actions,
            rules,
            index,
            hints,
            cases,
        })
    }

    /// The version: [`Source::digest`].
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The name of the canon.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// The domain that it governs.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.settings.domain
    }

    /// What binds besides the policies.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The periods in which it counts what its domain does, the shortest first.
    #[must_use]
    pub const fn periods(&self) -> &BTreeSet<Period> {
        &self.periods
    }

    /// The limits of policies that count what the domain does in a period, with their policies.
    pub fn counted(&self) -> impl Iterator<Item = &Obligation> {
        let all = self.rules.iter().flat_map(|rule| &rule.obligations);
        all.filter(|obligation| obligation.duty.period().is_some())
    }

    /// What is odd but no error, such as a policy that can never apply, or names
    /// somebody who is not there.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether an actor such as `agent:clerk` is an entity of the facts.
    #[must_use]
    pub fn knows(&self, actor: &str) -> bool {
        self.facts.knows(actor)
    }

    /// Whether `who` (`user:cfo`) is in `group` (`role:finance`), directly or through other
    /// groups, or is `group`. Somebody the facts do not know is in no group, not even of
    /// one.
    #[must_use]
    pub fn is_member(&self, who: &str, group: &str) -> bool {
        self.facts.is_member(who, group)
    }

    /// What to do about groups in which there are too few people: the role that was meant, or
    /// those that there are.
    #[must_use]
    pub fn whom(&self, groups: &[String]) -> String {
        self.facts.whom(groups)
    }

    /// Every person in `group`, as `user:name`, in order.
    #[must_use]
    pub fn people(&self, group: &str) -> Vec<String> {
        self.facts.people(group)
    }

    pub(crate) fn texts(&self) -> [(&'static str, &str); 2] {
        [(SETTINGS, &self.settings_text), (SCHEMA, &self.schema_text)]
    }
}

impl fmt::Debug for Canon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canon({} {})", self.settings.name, self.digest.short())
    }
}

/// A consent that nobody can give, a canon that nobody can change or somebody entitled who is
/// nobody: mistakes that would only show when it is too late.
fn check_people(
    source: &Source,
    settings: &Settings,
    rules: &Rules,
    facts: &Facts,
) -> Result<(), CanonError> {
    let lacks = |count: u64, of: &[String]| (facts.members(of) as u64) < count;
    let text = source.text(SETTINGS)?;
    let change = &settings.change;
    if lacks(change.approvals, &change.approvers) {
        let of = change.approvers.join(" or ");
        let count = change.approvals;
        let what = format!("a change takes approval by {count} of {of}, which nobody can give");
        let byte = place_in(text, "approvers", "");
        return Err(
            CanonError::at_byte(SETTINGS, text, byte, what).hint(facts.whom(&change.approvers))
        );
    }
    let named = |group: &&String| lacks(1, std::slice::from_ref(*group));
    for (groups, right) in settings.runs.entitled() {
        let Some(nobody) = groups.iter().find(named) else { continue };
        let what = format!("`{nobody}`, who is to be entitled to {right}, is nobody");
        let byte = place_in(text, "[runs]", nobody);
        let hint = facts.whom(std::slice::from_ref(nobody));
        return Err(CanonError::at_byte(SETTINGS, text, byte, what).hint(hint));
    }
    for rule in rules {
        for obligation in &rule.obligations {
            let (count, of, annotation) = match &obligation.duty {
                Duty::Approval { count, of } => (*count, of, "@approval"),
                Duty::Escalate { of, .. } => (1, of, "@escalate"),
                Duty::Receipts { .. }
                | Duty::Sum { .. }
                | Duty::Redact { .. }
                | Duty::Window(_)
                | Duty::Declassify { .. } => continue,
            };
            if lacks(count, of) {
                let what = format!(
                    "policy `{}` asks for {}, which nobody can give",
                    rule.note.id, obligation.duty
                );
                let (file, text) = (rule.file(), source.text(rule.file())?);
                let error = CanonError::at_byte(file, text, rule.byte_of(annotation), what);
                return Err(error.hint(facts.whom(of)));
            }
        }
    }
    Ok(())
}

/// A policy that lowers data to a class that there is not.
fn check_classes(source: &Source, settings: &Settings, rules: &Rules) -> Result<(), CanonError> {
    for rule in rules {
        for obligation in &rule.obligations {
            let Duty::Declassify { class } = &obligation.duty else { continue };
            let known = match &settings.data {
                Some(data) => data.known(class),
                None => Err(("the canon declares no classes of data".to_owned(), NO_DATA.into())),
            };
            if let Err((what, hint)) = known {
                let what = format!("policy `{}`: {what}", rule.note.id);
                let (file, text) = (rule.file(), source.text(rule.file())?);
                let byte = rule.byte_of("@declassify");
                return Err(CanonError::at_byte(file, text, byte, what).hint(hint));
            }
        }
    }
    Ok(())
}

const NO_DATA: &str = "declare them in canon.toml: [data] classes = [\"public\", \"internal\"]";

/// Where `word` stands behind the first `key`; the key, when it does not.
fn place_in(text: &str, key: &str, word: &str) -> usize {
    let at = text.find(key).unwrap_or(0);
    let behind = text.get(at..).and_then(|rest| rest.find(word));
    at + behind.unwrap_or(0)
}

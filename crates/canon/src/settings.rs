//! `canon.toml`: what binds besides the policies.

mod environments;
mod lists;
mod senders;

use std::collections::BTreeMap;

use cog_base::Period;
use cog_base::hosts::Hosts;
use cog_base::place::Place;
use serde::Deserialize;

use crate::change::ChangeRule;
use crate::data::{self, DataRules, DataTable, Mark, Marks, Wrong};
use crate::error::CanonError;
use crate::obligation::can_consent;
use crate::retention::Retention;
use crate::roots::RootRules;
use crate::runs::RunRule;
use crate::source::SETTINGS;
pub use environments::Environments;
pub use lists::Program;
use lists::{Allowed, HostLine, ProgramLine};
pub use senders::Sender;

/// The risk classes, from the least to the most harm.
pub const RISKS: [&str; 4] = ["low", "medium", "high", "critical"];

/// The class of an action that the canon gives none: unknown is not harmless.
const RISK_DEFAULT: &str = "high";

/// Where the amount of an effect stands when `[envelope] amount_paths` does not say.
pub(crate) const AMOUNT_PATHS: [&str; 2] =
    ["args.document.amount_cents", "args.document.amount_minor"];

/// The settings of a canon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name of the canon.
    pub name: String,
    /// The domain that it governs.
    pub domain: String,
    /// How it is changed.
    pub change: ChangeRule,
    /// Expected loss of one effect in millionths of a dollar, by risk class.
    pub risk: BTreeMap<String, u64>,
    /// What time and risk are worth when plans are compared.
    pub optr: Optr,
    /// The risk class of each action that has one of its own.
    pub actions: BTreeMap<String, String>,
    /// The most that one run may touch and move.
    pub envelope: Envelope,
    /// What happens when two runs want the same resource.
    pub interference: Interference,
    /// The environments that it governs, and which of them are production; nothing means all, and
    /// that it does not say.
    pub environments: Option<Environments>,
    /// Who may end a run besides whoever began it.
    pub runs: RunRule,
    /// How long what is recorded of runs is kept.
    pub retention: Retention,
    /// The models that may be called, by name.
    pub models: BTreeMap<String, Model>,
    /// The hosts that may be reached, and how.
    pub hosts: Hosts,
    /// Where the roots of runs may stand.
    pub roots: RootRules,
    /// The programs that may be run, and what each may be lent.
    pub programs: BTreeMap<String, Program>,
    /// Where completions of sessions may come from.
    pub sources: BTreeMap<String, Sender>,
    /// How confidential data is; nothing when the canon declares no classes.
    pub data: Option<DataRules>,
}

/// What time and risk are worth when plans are compared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optr {
    /// The price of a second of waiting, in millionths of a dollar.
    pub latency_micros_per_second: u64,
    /// How much of the expected loss counts, in percent.
    pub risk_weight_percent: u64,
}

impl Default for Optr {
    fn default() -> Self {
        Self { latency_micros_per_second: 0, risk_weight_percent: 100 }
    }
}

/// The most that one run may touch and move, and what it may not do together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Envelope {
    /// Most distinct resources of one run; nothing means no limit.
    pub resources_max: Option<u64>,
    /// Most money of one run, in minor units; nothing means no limit.
    pub amount_max: Option<u64>,
    /// Sets of actions of which one run may not do all.
    pub forbidden: Vec<Vec<String>>,
    /// Where the amount of an effect stands in its context: the first path that is there.
    pub amount_paths: Vec<String>,
    /// What all runs of the domain may do together in one hour.
    pub per_hour: Option<Bounds>,
    /// In one day.
    pub per_day: Option<Bounds>,
    /// In one week.
    pub per_week: Option<Bounds>,
    /// In one month.
    pub per_month: Option<Bounds>,
}

/// The most that all runs of a domain may do together in one period. Nothing means no limit; one
/// at least is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Most effects.
    pub effects_max: Option<u64>,
    /// Most distinct resources that are written.
    pub resources_max: Option<u64>,
    /// Most money that is moved, in minor units.
    pub amount_max: Option<u64>,
    /// Most that it all may cost, in micros, spent or reserved.
    pub cost_micros_max: Option<u64>,
}

impl Envelope {
    /// What the types do not catch.
    fn check(&self) -> Result<(), Wrong> {
        if self.forbidden.iter().any(Vec::is_empty) {
            let hint = "each set names the actions that one run may not do together";
            return Err((
                "forbidden".into(),
                "a set of `envelope.forbidden` is empty".into(),
                hint.into(),
            ));
        }
        let is_unbounded = |(_, bounds): &(Period, &Bounds)| **bounds == Bounds::default();
        if let Some((period, _)) = self.periods().find(is_unbounded) {
            let key = format!("per_{period}");
            let what = format!("`envelope.{key}` bounds nothing");
            let hint = "give it effects_max, resources_max, amount_max or cost_micros_max, or leave it out";
            return Err((key, what, hint.into()));
        }
        Ok(())
    }

    /// The bounds of the domain, the shortest period first.
    pub fn periods(&self) -> impl Iterator<Item = (Period, &Bounds)> {
        Period::ALL.into_iter().filter_map(|period| Some((period, self.bounds(period)?)))
    }

    /// The bounds of the domain in a period.
    #[must_use]
    pub const fn bounds(&self, period: Period) -> Option<&Bounds> {
        match period {
            Period::Hour => self.per_hour.as_ref(),
            Period::Day => self.per_day.as_ref(),
            Period::Week => self.per_week.as_ref(),
            Period::Month => self.per_month.as_ref(),
        }
    }
}

impl Default for Envelope {
    fn default() -> Self {
        let amount_paths = AMOUNT_PATHS.map(str::to_owned).to_vec();
        Self {
            resources_max: None,
            amount_max: None,
            forbidden: Vec::new(),
            amount_paths,
            per_hour: None,
            per_day: None,
            per_week: None,
            per_month: None,
        }
    }
}

/// What happens when two runs want the same resource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Interference {
    /// Wait for the other run, or refuse.
    pub on_conflict: OnConflict,
}

/// What happens to the later of two conflicting effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum OnConflict {
    /// It waits until the lease of the earlier one ends.
    #[default]
    Wait,
    /// It is refused.
    Refuse,
}

/// A model that may be called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Who serves it: `cassette` (recorded) or `openai` (any server with that interface).
    pub provider: String,
    /// Where it is served, without a trailing slash.
    pub base_url: Option<String>,
    /// The name that the server knows it by; its name in canon if there is none.
    pub model: Option<String>,
    /// Whether whoever starts a run may have another server answer in its place.
    #[serde(default)]
    pub replaceable: Replaceable,
    /// The price of a million input tokens, in millionths of a dollar.
    #[serde(default)]
    pub input_micros_per_million: u64,
    /// The price of a million output tokens, in millionths of a dollar.
    #[serde(default)]
    pub output_micros_per_million: u64,
    /// The class of what it says, unless what it was asked is of a higher one.
    #[serde(default)]
    pub class: Option<String>,
    /// The highest class of data that it may be sent.
    #[serde(default)]
    pub class_max: Option<String>,
}

impl Model {
    /// Whether a recording answers, and no model.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.provider == "cassette"
    }
}

/// By which servers a model may be replaced for a run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Replaceable {
    /// By any, or by none.
    Any(bool),
    /// By those at these places: scheme, host and port.
    By(Vec<String>),
}

impl Default for Replaceable {
    fn default() -> Self {
        Self::Any(false)
    }
}

impl Replaceable {
    /// Whether the server at `url` may answer.
    #[must_use]
    pub fn admits(&self, url: &str) -> bool {
        let Some(place) = Place::of(url) else { return false };
        let is_it = |named: &String| {
            Place::of(named).is_some_and(|named| {
                (named.secure, &named.host, named.port) == (place.secure, &place.host, place.port)
            })
        };
        match self {
            Self::Any(any) => *any,
            Self::By(places) => places.iter().any(is_it),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    risk: String,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    domain: String,
    change: ChangeRule,
    #[serde(default)]
    risk: BTreeMap<String, u64>,
    #[serde(default)]
    optr: Optr,
    #[serde(default)]
    actions: BTreeMap<String, Action>,
    #[serde(default)]
    envelope: Envelope,
    #[serde(default)]
    interference: Interference,
    #[serde(default)]
    environments: Option<Environments>,
    #[serde(default)]
    runs: RunRule,
    #[serde(default)]
    retention: Retention,
    #[serde(default)]
    models: BTreeMap<String, Model>,
    #[serde(default)]
    roots: RootRules,
    #[serde(default)]
    hosts: Allowed<HostLine>,
    #[serde(default)]
    programs: Allowed<ProgramLine>,
    #[serde(default)]
    sources: BTreeMap<String, Sender>,
    #[serde(default)]
    data: Option<DataTable>,
}

impl Settings {
    /// Read `canon.toml`.
    pub(crate) fn parse(text: &str) -> Result<Self, CanonError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let byte = error.span().map_or(0, |span| span.start);
            CanonError::at_byte(SETTINGS, text, byte, plain(error.message()))
        })?;
        file.check().map_err(|(word, what, hint)| {
            let byte = text.find(&word).unwrap_or(0);
            CanonError::at_byte(SETTINGS, text, byte, what).hint(hint)
        })?;
        Ok(file.settle())
    }

    /// Whether effects in this environment are real ones, as the canon has it.
    #[must_use]
    pub fn is_production(&self, environment: &str) -> bool {
        self.environments.as_ref().is_some_and(|it| it.is_production(environment))
    }

    /// The risk class of an action: its own, or `high` when the canon gives none.
    #[must_use]
    pub fn risk_of(&self, action: &str) -> &str {
        self.actions.get(action).map_or(RISK_DEFAULT, String::as_str)
    }
}

/// What the reader of TOML says, without the words of its implementation language.
fn plain(message: &str) -> String {
    let words = [
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected u16", "expected a whole number from 0 to 65535"),
        ("expected a sequence", "expected a list"),
        ("expected a borrowed string", "expected a text"),
        ("expected a string", "expected a text"),
    ];
    words.iter().fold(message.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}

impl File {
    /// What the types do not catch: where, what, and the hint.
    fn check(&self) -> Result<(), Wrong> {
        let wrong =
            |word: &str, what: String, hint: &str| Err((word.to_owned(), what, hint.to_owned()));
        for (key, text) in [("name", &self.name), ("domain", &self.domain)] {
            if text.is_empty() {
                return wrong(key, format!("`{key}` is empty"), "give it a short name");
            }
        }
        if self.change.approvals == 0 {
            let hint = "nobody changes a canon alone: write 1 or more";
            return wrong("approvals", "`change.approvals` is 0".into(), hint);
        }
        if self.change.approvers.is_empty() {
            let hint = "name who may approve, such as [\"role:board\"]";
            return wrong("approvers", "`change.approvers` is empty".into(), hint);
        }
        if let Some(other) = self.change.approvers.iter().find(|group| !can_consent(group)) {
            let what = format!("`{other}` cannot approve a change");
            return wrong(other, what, "only people can: name a role:… or a user:…");
        }
        self.environments.as_ref().map_or(Ok(()), Environments::check)?;
        for (groups, right) in self.runs.entitled() {
            if let Some(other) = groups.iter().find(|group| !can_consent(group)) {
                let what = format!("`{other}` cannot be entitled to {right}");
                return wrong(other, what, "only people can: name a role:… or a user:…");
            }
        }
        let classes = self.actions.values().map(|action| &action.risk).chain(self.risk.keys());
        for class in classes {
            if !RISKS.contains(&class.as_str()) {
                let what = format!("`{class}` is not a risk class");
                return wrong(class, what, "use low, medium, high or critical");
            }
        }
        for (name, model) in &self.models {
            if !["cassette", "openai"].contains(&model.provider.as_str()) {
                let what = format!("model `{name}` has the unknown provider `{}`", model.provider);
                return wrong(&model.provider, what, "use cassette or openai");
            }
            if let Some(url) = &model.base_url
                && Place::of(url).is_none()
            {
                let what = format!("`{url}`, where model `{name}` is served, is no URL");
                return wrong(url, what, "write it in full, such as \"http://127.0.0.1:8080/v1\"");
            }
            if let Replaceable::By(places) = &model.replaceable
                && let Some(url) = places.iter().find(|url| Place::of(url).is_none())
            {
                let what = format!("`{url}`, which may stand in for model `{name}`, is no URL");
                return wrong(url, what, "write it in full, such as \"http://127.0.0.1:11434\"");
            }
            if model.model.as_deref() == Some("") {
                let what = format!("model `{name}` has an empty name at its server");
                return wrong(
                    "model",
                    what,
                    "write what the server calls it, or leave `model` out",
                );
            }
        }
        if let Some((name, within)) = self.roots.malformed() {
            let what = format!("`{within}` is no folder for the root `{name}`");
            let hint = "name folders such as \"out\", from the workflow file, or \"/srv/pay\"; \"/\" is every folder";
            return wrong(if within.is_empty() { name } else { within }, what, hint);
        }
        self.envelope.check()?;
        senders::check(&self.sources)?;
        data::check(self.data.as_ref(), &self.marks())
    }

    /// What hosts, models, programs and roots are marked with.
    fn marks(&self) -> Marks {
        let mut marks = Marks::new();
        let models = self.models.iter().map(|(name, model)| {
            let (class, class_max) = (model.class.clone(), model.class_max.clone());
            (("Model", name.clone()), Mark { class, class_max })
        });
        let roots = self.roots.classes().map(|(name, class)| {
            (("Root", name.clone()), Mark { class: Some(class.clone()), class_max: None })
        });
        let listed = self.hosts.marks("Host").chain(self.programs.marks("Program"));
        let sources = senders::marks(&self.sources);
        for (place, mark) in models.chain(roots).chain(listed).chain(sources) {
            marks.entry(place).or_default().or_stricter(mark, self.data.as_ref());
        }
        marks
    }

    fn settle(self) -> Settings {
        let marks = self.marks();
        Settings {
            name: self.name,
            domain: self.domain,
            change: self.change,
            risk: self.risk,
            optr: self.optr,
            actions: self.actions.into_iter().map(|(name, it)| (name, it.risk)).collect(),
            envelope: self.envelope,
            interference: self.interference,
            environments: self.environments,
            runs: self.runs,
            retention: self.retention,
            models: self.models,
            roots: self.roots,
            hosts: self.hosts.hosts(),
            programs: self.programs.programs(),
            sources: self.sources,
            data: self.data.map(|table| table.settle(marks)),
        }
    }
}

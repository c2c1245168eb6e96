//! The versions of workflows as a log tells them: of a workflow that has an active one, runs are
//! started from no other definition. What a schedule or an event starts is what was set for it, and
//! an open run stays on the definition that it began with.

use std::collections::BTreeMap;

use cog_base::json::Map;
use cog_base::suggest::hint;
use cog_base::{Digest, Timestamp, Value};
use cog_flow::{Flow, is_id};
use cog_ledger::{BodyDraft, Draft, Entry, Kind};
use cog_store::{Select, StoreError, TenantTx};

use crate::history::Record;

/// The environment of what is about all of them.
const ANY: &str = "any";

/// A version of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Of which domain.
    pub domain: String,
    /// Of which workflow.
    pub workflow: String,
    /// Which: 1, 2 and so on.
    pub number: u64,
    /// The digest of its definition.
    pub definition: Digest,
    /// The digests of those that its steps run.
    pub children: Option<Value>,
    /// How many recorded runs follow from it, differ, are of earlier versions, or cannot be told.
    pub tested: Value,
    /// Who activated it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// By which entry: its body has the definition.
    pub seq: u64,
}

/// What is kept of a version.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The workflow, with those that it runs.
    pub flow: Flow,
    /// The text that it was read from.
    pub source: String,
    /// The folder that its file stood in.
    pub base: String,
    /// Why it was activated although recorded runs differ.
    pub reason: Option<String>,
}

/// Why a name stands for no version that runs are started from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unnamed {
    /// No workflow of this name has one. These have: each as [`Versions::named`] takes it.
    #[error("no workflow of this name has an active version")]
    Unknown(Vec<String>),
    /// Workflows of several domains have one: these.
    #[error("several domains have a workflow of this name")]
    Several(Vec<String>),
}

impl Unnamed {
    /// What to say in place of the name; nothing where no workflow has an active version.
    #[must_use]
    pub fn hint(&self, name: &str) -> Option<String> {
        match self {
            Self::Unknown(all) => hint(name, all.iter().map(String::as_str)),
            Self::Several(all) => Some(format!("say which: {}", all.join(", "))),
        }
    }
}

/// The versions of the workflows of a tenant.
#[derive(Debug, Default)]
pub struct Versions {
    all: BTreeMap<(String, String), Vec<Version>>,
}

impl Version {
    /// What an entry says; nothing where it is about something else.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let is_one = entry.kind() == Kind::WorkflowActivated;
        Some(Self {
            domain: entry.domain().to_owned(),
            workflow: entry.text("workflow").filter(|_| is_one)?.to_owned(),
            number: entry.count("version")?,
            definition: entry.digest("definition")?,
            children: entry.data().get("children").cloned(),
            tested: entry.data().get("tested")?.clone(),
            by: entry.actor().to_owned(),
            at: entry.at(),
            seq: entry.seq(),
        })
    }

    /// Whether a workflow is this very version of it.
    #[must_use]
    pub fn is(&self, flow: &Flow) -> bool {
        self.definition == flow.digest && self.children == flow.children_digests()
    }

    /// The definition of a version, from the record that activated it.
    ///
    /// # Errors
    /// Why it is not there, in words.
    pub fn kept(&self, record: &Record) -> Result<Kept, String> {
        let body = record.body.as_ref().ok_or("its definition is not kept any more")?;
        let (source, flow) = definition(body)?;
        if !self.is(&flow) || flow.name != self.workflow || flow.domain != self.domain {
            return Err("what is kept of it is not what was activated".to_owned());
        }
        let text = |name: &str| body.get(name).and_then(Value::as_text).map(str::to_owned);
        Ok(Kept { flow, source, base: text("base").unwrap_or_default(), reason: text("reason") })
    }
}

/// The definition in the body of an entry that activates it.
///
/// # Errors
/// Why there is none, in words.
pub fn definition(body: &Value) -> Result<(String, Flow), String> {
    let source = body.get("source").and_then(Value::as_text).ok_or("its definition is not kept")?;
    let flow = cog_flow::parse(source, "the kept definition").map_err(|bad| bad.to_string())?;
    Ok((source.to_owned(), flow.with_recorded(body.get("children"))?))
}

/// The entry that has runs of a workflow be started from this definition: its text, the folder that
/// its file stands in, which version it is, what came of the recorded runs, and why it is activated if
/// they differ.
#[must_use]
pub fn activating(
    flow: &Flow,
    (source, base): (&str, &str),
    (number, tested): (u64, Value),
    (who, reason): (&str, Option<&str>),
) -> Draft {
    let data = [
        ("workflow", Value::from(flow.name.as_str())),
        ("definition", flow.digest.into()),
        ("version", number.into()),
        ("tested", tested),
    ];
    let children = flow.children_digests().map(|all| ("children", all));
    let data = data.into_iter().chain(children);
    let mut draft = Draft::new(Kind::WorkflowActivated, who, &flow.domain, ANY, data);
    let mut body =
        Map::from([("source".to_owned(), source.into()), ("base".to_owned(), base.into())]);
    body.extend(flow.children_record().map(|all| ("children".to_owned(), all)));
    body.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
    draft.body = Some(BodyDraft { subject: None, bytes: Value::Map(body).canonical() });
    draft
}

impl Versions {
    /// The kinds of entries that tell of versions.
    pub const KINDS: [Kind; 1] = [Kind::WorkflowActivated];

    /// What the log says.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn read(scope: &dyn TenantTx) -> Result<Self, StoreError> {
        let mut versions = Self::default();
        let select = Select { kinds: Self::KINDS.into(), ..Select::default() };
        scope.each(select, &mut |entry| versions.observe(entry))?;
        Ok(versions)
    }

    /// Take note of an entry. All of [`Versions::KINDS`] are fed, in order.
    pub fn observe(&mut self, entry: &Entry) {
        if let Some(version) = Version::of(entry) {
            let named = (version.domain.clone(), version.workflow.clone());
            self.all.entry(named).or_default().push(version);
        }
    }

    /// The versions of each workflow that has one, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &[Version]> {
        self.all.values().map(Vec::as_slice)
    }

    /// The version that runs of a workflow are started from; nothing where any may be.
    #[must_use]
    pub fn active(&self, domain: &str, workflow: &str) -> Option<&Version> {
        self.all.get(&(domain.to_owned(), workflow.to_owned()))?.last()
    }

    /// The versions of the workflow that somebody calls so, oldest first: by its name, or where several
    /// domains have one of that name as `DOMAIN/NAME`.
    ///
    /// # Errors
    /// [`Unnamed`] when that is none, or more than one.
    pub fn named(&self, name: &str) -> Result<&[Version], Unnamed> {
        if let Some((domain, workflow)) = name.split_once('/') {
            let all = self.all.get(&(domain.to_owned(), workflow.to_owned()));
            return all.map(Vec::as_slice).ok_or_else(|| Unnamed::Unknown(self.names()));
        }
        let of_name = self.all.iter().filter(|((_, workflow), _)| workflow == name);
        match of_name.collect::<Vec<_>>().as_slice() {
            [] => Err(Unnamed::Unknown(self.names())),
            [(_, all)] => Ok(all),
            several => {
                let whole = several.iter().map(|((domain, name), _)| format!("{domain}/{name}"));
                Err(Unnamed::Several(whole.collect()))
            }
        }
    }

    /// What the workflows that have an active version are called, so that each is one.
    fn names(&self) -> Vec<String> {
        let is_one =
            |name: &String| self.all.keys().filter(|(_, other)| other == name).count() == 1;
        let called = |(domain, name): &(String, String)| {
            if is_one(name) { name.clone() } else { format!("{domain}/{name}") }
        };
        self.all.keys().map(called).collect()
    }

    /// Whether a text could be what a workflow is called, and not only the name of a file.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let (domain, name) = text.split_once('/').unwrap_or((text, text));
        is_id(domain) && is_id(name)
    }

    /// The number of the version that comes next.
    #[must_use]
    pub fn next(&self, domain: &str, workflow: &str) -> u64 {
        self.active(domain, workflow).map_or(0, |version| version.number).saturating_add(1)
    }

    /// Why no run is started from this definition; nothing where it is the active version, or where
    /// the workflow has none.
    #[must_use]
    pub fn bars(&self, flow: &Flow) -> Option<String> {
        let active = self.active(&flow.domain, &flow.name).filter(|active| !active.is(flow))?;
        let (name, number, digest) = (&flow.name, active.number, active.definition.short());
        Some(format!(
            "this is not version {number} of `{name}`, which is the active one ({digest})"
        ))
    }
}

#[cfg(test)]
mod tests {
    use cog_base::Value;

    use super::*;

    /// Versions of these workflows, each in its domain.
    fn versions(all: &[(&str, &str)]) -> Versions {
        let mut versions = Versions::default();
        for (domain, workflow) in all {
            let of =
                versions.all.entry(((*domain).to_owned(), (*workflow).to_owned())).or_default();
            of.push(Version {
                domain: (*domain).to_owned(),
                workflow: (*workflow).to_owned(),
                number: of.len() as u64 + 1,
                definition: Digest::of(&[b"definition"]),
                children: None,
                tested: Value::Null,
                by: "user:operator".to_owned(),
                at: Timestamp::from_micros(0),
                seq: 0,
            });
        }
        versions
    }

    #[test]
    fn a_name_stands_for_one_workflow() {
        let all = versions(&[
            ("accounts", "invoice"),
            ("accounts", "letter"),
            ("accounts", "letter"),
            ("post", "letter"),
        ]);
        let none = versions(&[]);
        for (versions, name, expected) in [
            (&all, "invoice", "accounts 1"),
            (&all, "accounts/invoice", "accounts 1"),
            (&all, "accounts/letter", "accounts 2"),
            (&all, "post/letter", "post 1"),
            (
                &all,
                "letter",
                "several domains have a workflow of this name, say which: accounts/letter, post/letter",
            ),
            (
                &all,
                "invioce",
                "no workflow of this name has an active version, did you mean `invoice`?",
            ),
            (
                &all,
                "post/invoice",
                "no workflow of this name has an active version, did you mean `invoice`?",
            ),
            (
                &all,
                "x",
                "no workflow of this name has an active version, known here: `invoice`, `accounts/letter`, `post/letter`",
            ),
            (&none, "x", "no workflow of this name has an active version"),
        ] {
            let said = match versions.named(name) {
                Ok(all) => all.last().map(|it| format!("{} {}", it.domain, it.number)).unwrap(),
                Err(why) => {
                    let hint = why.hint(name).map(|hint| format!(", {hint}"));
                    format!("{why}{}", hint.unwrap_or_default())
                }
            };
            assert_eq!(said, expected, "{name}");
        }
    }
}

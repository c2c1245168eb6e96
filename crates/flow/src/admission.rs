//! How the runs of a workflow are let in: in which order, how many at once, how many in a time.

use cog_base::json::Json;
use cog_base::json::Map;
use cog_base::{Digest, Value};
use cog_schedule::{Ask, Concurrency, Rate, WhenFull};

use crate::definition::Flow;
use crate::template::Template;

/// What keys of limits are made in.
const CONTEXT: &str = "cognitionos/admission/v1";

/// What a workflow file says of how its runs are let in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Which of those that wait goes first: from 0, the last, to 9.
    pub priority: u8,
    /// How many may be open at once.
    pub concurrency: Option<ConcurrencyLimit>,
    /// How many may begin in a time.
    pub rate: Option<RateLimit>,
}

/// What the runs are of that a limit counts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitScope {
    /// One workflow, in its domain.
    #[default]
    Workflow,
    /// All workflows of a domain that say so.
    Domain,
    /// All workflows of the tenant that say so.
    Tenant,
}

impl LimitScope {
    const ALL: [Self; 3] = [Self::Workflow, Self::Domain, Self::Tenant];
    pub(crate) const WORDS: [&'static str; 3] = ["workflow", "domain", "tenant"];

    /// What a word says.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Domain => "domain",
            Self::Tenant => "tenant",
        }
    }
}

/// How many runs of a key may be open at once.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    /// Whose runs count together.
    pub scope: LimitScope,
    /// What is limited on its own; all runs of the scope together where there is none.
    pub key: Option<Template>,
    /// How many.
    pub limit: u32,
    /// What happens to one more.
    pub when_full: WhenFull,
}

/// How many runs of a key may begin in a time.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// Whose runs count together.
    pub scope: LimitScope,
    /// As that of a [`ConcurrencyLimit`].
    pub key: Option<Template>,
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub per_seconds: u64,
}

impl Default for Admission {
    fn default() -> Self {
        Self { priority: cog_schedule::PRIORITY, concurrency: None, rate: None }
    }
}

impl Admission {
    /// Whether runs may have to wait for others of the workflow.
    pub(crate) const fn is_limited(&self) -> bool {
        self.concurrency.is_some() || self.rate.is_some()
    }
}

impl Flow {
    /// What a run with these inputs is held to before it may begin.
    ///
    /// # Errors
    /// Why a key of the file comes to nothing that can be one.
    pub fn ask(&self, inputs: &Map) -> Result<Ask, String> {
        let Admission { priority, concurrency, rate } = &self.admission;
        let key = |what, key| self.limit_key(what, key, inputs);
        let concurrency = concurrency.as_ref().map(|it| {
            let key = key(("concurrency", it.scope), it.key.as_ref())?;
            Ok::<_, String>(Concurrency { key, limit: it.limit, when_full: it.when_full })
        });
        let rate = rate.as_ref().map(|it| {
            let key = key(("rate", it.scope), it.key.as_ref())?;
            Ok::<_, String>(Rate { key, count: it.count, per_seconds: it.per_seconds })
        });
        let (concurrency, rate) = (concurrency.transpose()?, rate.transpose()?);
        Ok(Ask { priority: *priority, not_before: None, concurrency, rate })
    }

    /// The key of a limit. It names the workflow and its domain, unless those of others count as
    /// well.
    fn limit_key(
        &self,
        (what, scope): (&str, LimitScope),
        key: Option<&Template>,
        inputs: &Map,
    ) -> Result<Digest, String> {
        let not = |why: &str| format!("the key of `{what}` {why}");
        let text = match key.map(|key| self.of_inputs(key, inputs)) {
            None => Value::Null,
            Some(Ok(Json::Text(text))) if text.is_empty() => return Err(not("is empty")),
            Some(Ok(Json::Text(text))) => text.into(),
            Some(Ok(Json::Int(number))) => number.get().to_string().into(),
            Some(Ok(Json::Bool(flag))) => flag.to_string().into(),
            Some(Ok(other)) => {
                return Err(not(&format!("is {}, and must be text", other.kind())));
            }
            Some(Err(error)) => return Err(not(&format!("cannot be told: {error}"))),
        };
        let domain = ("domain", Value::from(self.domain.as_str()));
        let workflow = ("workflow", Value::from(self.name.as_str()));
        let whose = match scope {
            LimitScope::Workflow => vec![domain, workflow],
            LimitScope::Domain => vec![domain],
            LimitScope::Tenant => Vec::new(),
        };
        let whole = whose.into_iter().chain([("limit", what.into()), ("key", text)]);
        let whole = Value::map(whole);
        Ok(Digest::in_context(CONTEXT, &whole.canonical()))
    }
}

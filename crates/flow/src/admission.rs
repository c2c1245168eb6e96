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

/// How many runs of a key may be open at once.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    /// What is limited on its own; all runs of the workflow together where there is none.
    pub key: Option<Template>,
    /// How many.
    pub limit: u32,
    /// What happens to one more.
    pub when_full: WhenFull,
}

/// How many runs of a key may begin in a time.
#[derive(Clone, Debug)]
pub struct RateLimit {
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
            let key = key("concurrency", it.key.as_ref())?;
            Ok::<_, String>(Concurrency { key, limit: it.limit, when_full: it.when_full })
        });
        let rate = rate.as_ref().map(|it| {
            let key = key("rate", it.key.as_ref())?;
            Ok::<_, String>(Rate { key, count: it.count, per_seconds: it.per_seconds })
        });
        let (concurrency, rate) = (concurrency.transpose()?, rate.transpose()?);
        Ok(Ask { priority: *priority, not_before: None, concurrency, rate })
    }

    /// The key of a limit, for this workflow in its domain alone.
    fn limit_key(
        &self,
        what: &str,
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
        let whole = Value::map([
            ("domain", Value::from(self.domain.as_str())),
            ("workflow", self.name.as_str().into()),
            ("limit", what.into()),
            ("key", text),
        ]);
        Ok(Digest::in_context(CONTEXT, &whole.canonical()))
    }
}

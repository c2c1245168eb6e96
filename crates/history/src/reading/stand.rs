//! How steps stand.

use cog_base::Value;
use cog_base::json::Map;

use crate::property::Property;

/// From where on something may begin, and which property says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release {
    /// The place of the entry behind which it may begin.
    pub(super) at: usize,
    pub(super) by: Property,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Waiting,
    Running,
    Completed,
    Refused,
    Failed,
    Skipped,
}

impl How {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// How a step stands at the end of what the ledger says.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) how: How,
    /// From where on it could begin; nothing if it never could.
    pub(super) begun: Option<usize>,
    /// Where it was over, handlers and all.
    pub(super) over: Option<usize>,
    /// Nothing where it cannot be told.
    pub(super) output: Option<Value>,
    pub(super) error: Option<Value>,
    /// The fall that nothing handled.
    pub(super) fall: Option<Fall>,
    pub(super) pending: Vec<Pending>,
    /// How it stands in the runs that go on from another and in which it begins anew, by their
    /// index.
    pub(super) later: Vec<(usize, Stand)>,
}

/// A step that was to begin or to end, and of which no entry says so.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) path: String,
}

/// A refusal or a failure.
#[derive(Clone, Debug)]
pub(super) struct Fall {
    pub(super) at: usize,
    pub(super) refused: bool,
    pub(super) error: Option<Value>,
    /// The innermost step it came from.
    pub(super) step: String,
    /// It fell by itself, and it is not known where it began.
    pub(super) vague: bool,
}

/// The time of steps inside another.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) ms: u64,
    /// The place from which it counts, where that is none at which these steps were released.
    pub(super) since: Option<usize>,
    /// The fall when it was over.
    pub(super) fall: Fall,
}

/// What the body of a step came to, before its handlers have their say.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    Completed(usize, Option<Value>),
    Skipped(usize),
    /// It fell; the output says how the steps inside did.
    Fell(Fall, Option<Value>),
    /// It is not over.
    Open(Vec<Pending>),
    /// Nobody can tell, but that it was not over before this place.
    Unknown(usize),
}

impl Stand {
    pub(super) fn new(how: How, begun: Option<usize>, over: Option<usize>) -> Self {
        let (output, error) = (Some(Value::Null), Some(Value::Null));
        Self { how, begun, over, output, error, fall: None, pending: Vec::new(), later: Vec::new() }
    }

    /// Of which nobody can tell what it came to, and when.
    pub(super) fn unknown(begun: Option<usize>, at: usize) -> Self {
        Self { output: None, error: None, ..Self::new(How::Running, begun, Some(at)) }
    }

    pub(super) const fn is_unknown(&self) -> bool {
        self.output.is_none() && self.error.is_none()
    }

    /// How it stands in one of the runs.
    pub(super) fn in_life(&self, life: usize) -> &Self {
        let later = self.later.iter().rev().find(|(from, _)| *from <= life);
        later.map_or(self, |(_, stand)| stand)
    }

    /// `{status, output, error}`; nothing where a part cannot be told.
    pub(super) fn facts(&self) -> Option<Value> {
        Some(Value::map([
            ("status", Value::from(self.how.word())),
            ("output", self.output.clone()?),
            ("error", self.error.clone()?),
        ]))
    }
}

impl Fall {
    pub(super) fn failed(at: usize, step: &str, error: Option<Value>) -> Self {
        Self { at, refused: false, error, step: step.to_owned(), vague: false }
    }

    pub(super) fn refused(at: usize, step: &str, error: Option<Value>) -> Self {
        Self { at, refused: true, error, step: step.to_owned(), vague: false }
    }

    /// Whether people said no: no other plan is a way round them.
    pub(super) fn is_by_people(&self) -> bool {
        let code = self.error.as_ref().and_then(|error| error.get("code")?.as_text());
        self.refused && matches!(code, Some("approval.rejected" | "approval_rejected"))
    }

    /// The error with the step it came from.
    pub(super) fn located(&self) -> Option<Value> {
        let error = self.error.as_ref()?;
        let mut members = match error.as_map() {
            Some(members) => members.clone(),
            None => Map::from([("error".to_owned(), error.clone())]),
        };
        if !members.contains_key("step") {
            members.insert("step".to_owned(), self.step.as_str().into());
        }
        Some(Value::Map(members))
    }
}

//! What a workflow file says, once it is known to be sound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::json::Map;
use cog_base::{Digest, Value};
use cog_schedule::Schedule;

use crate::admission::Admission;
use crate::diagnostic::Position;
use crate::effect::Operation;
use crate::family::Child;
use crate::form::Form;
use crate::limits::MAX_BACKOFF_MS;
use crate::on_event::OnEvent;
use crate::template::Template;

/// A workflow that parsed and passed every check.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The name.
    pub name: String,
    /// The governed domain whose canon binds the run.
    pub domain: String,
    /// The environment, such as `production`; `development` when the file does not say.
    pub environment: String,
    /// What the file says it is for.
    pub description: Option<String>,
    /// The inputs by name.
    pub inputs: BTreeMap<String, InputSpec>,
    /// Whose personal data a run holds, if the file says so ([`Flow::subject_of`]).
    pub subject: Option<Template>,
    /// The folders the run may touch.
    pub roots: Vec<RootSpec>,
    /// The bounds of the whole run.
    pub budget: Budget,
    /// How its runs are let in.
    pub admission: Admission,
    /// What its runs are found by, as the file says it ([`Flow::labels_of`]).
    pub labels: BTreeMap<String, Template>,
    /// When it is started, once somebody sets these.
    pub schedules: Vec<Scheduled>,
    /// The events that start it, once somebody sets these.
    pub events: Vec<OnEvent>,
    /// The steps of the outermost level.
    pub steps: Arc<Block>,
    /// How a run that does not complete is undone.
    pub undo: Undo,
    /// What the run answers with, by name.
    pub outputs: BTreeMap<String, Template>,
    /// The names of the signals that its steps wait for.
    pub signals: BTreeSet<String>,
    /// Where its steps run other workflows.
    pub runs: Vec<RunSite>,
    /// Those workflows, by the names that the steps have for them; empty until they are read
    /// ([`Flow::with_children`]).
    pub children: BTreeMap<String, Arc<Child>>,
    /// Whether its expressions read when the run began: its runs then say so.
    pub tells_start: bool,
    /// Digest of the definition in the context `cognitionos/flow/v1`: the same for YAML
    /// and JSON of the same content, whatever the order of keys and the comments.
    pub digest: Digest,
    /// The name of the file, for messages.
    pub file: String,
    pub(crate) definition: Value,
}

impl Flow {
    /// The definition as canonical JSON has it: the file without comments and layout.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.definition.clone()
    }

    /// Whether a run of it may end by beginning the next one.
    #[must_use]
    pub fn continues(&self) -> bool {
        self.steps.steps.iter().any(|step| matches!(step.body, Body::Continue(_)))
    }
}

/// A schedule of a workflow, and what each run that it starts is given.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// When.
    pub schedule: Schedule,
    /// Its inputs, of the types that the workflow has for them.
    pub inputs: Map,
}

/// How a run that does not complete is undone: the `on_cancel` of each step that completed,
/// the last first, then the steps here. This is the saga of Garcia-Molina and Salem (1987).
#[derive(Clone, Debug, Default)]
pub struct Undo {
    /// The steps that come last.
    pub steps: Option<Arc<Block>>,
    /// Whether a run that failed is undone, and not only one that was cancelled.
    pub on_failed: bool,
    /// Whether a run that was refused is undone.
    pub on_refused: bool,
}

/// An input that the starter of a run may or must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// The kind of its value.
    pub kind: InputKind,
    /// The value when none is given.
    pub default: Option<Value>,
    /// Whether it must be given; an input without a default must.
    pub required: bool,
    /// The only values it may have; empty for any.
    pub allowed: Vec<Value>,
    /// What it is for.
    pub description: Option<String>,
    /// The class of data that it is of at least.
    pub label: Option<Label>,
}

/// A class of data that the file names. It can only raise what the canon says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The class, whose place among the others the canon knows.
    pub class: String,
    /// The byte of the file at which it stands: see [`Position::of`](crate::Position::of).
    pub at: usize,
}

/// The kinds of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// Text, taken as it is given.
    String,
    /// A whole number of 53 bits.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A JSON array.
    List,
    /// A JSON object.
    Object,
}

impl InputKind {
    pub(crate) const WORDS: [&'static str; 5] = ["string", "integer", "boolean", "list", "object"];

    /// The kind with this name.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "string" => Some(Self::String),
            "integer" => Some(Self::Integer),
            "boolean" => Some(Self::Boolean),
            "list" => Some(Self::List),
            "object" => Some(Self::Object),
            _ => None,
        }
    }

    /// The name of the kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Object => "object",
        }
    }
}

/// A folder of the run, before inputs are known.
#[derive(Clone, Debug)]
pub struct RootSpec {
    /// The name that effects use.
    pub name: String,
    /// The folder, relative to where the run starts.
    pub path: Template,
    /// What may be done below it.
    pub access: Access,
    /// Whether it is made when it does not exist.
    pub create: bool,
}

/// A folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundRoot {
    /// The name that effects use.
    pub name: String,
    /// The folder, as the file and the inputs say it; not resolved, not checked.
    pub path: String,
    /// What may be done below it.
    pub access: Access,
    /// Whether it is made when it does not exist.
    pub create: bool,
}

/// What may be done below a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading, writing and deleting.
    Write,
}

impl Access {
    /// The word for it: `read` or `write`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// The bounds of a run; `None` leaves it to the canon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Most cost, in millionths of a US dollar.
    pub cost_micros: Option<u64>,
    /// Most effects.
    pub effects: Option<u64>,
    /// Longest time from start to end, in minutes.
    pub minutes: Option<u64>,
}

/// Steps that are in sight of each other.
#[derive(Debug, Default)]
pub struct Block {
    /// The steps, in the order of the file.
    pub steps: Vec<Arc<Step>>,
    /// For each step the positions of the steps that need it.
    pub(crate) dependents: Vec<Vec<usize>>,
    /// The position of each id.
    pub(crate) index: BTreeMap<String, usize>,
}

impl Block {
    /// The first step in it that says whose data it holds.
    pub(crate) fn names_subject(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match (&step.subject, &step.body) {
            (Some(_), _) => Some(step.id.as_str()),
            (None, Body::Group(block)) => block.names_subject(),
            (None, Body::Choose(choose)) => {
                choose.plans.iter().find_map(|plan| plan.block.names_subject())
            }
            (
                None,
                Body::Effect(_)
                | Body::Compute(_)
                | Body::Approve(_)
                | Body::Sleep(_)
                | Body::WaitFor(_)
                | Body::Checkpoint(_)
                | Body::Run(_)
                | Body::Continue(_),
            ) => None,
        })
    }

    /// Whether what its steps come to is kept until the end of the run.
    pub(crate) fn keeps(&self) -> bool {
        self.steps.iter().any(|step| step.keeps)
    }
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// The id, unique in its block.
    pub id: String,
    /// What people see instead of the id.
    pub name: Option<String>,
    /// The ids of the steps that must be done before.
    pub needs: Vec<String>,
    /// Whether it runs at all.
    pub condition: Option<Template>,
    /// The items it runs for.
    pub foreach: Option<Foreach>,
    /// How often its steps run, where that is not once.
    pub repeat: Option<Repeat>,
    /// Who acts, as `kind:name`; without it the run's initiator.
    pub actor: Option<String>,
    /// What it does.
    pub body: Body,
    /// The longest that the steps inside may take together, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// What a refusal means.
    pub on_refused: Handler,
    /// What a failure means.
    pub on_error: Handler,
    /// The steps that undo it.
    pub on_cancel: Option<Arc<Block>>,
    /// Whether it, or a step inside it, has an `on_cancel`: what these see is kept until the
    /// end of the run.
    pub(crate) keeps: bool,
    /// Whose personal data its outputs hold.
    pub subject: Option<Template>,
    /// The class of data that it handles, and gives, at least.
    pub label: Option<Label>,
}

/// A step for each item of a list.
#[derive(Debug)]
pub struct Foreach {
    /// The list.
    pub items: Template,
    /// How many items run at once.
    pub max_parallel: u32,
}

/// The steps of a group in rounds, one after the other.
#[derive(Debug)]
pub struct Repeat {
    /// Whether the round that is over was the last one: sees what its steps came to.
    pub until: Template,
    /// The most rounds there are. When it does not hold after these, the group fails.
    pub most: u32,
    /// Milliseconds from the end of a round to the next; nothing for none.
    pub every_ms: Option<Template>,
}

/// What a step does.
#[derive(Debug)]
pub enum Body {
    /// One effect.
    Effect(EffectCall),
    /// Nothing but the evaluated members: they are the output.
    Compute(BTreeMap<String, Template>),
    /// Steps within.
    Group(Arc<Block>),
    /// The best of several plans.
    Choose(Choose),
    /// The consent of people.
    Approve(Approve),
    /// Waiting.
    Sleep(Sleep),
    /// A signal from outside.
    WaitFor(WaitFor),
    /// The place has this name from then on, in the ledger.
    Checkpoint(String),
    /// Another run.
    Run(ChildCall),
    /// The next run of the same definition, with these inputs, in place of this one.
    Continue(BTreeMap<String, Template>),
}

/// One effect and how it is tried.
#[derive(Debug)]
pub struct EffectCall {
    /// Which effect.
    pub operation: Operation,
    /// Its arguments.
    pub with: BTreeMap<String, Template>,
    /// How often it is tried under its one receipt.
    pub retry: Retry,
    /// How it is performed.
    pub terms: Terms,
}

/// On what terms an effect is performed; times are in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The longest one attempt may take.
    pub timeout_ms: Option<u64>,
    /// The longest that a worker in another process may be silent about an attempt.
    pub heartbeat_ms: Option<u64>,
    /// The longest that an attempt may wait for a worker to begin it.
    pub start_within_ms: Option<u64>,
    /// Whether what it gives is recorded while it is under way.
    pub stream: bool,
}

/// How often an effect is tried; the engine does the waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first among them: 1 to 10.
    pub attempts: u32,
    /// Milliseconds before the second attempt.
    pub backoff_ms: u64,
    /// By how much each wait is longer than the one before.
    pub factor: u32,
    /// The longest wait in milliseconds.
    pub backoff_ms_max: u64,
    /// By up to how many hundredths a wait is shorter, so that many that failed together do
    /// not come back together: 0 to 100.
    pub jitter_percent: u32,
    /// Whether transient failures are tried again.
    pub on_transient: bool,
    /// Whether timeouts are tried again.
    pub on_timeout: bool,
    /// Whether any other failure is tried again.
    pub on_any: bool,
    /// Codes of failures that are never tried again, whatever the others say.
    pub never_on: Vec<String>,
}

impl Retry {
    /// One attempt.
    pub const NEVER: Self = Self {
        attempts: 1,
        backoff_ms: 0,
        factor: 1,
        backoff_ms_max: MAX_BACKOFF_MS,
        jitter_percent: 0,
        on_transient: false,
        on_timeout: false,
        on_any: false,
        never_on: Vec::new(),
    };
}

/// Candidate plans for one goal.
#[derive(Debug)]
pub struct Choose {
    /// What is to be reached, for people.
    pub goal: Template,
    /// Most cost in millionths of a US dollar, for the chosen plan.
    pub cost_micros: Option<Template>,
    /// Longest time in milliseconds, for the chosen plan.
    pub deadline_ms: Option<Template>,
    /// The plans, in the order of the file.
    pub plans: Vec<Arc<Plan>>,
}

/// One candidate.
#[derive(Debug)]
pub struct Plan {
    /// The id, unique among the plans of the step.
    pub id: String,
    /// Expected cost in millionths of a US dollar.
    pub cost_micros: Template,
    /// Expected time in milliseconds.
    pub latency_ms: Template,
    /// Expected risk.
    pub risk: Risk,
    /// What it would do: effects only.
    pub block: Arc<Block>,
}

/// How risky a plan is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// Easily undone.
    Low,
    /// Undone with effort.
    Medium,
    /// Hard to undo.
    High,
    /// Not to be undone.
    Critical,
}

impl Risk {
    pub(crate) const WORDS: [&'static str; 4] = ["low", "medium", "high", "critical"];

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// A question to people.
#[derive(Debug)]
pub struct Approve {
    /// Who may answer: `role:name` or `user:name`.
    pub by: Vec<String>,
    /// The byte of the file at which each of them stands, in the same order:
    /// [`Position::of`](crate::Position::of) says which line that is.
    pub by_at: Vec<usize>,
    /// The byte at which it stands how many must agree, or who, where that is not said.
    pub count_at: usize,
    /// How many of them must agree.
    pub count: u32,
    /// What they are asked.
    pub message: Template,
    /// Milliseconds until no answer counts as a refusal.
    pub expires_ms: u64,
    /// Who else may answer, once that took too long.
    pub escalate: Option<Escalate>,
    /// What those who say yes fill in.
    pub form: Form,
}

/// Who else may answer a question that took too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalate {
    /// After how many milliseconds.
    pub after_ms: u64,
    /// Who: `role:name` or `user:name`.
    pub to: Vec<String>,
    /// The byte of the file at which each of them stands.
    pub to_at: Vec<usize>,
}

/// How long a step waits.
#[derive(Debug)]
pub enum Sleep {
    /// So many milliseconds.
    For(Template),
    /// Until a time, as RFC 3339 writes it.
    Until(Template),
}

/// The wait for a signal.
#[derive(Debug)]
pub struct WaitFor {
    /// The name of the signal.
    pub signal: String,
    /// Members of the payload and what they must be; others do not matter.
    pub matching: BTreeMap<String, Template>,
    /// Milliseconds until the step fails without one; nothing for as long as it takes.
    pub timeout_ms: Option<Template>,
}

/// Another run, begun by this one.
#[derive(Debug)]
pub struct ChildCall {
    /// The workflow file, as a path from the folder of the file that names it.
    pub workflow: String,
    /// Its inputs.
    pub inputs: BTreeMap<String, Template>,
    /// Whether the step is over when that run is, and not when it begins.
    pub wait: bool,
    /// Whether that run goes on when this one is cancelled.
    pub outlives: bool,
}

/// Where a file names another.
#[derive(Clone, Debug)]
pub struct RunSite {
    /// The name.
    pub workflow: String,
    /// Where it stands.
    pub place: Place,
    /// Where each input is given, and its value where that is the same in every run.
    pub inputs: BTreeMap<String, (Place, Option<Value>)>,
}

/// A place in a file, as a message shows it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Line and column.
    pub at: Position,
    /// The text of the line, cut to 160 characters.
    pub line: String,
}

/// What a refusal or a failure of a step means.
#[derive(Debug)]
pub enum Handler {
    /// The steps around end in the same way.
    Fail,
    /// The others go on as if it were done.
    Continue,
    /// These steps run; if they complete, the others go on.
    Steps(Arc<Block>),
}

//! A run in memory: the flow's state, what it waits for, and the tally of its entries.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::json::Map;
use cog_base::{Digest, Sources, Timestamp, Value};
use cog_flow::{Action, Event, Flow, Form, Retry, StepError, StepPath, Terms};
use cog_gate::decision::{Escalation, Need};
use cog_gate::{Actor, AnyEffect, Consent, Effect, Found, Intent, Origin, Performed};
use cog_ledger::session::Tally;

use crate::again::{Kept, Next, Wish, WishState};
use crate::children::{Child, ChildState, Parent, Placed};
use crate::choose::Choice;
use crate::notice::Intervention;
use crate::signals::Sent;
use crate::start::BUDGET_TIMER;
use crate::steps::read;

/// A run in memory.
pub(crate) struct Active {
    pub(crate) origin: Origin,
    pub(crate) flow: Arc<Flow>,
    pub(crate) run: cog_flow::Run,
    /// The folder of its workflow file.
    pub(crate) base: String,
    /// When it began, by its first entry.
    pub(crate) began: Option<Timestamp>,
    /// Who began it, if a run did.
    pub(crate) parent: Option<Parent>,
    /// Effects that the flow wants and that are not settled yet.
    pub(crate) wanted: BTreeMap<StepPath, Wanted>,
    /// Open receipts and the steps they serve.
    pub(crate) open: BTreeMap<ReceiptId, StepPath>,
    /// How many bytes of what their effects give are on record.
    pub(crate) given: BTreeMap<ReceiptId, u64>,
    /// Steps that only ask people.
    pub(crate) asks: BTreeMap<StepPath, Question>,
    /// Choices that the flow wants made and that are not in the ledger yet.
    pub(crate) choices: BTreeMap<StepPath, Choice>,
    /// Open receipts of an earlier life, whose adapters are being asked.
    pub(crate) probes: BTreeMap<ReceiptId, (StepPath, Intent)>,
    /// Places that the flow wants named, and that have no name in the ledger yet.
    pub(crate) marks: BTreeMap<StepPath, String>,
    /// Steps that sleep.
    pub(crate) sleeping: BTreeSet<StepPath>,
    /// Steps whose steps inside have so much time and no more.
    pub(crate) bounded: BTreeSet<StepPath>,
    /// Steps that wait for a signal, with its name.
    pub(crate) listening: BTreeMap<StepPath, String>,
    /// The runs that steps begin and wait for.
    pub(crate) children: BTreeMap<StepPath, Child>,
    /// The open runs that it began and does not wait for, and whether they go on when it is
    /// cancelled.
    pub(crate) detached: BTreeMap<RunId, bool>,
    /// The signals that the run took, by their ids.
    pub(crate) signals: BTreeMap<String, Sent>,
    /// The step by which it wants to continue as new.
    pub(crate) wish: Option<Wish>,
    /// What the run that continues it takes over.
    pub(crate) kept: Kept,
    /// Drafts on their way into the ledger.
    pub(crate) appends: u64,
    /// Answers on their way into the ledger: until they are there, outcomes queue up, so
    /// that the flow takes both in the order of the log.
    pub(crate) answers: BTreeMap<(ApprovalId, Actor), Result<Map, String>>,
    /// Requests for which somebody else is about to be let answer: no answer is judged meanwhile.
    pub(crate) handing: BTreeSet<ApprovalId>,
    pub(crate) queued: Vec<Later>,
    /// Failed attempts that are followed by another when their timer is due.
    pub(crate) delayed: BTreeMap<ReceiptId, Performed<AnyEffect>>,
    /// What people said no to in this run, by who wanted it and what it was: no plan brings it
    /// before them again.
    pub(crate) rejected: BTreeMap<(Actor, Digest), String>,
    /// How the flow ended, once it has.
    pub(crate) end: Option<Ending>,
    pub(crate) sealing: bool,
    pub(crate) parked: bool,
    /// Somebody holds it.
    pub(crate) paused: Option<Intervention>,
    /// The run above that was held, and this one with it.
    pub(crate) held_with: Option<RunId>,
    /// Somebody has ended it.
    pub(crate) cancelled: Option<Intervention>,
    pub(crate) tally: Tally,
}

/// An effect the flow wants.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) uses: String,
    pub(crate) actor: Option<String>,
    pub(crate) with: Map,
    pub(crate) retry: Retry,
    pub(crate) terms: Terms,
    pub(crate) subject: Option<String>,
    /// What the arguments came from.
    pub(crate) sources: Sources,
    /// The class that its open receipt takes for what comes of it.
    pub(crate) lowers: Option<String>,
    pub(crate) state: State,
    /// The flow has cancelled it: what is under way is waited for, and nothing new begins.
    pub(crate) withdrawn: bool,
}

/// What waits until the answers on their way are in the ledger.
pub(crate) enum Later {
    Performed(Box<Performed<AnyEffect>>),
    Probed(ReceiptId, Found),
    Due(String),
    Cancel(Actor, String),
    Signal(Box<Sent>),
    Hold(bool, Actor, String),
    Answer(ApprovalId, Actor, Result<Map, String>),
    Delegate(ApprovalId, Actor, Actor, Option<String>),
    Placed(RunId, Result<Placed, String>),
    Ended(RunId, Box<Ending>),
}

/// Something noted that is to be done.
pub(crate) enum Todo {
    /// Put a wanted effect to the gate.
    Effect(StepPath),
    /// Select a plan.
    Choice(StepPath),
    /// Ask people, for so many milliseconds.
    Question(StepPath, u64),
    /// Name the place.
    Mark(StepPath),
    /// Wait so many milliseconds.
    Timer(StepPath, u64),
    /// Wait until a time.
    Until(StepPath, Timestamp),
    /// Stop the steps inside when so many milliseconds are over.
    Bound(StepPath, u64),
    /// Wait for a signal, for so many milliseconds or for as long as it takes.
    Listen(StepPath, Option<u64>),
    /// Begin a run.
    Child(StepPath),
    /// Make no further attempt, and end the run that was begun.
    Withdraw(StepPath),
    /// Say that a step failed by itself.
    Fell(StepPath, StepError),
}

/// How far a wanted effect has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// To be asked.
    New,
    /// Waits for a lease to end.
    Leased,
    /// Waits for people.
    Approval(ApprovalId),
    /// Has an open receipt.
    Open,
}

/// A step that only asks people.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) need: Need,
    pub(crate) message: String,
    pub(crate) expires_ms: u64,
    /// What those who say yes fill in, and what each of them did.
    pub(crate) form: Form,
    pub(crate) forms: BTreeMap<String, Map>,
    /// Whose personal data the message holds.
    pub(crate) subject: Option<String>,
    /// What the message came from.
    pub(crate) sources: Sources,
    /// The request, once it is made.
    pub(crate) approval: Option<ApprovalId>,
}

impl Question {
    /// What the flow asks, which nobody was asked yet.
    fn of(ask: Action) -> Option<(StepPath, Self)> {
        let Action::Ask { step, by, count, message, expires_ms, escalate, form, subject, sources } =
            ask
        else {
            return None;
        };
        let escalate = escalate.map(|(after_ms, of)| Escalation { after_ms, of });
        let need = Need { count: count.into(), of: by, escalate };
        let (approval, forms) = (None, BTreeMap::new());
        let question = Self { need, message, expires_ms, form, forms, subject, sources, approval };
        Some((step, question))
    }

    /// What people are asked, as what they answer is bound to it.
    pub(crate) fn consent(&self, step: &StepPath) -> Consent {
        let form = (!self.form.is_empty()).then(|| self.form.to_value());
        let (need, message) = (self.need.clone(), self.message.clone());
        Consent { step: step.to_string(), message, need, form, expires_ms: self.expires_ms }
    }

    /// The request is made: what was filled in for one before it is nothing for this one.
    pub(crate) fn asked(&mut self, approval: ApprovalId) {
        if self.approval != Some(approval) {
            self.forms.clear();
        }
        self.approval = Some(approval);
    }
}

/// What a run waits for that somebody outside has to bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The requests for approval.
    pub approvals: Vec<ApprovalId>,
    /// The steps that wait for signals, with the names of those.
    pub signals: Vec<(String, String)>,
    /// The runs that it began.
    pub children: Vec<RunId>,
    /// Who holds it.
    pub paused: Option<Intervention>,
}

/// The class of what a run gave, as the body of its seal says.
pub(crate) fn class_in(body: &Value) -> Option<String> {
    body.get("class").and_then(Value::as_text).map(str::to_owned)
}

/// How a flow ended.
#[derive(Clone)]
pub(crate) struct Ending {
    pub(crate) status: String,
    pub(crate) output: Value,
    pub(crate) error: Option<Value>,
    /// What output and error came from.
    pub(crate) sources: Sources,
    /// The class of that, once it is sealed under a canon that has classes.
    pub(crate) class: Option<String>,
    /// The run that continues it.
    pub(crate) next: Option<Next>,
}

impl Ending {
    /// As the body of a seal has it: `{class, output, error}`.
    pub(crate) fn to_value(&self) -> Value {
        let mut body = Map::from([("output".into(), self.output.clone())]);
        if let Some(error) = &self.error {
            body.insert("error".into(), error.clone());
        }
        body.extend(self.class.as_deref().map(|class| ("class".into(), class.into())));
        Value::Map(body)
    }

    pub(crate) fn read(status: &str, body: &Value) -> Self {
        let output = body.get("output").cloned().unwrap_or(Value::Null);
        let (error, class) = (body.get("error").cloned(), class_in(body));
        let (sources, next) = (Sources::default(), None);
        Self { status: status.to_owned(), output, error, sources, class, next }
    }
}

impl Active {
    pub(crate) fn new(origin: Origin, flow: Arc<Flow>, run: cog_flow::Run) -> Self {
        Self {
            origin,
            flow,
            run,
            base: String::new(),
            began: None,
            parent: None,
            children: BTreeMap::new(),
            detached: BTreeMap::new(),
            wanted: BTreeMap::new(),
            open: BTreeMap::new(),
            given: BTreeMap::new(),
            asks: BTreeMap::new(),
            choices: BTreeMap::new(),
            probes: BTreeMap::new(),
            marks: BTreeMap::new(),
            sleeping: BTreeSet::new(),
            bounded: BTreeSet::new(),
            listening: BTreeMap::new(),
            signals: BTreeMap::new(),
            wish: None,
            kept: Kept::default(),
            appends: 0,
            answers: BTreeMap::new(),
            handing: BTreeSet::new(),
            queued: Vec::new(),
            delayed: BTreeMap::new(),
            rejected: BTreeMap::new(),
            end: None,
            sealing: false,
            parked: false,
            paused: None,
            held_with: None,
            cancelled: None,
            tally: Tally::default(),
        }
    }

    /// The run of another origin that goes on from here: what this one wanted, waited for and was
    /// told is not its own. It knows the signals that came, and so takes none of them again.
    pub(crate) fn renew(&mut self, origin: Origin) {
        self.origin = origin;
        self.began = None;
        self.wanted.clear();
        self.open.clear();
        self.asks.clear();
        self.choices.clear();
        self.marks.clear();
        self.sleeping.clear();
        self.bounded.clear();
        self.listening.clear();
        self.children.clear();
        self.detached.clear();
        self.rejected.clear();
        self.parent = None;
        self.wish = None;
        self.kept.count = 0;
        self.paused = None;
        self.held_with = None;
        self.tally = Tally::default();
    }

    /// Note what the flow wants, without doing any of it. Cancelling what has not begun is
    /// answered here; the rest comes back in the order in which it is to be done. A run that
    /// goes on and a run that is rebuilt note the same.
    pub(crate) fn take(&mut self, actions: Vec<Action>) -> Vec<Todo> {
        let mut queue = VecDeque::from(actions);
        let mut todos = Vec::new();
        while let Some(action) = queue.pop_front() {
            if let Action::Cancel { step } = &action {
                let event = self.give_up(step);
                if let Some(wanted) = self.wanted.get_mut(step) {
                    wanted.withdrawn = true;
                    todos.push(Todo::Withdraw(step.clone()));
                }
                if let Some(child) = self.children.get_mut(step) {
                    child.withdrawn = true;
                    todos.push(Todo::Withdraw(step.clone()));
                }
                let actions = event.map(|event| self.run.apply(event).unwrap_or_default());
                queue.extend(actions.unwrap_or_default());
            } else {
                todos.extend(self.note(action));
            }
        }
        todos
    }

    fn note(&mut self, action: Action) -> Option<Todo> {
        match action {
            Action::Perform { step, uses, actor, with, retry, terms, subject, sources } => {
                let state = State::New;
                let wanted = Wanted {
                    uses,
                    actor,
                    with,
                    retry,
                    terms,
                    subject,
                    sources,
                    lowers: None,
                    state,
                    withdrawn: false,
                };
                self.wanted.insert(step.clone(), wanted);
                Some(Todo::Effect(step))
            }
            Action::Choose { step, goal, constraints, plans, attempt, subject } => {
                let place = step.clone();
                let choice = Choice { step, goal, constraints, plans, attempt, subject };
                self.choices.insert(place.clone(), choice);
                Some(Todo::Choice(place))
            }
            ask @ Action::Ask { .. } => {
                let (step, question) = Question::of(ask)?;
                let ms = question.expires_ms;
                self.asks.insert(step.clone(), question);
                Some(Todo::Question(step, ms))
            }
            Action::Mark { step, name } => {
                self.marks.insert(step.clone(), name);
                Some(Todo::Mark(step))
            }
            Action::Arm { timer, ms } => self.sleeps(timer, |timer| Todo::Timer(timer, ms)),
            Action::ArmUntil { timer, at } => self.sleeps(timer, |timer| Todo::Until(timer, at)),
            Action::Bound { step, ms } => {
                self.bounded.insert(step.clone());
                Some(Todo::Bound(step, ms))
            }
            Action::Unbound { step } => {
                self.bounded.remove(&step);
                None
            }
            Action::Listen { step, signal, timeout_ms } => {
                self.listening.insert(step.clone(), signal);
                Some(Todo::Listen(step, timeout_ms))
            }
            Action::StartRun { step, workflow, inputs, sources, wait, outlives, subject } => {
                let (state, withdrawn) = (ChildState::New, false);
                let child =
                    Child { workflow, inputs, sources, wait, outlives, subject, state, withdrawn };
                self.children.insert(step.clone(), child);
                Some(Todo::Child(step))
            }
            // It is seen to when nothing else of the run is left.
            Action::Continue { step, inputs, sources } => {
                self.wish = Some(Wish { step, inputs, sources, state: WishState::New });
                None
            }
            Action::Cancel { .. } => None,
            Action::Fell { step, error } => Some(Todo::Fell(step, error)),
            Action::Finish { status, output, error, sources } => {
                let (status, class) = (status.as_str().to_owned(), None);
                self.end = Some(Ending { status, output, error, sources, class, next: None });
                None
            }
        }
    }

    fn sleeps(&mut self, timer: StepPath, todo: impl FnOnce(StepPath) -> Todo) -> Option<Todo> {
        self.sleeping.insert(timer.clone());
        Some(todo(timer))
    }

    /// Everything noted that was not done yet.
    pub(crate) fn undone(&self) -> Vec<Todo> {
        let new = self.wanted.iter().filter(|(_, wanted)| wanted.state == State::New);
        let effects = new.map(|(step, _)| Todo::Effect(step.clone()));
        let choices = self.choices.keys().map(|step| Todo::Choice(step.clone()));
        let marks = self.marks.keys().map(|step| Todo::Mark(step.clone()));
        let unasked = self.asks.iter().filter(|(_, ask)| ask.approval.is_none());
        let questions = unasked.map(|(step, ask)| Todo::Question(step.clone(), ask.expires_ms));
        let unborn = self.children.iter().filter(|(_, child)| child.state == ChildState::New);
        let children = unborn.map(|(step, _)| Todo::Child(step.clone()));
        effects.chain(choices).chain(marks).chain(questions).chain(children).collect()
    }

    /// Whether the minutes of its budget are over, and it is not being ended for that or for
    /// anything else.
    pub(crate) fn is_out_of_time(&self, now: Timestamp) -> bool {
        let bound = self.began.zip(self.flow.budget.minutes);
        let over = |(began, minutes): (Timestamp, u64)| {
            began.plus_ms(minutes.saturating_mul(60_000)) <= now
        };
        bound.is_some_and(over) && self.end.is_none() && !self.run.is_ending()
    }

    /// What the flow hears when a timer is due; nothing when nobody waits for it any more.
    pub(crate) fn due(&mut self, name: &str) -> Option<Event> {
        if self.end.is_some() {
            return None;
        }
        if name == BUDGET_TIMER {
            let reason = "the time of its budget is over".to_owned();
            return Some(Event::OverBudget { reason });
        }
        let timer = name.parse::<StepPath>().ok()?;
        let asked = self.asks.remove(&timer).is_some();
        let listened = self.listening.remove(&timer).is_some();
        let is_own = self.sleeping.remove(&timer) || self.bounded.remove(&timer);
        (is_own || asked || listened).then_some(Event::Due { timer })
    }

    /// Give up a wanted effect that has no receipt yet. Says whether there was one: the flow
    /// then wants to hear of it.
    pub(crate) fn give_up(&mut self, step: &StepPath) -> Option<Event> {
        self.asks.remove(step);
        self.marks.remove(step);
        self.sleeping.remove(step);
        self.listening.remove(step);
        self.choices.remove(step);
        match self.children.get(step) {
            // It is ended, and its end is waited for.
            Some(child) if matches!(child.state, ChildState::Begun(_)) && !child.outlives => {
                return None;
            }
            Some(_) => drop(self.children.remove(step)),
            None if self.wish.as_ref().is_some_and(|wish| wish.step == *step) => self.wish = None,
            None => {
                self.wanted.get(step).filter(|wanted| wanted.state != State::Open)?;
                self.wanted.remove(step);
            }
        }
        let error = StepError {
            code: "cancelled".to_owned(),
            message: "it was given up before it began".to_owned(),
            transient: false,
        };
        Some(Event::Failed { step: step.clone(), error })
    }

    /// What comes of an effect is over to the flow: it is of the class that its receipt takes it
    /// for.
    pub(crate) fn came_of(&mut self, step: &StepPath, event: &Event) {
        let lowers = self.wanted.remove(step).and_then(|wanted| wanted.lowers);
        if let (Some(class), Event::Completed { .. }) = (lowers, event) {
            self.run.lower(step, &class);
        }
    }

    /// Somebody said no to the effect that a step wants.
    pub(crate) fn reject(&mut self, step: &StepPath, by: &str, reason: &str) {
        let wanted = self.wanted.get(step).and_then(|wanted| read(self, wanted).ok());
        if let Some((actor, effect)) = wanted {
            let reason = format!("{by} said no to the same in this run: {reason}");
            self.rejected.insert((actor, effect.digest()), reason);
        }
    }

    /// The receipt of a step was abandoned: it is to be asked anew, unless the flow has
    /// cancelled it. The flow then wants to hear of it.
    pub(crate) fn abandoned(&mut self, step: &StepPath) -> Option<Event> {
        let wanted = self.wanted.get_mut(step)?;
        wanted.state = State::New;
        if wanted.withdrawn { self.give_up(step) } else { None }
    }

    /// Whether something is under way that will bring a further input.
    pub(crate) fn is_busy(&self) -> bool {
        self.appends > 0
            || !self.open.is_empty()
            || !self.probes.is_empty()
            || !self.sleeping.is_empty()
            || self.is_turning()
            || self.children.values().any(|it| matches!(it.state, ChildState::Placing(_)))
            || self.wanted.values().any(|wanted| wanted.state == State::Leased)
    }

    /// Whether somebody has ended it.
    pub(crate) fn is_being_ended(&self) -> bool {
        self.cancelled.is_some()
    }

    /// What it waits for, when nothing but somebody outside can bring it on.
    pub(crate) fn waits(&self) -> Option<Waits> {
        if self.is_busy() {
            return None;
        }
        let approvals = self.waits_for();
        let signals = self.signals_awaited();
        let paused = self.paused.clone().filter(|_| self.is_paused());
        let children: Vec<_> = self.begun().collect();
        let someone = !approvals.is_empty() || !signals.is_empty() || !children.is_empty();
        let waits = someone || paused.is_some();
        waits.then_some(Waits { approvals, signals, children, paused })
    }

    /// The steps that wait for a signal, each with its name.
    pub(crate) fn signals_awaited(&self) -> Vec<(String, String)> {
        self.listening.iter().map(|(step, name)| (step.to_string(), name.clone())).collect()
    }

    /// The steps that wait for people.
    pub(crate) fn asked(&self) -> BTreeSet<StepPath> {
        let is_asked = |wanted: &Wanted| matches!(wanted.state, State::Approval(_));
        let effects = self.wanted.iter().filter(|(_, wanted)| is_asked(wanted));
        let asks = self.asks.iter().filter(|(_, ask)| ask.approval.is_some());
        effects.map(|(step, _)| step.clone()).chain(asks.map(|(step, _)| step.clone())).collect()
    }

    /// The requests it waits for.
    pub(crate) fn waits_for(&self) -> Vec<ApprovalId> {
        let effects = self.wanted.values().filter_map(|wanted| match wanted.state {
            State::Approval(id) => Some(id),
            State::New | State::Leased | State::Open => None,
        });
        effects.chain(self.asks.values().filter_map(|ask| ask.approval)).collect()
    }
}

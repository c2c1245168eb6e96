//! A run that goes on from a place of another.
//!
//! Its history up to there is the other's by reference: what was over stays as it was recorded,
//! what was not begins anew, under the canon of today and with the inputs it was given. Receipts
//! and refusals of the other run are history and give no right to anything; nor do the consents
//! that people gave there: whoever was asked is asked again ([`cog_flow::Run::begin_again`]). What
//! it did counts in the account ([`Carried`]), but for the money it spent, and is
//! not this run's to undo.

use std::collections::BTreeMap;

use cog_base::entropy::NoEntropy;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_base::{Micros, Timestamp, Value};
use cog_flow::{Flow, KeptConsent, SearchLabels, StepPath, StepStatus, UNDONE};
use cog_gate::snapshot::{Access, Folder};
use cog_gate::{Actor, Carried, Limits, Origin};
use cog_ledger::{Entry, Kind};

use crate::admission::Asking;
use crate::carried::of_record;
use crate::engine::{Await, Engine, Output, Turn};
use crate::history::{History, Mismatch, Record, no_body, origin, places, roots, unexpected};
use crate::notice::What;
use crate::replay::{as_far, follow};
use crate::start::{
    BUDGET_TIMER, Begun, Classes, facts, folders, inputs_digest, labels_in, started, started_in,
    subject_in,
};

/// Where a run goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The run whose history it takes over.
    pub session: RunId,
    /// The last entry of that history.
    pub seq: u64,
    /// The step, or the checkpoint, by which the place was named.
    pub step: Option<String>,
}

impl Fork {
    /// Where the run that an entry starts goes on from; nothing when it begins by itself.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let fork = entry.data().get("fork").filter(|_| entry.kind() == Kind::SessionStarted)?;
        let text = |name: &str| fork.get(name).and_then(Value::as_text);
        Some(Self {
            session: text("session")?.parse().ok()?,
            seq: fork.get("seq")?.as_u64()?,
            step: text("step").map(str::to_owned),
        })
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut fork = Map::from([
            ("session".to_owned(), Value::from(self.session)),
            ("seq".to_owned(), self.seq.into()),
        ]);
        if let Some(step) = &self.step {
            fork.insert("step".to_owned(), step.as_str().into());
        }
        Value::Map(fork)
    }
}

/// A run to start from a place of another.
#[derive(Debug, Clone)]
pub struct Forking {
    /// Its id.
    pub run: RunId,
    /// Where it goes on from.
    pub fork: Fork,
    /// The history it takes over.
    pub past: Past,
    /// The entries of the other runs of the tree of the one it goes on from: what they did by then
    /// counts in its account.
    pub kin: Vec<Vec<Record>>,
    /// What begins anew sees these inputs.
    pub inputs: Map,
    /// Its roots and what it may do there.
    pub roots: BTreeMap<String, Access>,
    /// Where the roots stand on this machine.
    pub places: BTreeMap<String, String>,
    /// The folder of the workflow file.
    pub base: String,
    /// Who starts it.
    pub initiator: Actor,
}

/// The entries of a run behind those of the runs that it was forked from, each up to where it
/// was. `read` gives the entries of a run up to one, that one included.
///
/// # Errors
/// Those of `read`.
pub fn gather<E>(
    run: RunId,
    until: u64,
    mut read: impl FnMut(RunId, u64) -> Result<Vec<Record>, E>,
) -> Result<Vec<Record>, E> {
    let mut parts = vec![read(run, until)?];
    // The entries named grow ever older, so that this comes to an end.
    while let Some(first) = parts.last().and_then(|part| part.first())
        && let Some(fork) = Fork::of(&first.entry).filter(|fork| fork.seq < first.entry.seq())
    {
        parts.push(read(fork.session, fork.seq)?);
    }
    parts.reverse();
    Ok(parts.concat())
}

/// What a run takes over of others: their records up to the place that it goes on from. Only
/// [`Past::take`] makes one, so that nothing goes on from where nobody looked whether it can.
#[derive(Debug, Clone)]
pub struct Past(Vec<Record>);

impl Past {
    /// Take over these records, as [`gather`] gives them; with them comes the run as it stood there.
    /// Not where a consent would be taken over that cannot be asked for again, and not where a step
    /// that is over there was undone since, when its run came to its end. `end` is a run as far as it
    /// went, if one is at hand; of each other one `whole` gives all records behind those before it.
    /// Of one that cannot be followed to its end it is not known.
    ///
    /// # Errors
    /// Those of `whole`. Inside, [`NoPlace`].
    pub fn take<E>(
        records: Vec<Record>,
        end: Option<&History>,
        mut whole: impl FnMut(RunId) -> Result<Vec<Record>, E>,
    ) -> Result<Result<(Self, History), NoPlace>, E> {
        let there = match as_far(&records) {
            Ok((there, None)) => there,
            Ok((_, Some(why))) | Err(why) => return Ok(Err(NoPlace::Broken(why))),
        };
        if let Err(none) = there.is_free() {
            return Ok(Err(none));
        }
        let starts = records.iter().filter(|it| it.entry.kind() == Kind::SessionStarted);
        for run in starts.filter_map(|it| it.entry.session()) {
            let undone = match end.filter(|end| end.id() == run) {
                Some(end) => end.undone_of(&there),
                None => as_far(&whole(run)?).ok().and_then(|(end, _)| end.undone_of(&there)),
            };
            if let Some(none) = undone {
                return Ok(Err(none));
            }
        }
        Ok(Ok((Self(records), there)))
    }

    /// The records.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.0
    }
}

/// The entries of the run itself, without those of the runs it was forked from.
#[must_use]
pub fn own(records: &[Record]) -> &[Record] {
    let begins = records.iter().rposition(|it| it.entry.kind() == Kind::SessionStarted);
    records.get(begins.unwrap_or(0)..).unwrap_or_default()
}

/// Why nothing can go on from a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// The step has not begun, and never will where it was skipped.
    #[error("the step `{0}` has not begun")]
    NotBegun(String),
    /// It stands in a `foreach` or a `repeat`, and so there are several.
    #[error(
        "the step `{step}` stands inside a foreach or a repeat; name the item or the round, as in \
         `{example}`"
    )]
    Several {
        /// The step.
        step: String,
        /// One of those it could be.
        example: String,
    },
    /// There is no such step, and no such checkpoint.
    #[error("there is no step and no checkpoint `{0}`")]
    Unknown(String),
    /// The run was being ended there.
    #[error("the run was being ended when `{0}` began")]
    Ending(String),
    /// Consent was given, or would have been asked for, inside a step that is over there.
    #[error("{}", kept_consent(.0))]
    Consent(KeptConsent),
    /// A step that is over there was undone since.
    #[error("`{step}` is over there and was undone when its run ended; it can go on from `{from}`")]
    Undone {
        /// The step.
        step: String,
        /// The first of those that were undone: from there it is done anew with the others.
        from: String,
    },
    /// The run cannot be followed so far.
    #[error("{0}")]
    Broken(Mismatch),
}

impl NoPlace {
    /// The step from which the run can go on instead.
    #[must_use]
    pub fn instead(&self) -> Option<&str> {
        match self {
            Self::Consent(kept) => Some(kept.around.as_str()),
            Self::Undone { from, .. } => Some(from),
            Self::NotBegun(_)
            | Self::Several { .. }
            | Self::Unknown(_)
            | Self::Ending(_)
            | Self::Broken(_) => None,
        }
    }
}

/// The place of a run that `from` names: a step, from before which a run goes on.
///
/// # Errors
/// [`NoPlace`] when there is none.
pub fn place(records: &[Record], history: &History, from: &str) -> Result<Fork, NoPlace> {
    let found = history.begun().find(|(path, _)| path.as_str() == from);
    let found = found.map(|(_, seq)| seq).or_else(|| history.round(from));
    let seq = found.ok_or_else(|| history.no_place(from))?;
    if from.split('.').any(|level| level == "on_cancel") {
        return Err(NoPlace::Ending(from.to_owned()));
    }
    let record = records.iter().find(|record| record.entry.seq() == seq);
    let session = record.and_then(|record| record.entry.session());
    let session = session.ok_or_else(|| NoPlace::Unknown(from.to_owned()))?;
    Ok(Fork { session, seq, step: Some(from.to_owned()) })
}

fn kept_consent(KeptConsent { asked, around }: &KeptConsent) -> String {
    format!(
        "people are asked at `{asked}`, `{around}` is over there, and no run takes over the \
         consent of people; it can go on from `{around}`"
    )
}

/// What the run is found by from which another goes on, by its records behind those before it.
fn labels_before(past: &[Record]) -> SearchLabels {
    let is_start = |record: &&Record| record.entry.kind() == Kind::SessionStarted;
    let start = past.iter().rfind(is_start);
    start.map(|start| labels_in(start.entry.data())).unwrap_or_default()
}

/// Whether an entry ends its run, whatever the steps are about.
fn is_end(entry: &Entry) -> bool {
    let timer = entry.text("source") == Some("timer") && entry.text("note") == Some(BUDGET_TIMER);
    let outside = timer || entry.text("source") == Some("cancel");
    entry.kind() == Kind::SessionSealed || (entry.kind() == Kind::Evidence && outside)
}

/// A path without the items of each `foreach` and the rounds of each `repeat`.
fn without_items(path: &str) -> String {
    let levels = path.split('.').map(|level| level.split('[').next().unwrap_or_default());
    levels.collect::<Vec<_>>().join(".")
}

/// What begins from somewhere on sees: inputs, and what stands under `run`.
pub(crate) type Seen = (Map, Map);

/// What a fork sees, from its first entry.
pub(crate) fn seen(record: &Record) -> Result<Seen, Mismatch> {
    let entry = &record.entry;
    let body = record.body.as_ref().ok_or(no_body(entry))?;
    let inputs = body.get("inputs").and_then(Value::as_map);
    let inputs = inputs.filter(|it| entry.digest("inputs") == Some(inputs_digest(it)));
    let inputs = inputs.ok_or_else(|| unexpected(entry, "the digest of its inputs is another"))?;
    let who = entry.text("initiator").and_then(|who| who.parse::<Actor>().ok());
    let (Some(run), Some(who)) = (entry.session(), who) else {
        return Err(unexpected(entry, "who started it is not said"));
    };
    Ok((inputs.clone(), facts(run, &who, started_in(body), subject_in(body))))
}

impl History {
    /// What begins because of `place`, or later, sees this. A run goes on from no place at which it
    /// was over.
    pub(crate) fn see(
        &mut self,
        (inputs, facts): Seen,
        place: &Entry,
        by: &Entry,
    ) -> Result<(), Mismatch> {
        if self.is_over() || is_end(place) {
            return Err(unexpected(by, "the run was over there, or was being ended"));
        }
        self.active.run.see(inputs, facts);
        Ok(())
    }

    /// The first entry of the run that goes on from here.
    pub(crate) fn forked(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let (last, before) = (self.last, self.active.origin.session);
        let fork = Fork::of(entry).filter(|fork| (fork.session, fork.seq) == (before, last));
        if fork.is_none() {
            let message = format!("it goes on from another place than entry {last} of {before}");
            return Err(unexpected(entry, &message));
        }
        if entry.digest("definition") != Some(self.definition) {
            return Err(unexpected(entry, "it follows another definition than the run before it"));
        }
        if let Some(kept) = self.active.run.kept_consent() {
            return Err(unexpected(entry, &kept_consent(&kept)));
        }
        self.carried = of_record(record)?;
        let body = record.body.as_ref().ok_or(no_body(entry))?;
        let origin = origin(entry, &self.active.flow.name)
            .ok_or_else(|| unexpected(entry, "who started it is not said"))?;
        self.active.base = body.get("base").and_then(Value::as_text).unwrap_or_default().to_owned();
        (self.roots, self.places) = (roots(entry.data()), places(body));
        self.active.kept.places.clone_from(&self.places);
        self.active.kept.labels = labels_in(entry.data());
        self.continues = None;
        self.subjects.extend(subject_in(body).map(str::to_owned));
        (self.now, self.last) = (entry.at(), entry.seq());
        self.active.run.at(entry.seq());
        let actions = self.renew(origin);
        self.active.began = Some(entry.at());
        self.active.tally.add(entry);
        self.take(actions);
        Ok(())
    }

    /// Leave to the run before what is its own: receipts, accounts, what it waited for.
    fn renew(&mut self, origin: Origin) -> Vec<cog_flow::Action> {
        self.active.renew(origin);
        self.armed.clear();
        self.charged.clear();
        self.intents.clear();
        self.selection = None;
        self.fell.clear();
        let actions = self.active.run.begin_again();
        if !self.active.run.is_ending() {
            self.active.end = None;
        }
        actions
    }

    /// The steps that have begun, each with the entry because of which it did: a run that is
    /// forked from a step goes on behind that one. In the order of the file.
    pub fn begun(&self) -> impl Iterator<Item = (&StepPath, u64)> {
        let begun = self.active.run.steps().filter_map(|step| Some((step.path, step.began?)));
        begun.map(|(path, moment)| (path, self.entry_of(moment)))
    }

    /// The entry of a moment. The first has no number yet when its steps begin.
    const fn entry_of(&self, moment: u64) -> u64 {
        if moment == 0 { self.first } else { moment }
    }

    /// Whether a run can go on from where this one stands: not where a consent would be taken over
    /// that cannot be asked for again.
    ///
    /// # Errors
    /// [`NoPlace::Consent`] names the step to go on from instead.
    pub fn is_free(&self) -> Result<(), NoPlace> {
        self.active.run.kept_consent().map_or(Ok(()), |kept| Err(NoPlace::Consent(kept)))
    }

    /// What this run undid, of what was over when it stood as `there`.
    fn undone_of(&self, there: &Self) -> Option<NoPlace> {
        let over = there.active.run.steps().filter(|it| it.status == StepStatus::Completed);
        // What begins because of the place itself begins anew.
        let over = over.filter(|it| it.began.is_some_and(|it| there.entry_of(it) < there.last));
        let over: Vec<&StepPath> = over.map(|it| it.path).collect();
        let is_kept =
            |undone: &StepPath| over.iter().any(|path| *path == undone || path.is_within(undone));
        let undone = self.active.run.steps().filter(|it| it.note == Some(UNDONE));
        let mut kept = undone.filter(|it| is_kept(it.path)).peekable();
        let step = kept.peek()?.path.to_string();
        let from = kept.min_by_key(|it| it.began)?.path.to_string();
        Some(NoPlace::Undone { step, from })
    }

    /// Because of which entry a round of a `repeat` began, which is no step of its own.
    fn round(&self, from: &str) -> Option<u64> {
        let inside = |path: &str| path.strip_prefix(from).is_some_and(|rest| rest.starts_with('.'));
        let steps = self.begun().filter(|(path, _)| from.ends_with(']') && inside(path.as_str()));
        steps.map(|(_, seq)| seq).min()
    }

    fn no_place(&self, from: &str) -> NoPlace {
        let step = from.to_owned();
        if self.active.run.steps().any(|it| it.path.as_str() == from) {
            return NoPlace::NotBegun(step);
        }
        let mut paths = self.begun().map(|(path, _)| path.as_str());
        match paths.find(|path| without_items(path) == from) {
            Some(path) => NoPlace::Several { step, example: path.to_owned() },
            None => NoPlace::Unknown(step),
        }
    }

    /// Whether the run is over, or is being ended: nothing goes on from there.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.active.run.is_ending() || self.active.cancelled.is_some()
    }

    /// The inputs that its steps see.
    #[must_use]
    pub fn inputs(&self) -> &Value {
        self.active.run.inputs()
    }
}

impl Engine {
    /// Start a run from a place of another.
    pub(crate) fn fork(&mut self, forking: Forking, turn: &mut Turn) -> Result<(), NoEntropy> {
        let began = self.ledger_now();
        let (mut history, carried) = match self.going_on(&forking, began) {
            Ok(both) => both,
            Err(message) => {
                turn.tell(forking.run, What::NotBegun { message });
                return Ok(());
            }
        };
        let labels = labels_before(forking.past.records());
        let Forking { run, fork, inputs, roots, places, base, initiator, .. } = forking;
        let origin = Origin { session: run, initiator, ..history.active.origin.clone() };
        if let Some(message) = self.barred(&origin) {
            turn.tell(run, What::NotBegun { message });
            return Ok(());
        }
        let flow = history.flow();
        let labels = flow.labelled_anew(&inputs, labels);
        let (ask, labels) = match flow.ask(&inputs).and_then(|ask| Ok((ask, labels?))) {
            Ok(both) => both,
            Err(message) => {
                turn.tell(run, What::Stopped { message });
                return Ok(());
            }
        };
        let (asks, given) = (&flow, &inputs);
        let asking = Asking {
            origin: &origin,
            ask,
            flow: asks,
            inputs: given,
            labels: &labels,
            start: None,
        };
        if !self.ask_in(&asking, turn)? {
            return Ok(());
        }
        let (_, canon) = self.canon_for(&origin.domain);
        let begun = Begun {
            flow: &flow,
            source: None,
            inputs,
            labels: &labels,
            trigger: None,
            keyed: None,
            classes: &Classes::new(),
            subject: history.active.run.subject_of(),
            began: flow.tells_start.then_some(began),
            roots: &roots,
            places: &places,
            parent: None,
            continues: None,
            fork: Some((&fork, &carried)),
        };
        let draft = started(begun, &base, &origin, canon);
        turn.append(origin.tenant, run, draft, Await::Started);
        let limits = limits(&flow, roots, folders(&places, &base));
        self.gate.open_session(origin.tenant, run, limits);
        self.gate.carry(run, carried);
        let actions = history.renew(origin);
        history.active.stand(base, places, labels);
        self.runs.insert(run, history.active);
        if let Some((timer, ms)) = self.budget_timer(run, 0) {
            turn.output(Output::Arm { timer, ms });
        }
        self.act(run, actions, turn)
    }

    /// The run as it stood at the place, and what was done by then; why nothing goes on from there.
    fn going_on(&self, forking: &Forking, began: Timestamp) -> Result<(History, Carried), String> {
        let Forking { run, fork, past, kin, inputs, initiator, .. } = forking;
        // Of a flow that does not read it nothing says when the run began.
        let past = past.records();
        let first = past.first().and_then(|first| first.body.as_ref());
        let began = first.and_then(started_in).map(|_| began);
        let seen = (inputs.clone(), facts(*run, initiator, began, None));
        let (history, why) = follow(past, Some(seen), None).map_err(|why| why.to_string())?;
        if let Some(why) = why {
            return Err(why.to_string());
        }
        if (history.id(), history.last) != (fork.session, fork.seq) {
            return Err("its history is not that one".to_owned());
        }
        history.is_free().map_err(|none| none.to_string())?;
        let carried = self.carried(fork, past, kin).map_err(|why| why.to_string())?;
        Ok((history, carried))
    }
}

/// What a run of a flow may use.
fn limits(
    flow: &Flow,
    roots: BTreeMap<String, Access>,
    folders: BTreeMap<String, Folder>,
) -> Limits {
    let cost = flow.budget.cost_micros.map(Micros::new);
    Limits { cost, effects: flow.budget.effects, roots, folders }
}

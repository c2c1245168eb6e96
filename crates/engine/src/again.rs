//! Runs that end by beginning the next one of the same definition: a chain of runs, for what has
//! no end.
//!
//! The run is sealed first; its seal names the next one and the inputs that it is handed. The
//! first entry of that one stands behind the seal, in the same append: a crash leaves both or
//! neither.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::entropy::NoEntropy;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_base::{Digest, Sources, Timestamp, Value};
use cog_flow::{Action, BoundRoot, Event, SearchLabels, StepPath};
use cog_gate::Origin;
use cog_ledger::{Entry, Kind};
use cog_schedule::Ask;
use cog_store::{StoreError, TenantTx};

use crate::active::{Active, Later};
use crate::children::{Place, Placed};
use crate::engine::{Await, Engine, Output, Turn};
use crate::history::{Claim, History, Mismatch, unexpected};
use crate::signals::Sent;
use crate::start::{
    Beginning, Classes, Handed, Start, accesses, classes_in, classes_value, inputs_digest,
};

/// The member of a seal that says which run that is.
const MEMBER: &str = "continued";
/// The member of a first entry that says which run it goes on from.
const OF: &str = "continues";

/// Why a chain of runs does not go on that would spin.
const SPINS: &str = "nothing took place in this run that the next one could wait for: no effect or \
                     run that completed, no signal, no answer of people, no wait of a second";

/// The run that a run continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continues {
    /// The run.
    pub run: RunId,
    /// How often the chain went on by now, this time among them.
    pub count: u64,
}

impl Continues {
    /// What the first entry of a run says; nothing where the run began by itself.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let of = entry.data().get(OF).filter(|_| entry.kind() == Kind::SessionStarted)?;
        let run = of.get("session")?.as_text()?.parse().ok()?;
        Some(Self { run, count: of.get("count")?.as_u64()? })
    }

    pub(crate) fn member(self) -> (String, Value) {
        let Self { run, count } = self;
        (OF.to_owned(), Value::map([("session", Value::from(run)), ("count", count.into())]))
    }
}

/// The run that continues one, as the seal of that one says.
#[must_use]
pub fn next_of(seal: &Entry) -> Option<RunId> {
    let next = seal.data().get(MEMBER).filter(|_| seal.kind() == Kind::SessionSealed)?;
    next.get("session")?.as_text()?.parse().ok()
}

/// The last run so far of the chain that a run is of, and when that one was sealed; nothing for a
/// run of which the log knows nothing.
///
/// # Errors
/// [`StoreError`] when the log cannot be read.
pub fn newest(
    scope: &dyn TenantTx,
    run: RunId,
) -> Result<Option<(RunId, Option<Timestamp>)>, StoreError> {
    let mut newest = run;
    loop {
        let Some(session) = scope.session(newest)? else { return Ok(None) };
        if session.status.is_none() {
            return Ok(Some((newest, None)));
        }
        let Some(seal) = scope.entry(session.last)? else { return Ok(Some((newest, None))) };
        match next_of(&seal) {
            Some(next) => newest = next,
            None => return Ok(Some((newest, Some(seal.at())))),
        }
    }
}

/// What a seal says of the next run.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    pub(crate) run: RunId,
    inputs: Digest,
    classes: Classes,
}

impl Next {
    pub(crate) fn member(&self) -> (String, Value) {
        let mut next = Map::from([
            ("session".to_owned(), Value::from(self.run)),
            ("inputs".to_owned(), self.inputs.into()),
        ]);
        next.extend(classes_value(&self.classes).map(|all| ("classes".to_owned(), all)));
        (MEMBER.to_owned(), Value::Map(next))
    }

    pub(crate) fn of(seal: &Entry) -> Option<Self> {
        let run = next_of(seal)?;
        let member = seal.data().get(MEMBER).and_then(Value::as_map)?;
        let inputs = member.get("inputs")?.as_text()?.parse().ok()?;
        Some(Self { run, inputs, classes: classes_in(member) })
    }

    /// Of which class the seal says that each input is.
    pub(crate) fn classes(self) -> Classes {
        self.classes
    }
}

/// The step by which a run wants to continue as new.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) step: StepPath,
    pub(crate) inputs: Map,
    /// What each of them came from.
    pub(crate) sources: BTreeMap<String, Sources>,
    pub(crate) state: WishState,
}

/// How far it has come.
#[derive(Debug, Clone)]
pub(crate) enum WishState {
    /// Nothing was done about it.
    New,
    /// Somebody finds out where the folders of the next run stand.
    Placing(RunId),
    /// That is known.
    Placed(RunId, Box<Placed>),
}

/// What the next run takes over of how this one began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    /// The text of the definition; nothing where its runs do not continue.
    pub(crate) source: Option<Arc<str>>,
    /// Where its roots stand.
    pub(crate) places: BTreeMap<String, String>,
    /// What it is found by.
    pub(crate) labels: SearchLabels,
    /// How often the chain went on before.
    pub(crate) count: u64,
}

impl Active {
    /// Inputs and roots of the next run, or why it cannot begin.
    fn next(&self, wish: &Wish) -> Result<(Map, Vec<BoundRoot>), String> {
        if !self.run.has_moved() {
            return Err(SPINS.to_owned());
        }
        let inputs = self.flow.bind_values(&wish.inputs).map_err(|errors| errors.to_string())?;
        let own = self.flow.subject_of(&inputs)?;
        if own.is_some() && own.as_deref() != self.run.subject_of() {
            return Err("the next run would be about another subject, and a chain is about one \
                        from its first run to its last"
                .to_owned());
        }
        self.flow.labelled_anew(&inputs, self.kept.labels.clone())?;
        let roots = self.flow.roots(&inputs, &self.origin.environment);
        Ok((inputs, roots.map_err(|errors| errors.to_string())?))
    }

    /// Roots that are named as they were stand where they stood, whatever their paths counted from.
    fn as_before(&self, mut roots: Vec<BoundRoot>) -> Vec<BoundRoot> {
        let inputs = self.run.inputs().as_map().cloned().unwrap_or_default();
        let before = self.flow.roots(&inputs, &self.origin.environment).unwrap_or_default();
        for root in &mut roots {
            let same = before.iter().any(|it| it.name == root.name && it.path == root.path);
            if let Some(place) = self.kept.places.get(&root.name).filter(|_| same) {
                root.path.clone_from(place);
            }
        }
        roots
    }

    /// Keep what the run that continues this one takes over, if one may.
    pub(crate) fn keep(
        &mut self,
        source: &str,
        (places, labels): (BTreeMap<String, String>, SearchLabels),
        continues: Option<Continues>,
    ) {
        if self.flow.continues() {
            let count = continues.map_or(0, |continues| continues.count);
            self.kept = Kept { source: Some(source.into()), places, labels, count };
        }
    }

    /// Where it stands and what it is found by, of a run that goes on from a place of another.
    pub(crate) fn stand(
        &mut self,
        base: String,
        places: BTreeMap<String, String>,
        labels: SearchLabels,
    ) {
        self.base = base;
        (self.kept.places, self.kept.labels) = (places, labels);
    }

    /// Take the signals that the run before this one kept. What the flow wants because of them.
    pub(crate) fn take_over(&mut self, left: Vec<Sent>, turn: &mut Turn) -> Vec<Action> {
        let mut actions = Vec::new();
        for sent in left {
            let draft = self.signal_draft(&sent);
            turn.append(self.origin.tenant, self.origin.session, draft, Await::Nothing);
            let heard = self.run.apply(Event::Signalled(sent.signal.clone()));
            self.signals.insert(sent.signal.id.clone(), sent);
            actions.extend(heard.unwrap_or_default());
        }
        actions
    }

    /// Somebody finds out where the folders of the next run stand. Once that is known, nothing keeps
    /// the next run but who holds this one.
    pub(crate) fn is_turning(&self) -> bool {
        let state = self.wish.as_ref().map(|wish| &wish.state);
        matches!(state, Some(WishState::Placing(_)))
    }

    /// The signals that no step took, as they were sent.
    fn left_over(&self) -> Vec<Sent> {
        self.run.kept_signals().filter_map(|it| self.signals.get(&it.id).cloned()).collect()
    }
}

impl Engine {
    /// End the run by beginning the next one, if it wants to and nothing else of it is left. Says
    /// whether it is about to.
    pub(crate) fn turn_over(&mut self, id: RunId, turn: &mut Turn) -> Result<bool, NoEntropy> {
        let Some(active) = self.runs.get(&id) else { return Ok(false) };
        let Some(wish) = &active.wish else { return Ok(false) };
        let is_last = active.run.continues() == Some(&wish.step) && active.answers.is_empty();
        let state = wish.state.clone();
        if !is_last || self.is_quiet(id) {
            return Ok(false);
        }
        if self.is_out_of_time(id, turn)? {
            return Ok(true);
        }
        match state {
            WishState::New => self.place_next(id, turn)?,
            WishState::Placing(_) => {}
            WishState::Placed(run, placed) => self.begin_next(id, run, *placed, turn)?,
        }
        Ok(true)
    }

    fn place_next(&mut self, id: RunId, turn: &mut Turn) -> Result<(), NoEntropy> {
        let now = self.ledger_now();
        let Some(active) = self.runs.get(&id) else { return Ok(()) };
        let Some(wish) = active.wish.clone() else { return Ok(()) };
        let roots = match active.next(&wish) {
            Ok((_, roots)) => active.as_before(roots),
            Err(message) => return self.cannot_turn(id, &wish.step, &message, turn),
        };
        let run = RunId::new(now, self.entropy.as_mut())?;
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        active.wish = Some(Wish { state: WishState::Placing(run), ..wish });
        let (domain, base) = (active.origin.domain.clone(), active.base.clone());
        let place = Place { parent: id, run, domain, base, workflow: None, roots };
        turn.output(Output::Place(Box::new(place)));
        Ok(())
    }

    /// It is known where the folders of a next run stand. Says whether it was one.
    pub(crate) fn next_placed(
        &mut self,
        id: RunId,
        run: RunId,
        placed: &Result<Placed, String>,
        turn: &mut Turn,
    ) -> Result<bool, NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(false) };
        let is_it =
            |wish: &&mut Wish| matches!(wish.state, WishState::Placing(other) if other == run);
        let Some(wish) = active.wish.as_mut().filter(is_it) else { return Ok(false) };
        if !active.answers.is_empty() {
            active.queued.push(Later::Placed(run, placed.clone()));
            return Ok(true);
        }
        match placed {
            Ok(placed) => {
                wish.state = WishState::Placed(run, Box::new(placed.clone()));
                self.settle_down(id, turn)?;
            }
            Err(message) => {
                let step = wish.step.clone();
                self.cannot_turn(id, &step, message, turn)?;
            }
        }
        Ok(true)
    }

    fn cannot_turn(
        &mut self,
        id: RunId,
        step: &StepPath,
        message: &str,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let event = self.invalid(id, step, message, turn);
        self.tell_flow(id, event, turn)
    }

    /// Seal the run, and begin the next one behind the seal.
    fn begin_next(
        &mut self,
        id: RunId,
        run: RunId,
        placed: Placed,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get(&id) else { return Ok(()) };
        let Some(wish) = active.wish.clone() else { return Ok(()) };
        let origin = Origin { session: run, ..active.origin.clone() };
        let next = active.next(&wish).and_then(|next| match self.barred(&origin) {
            Some(why) => Err(why),
            None => Ok(next),
        });
        let (inputs, roots) = match next {
            Ok(next) => next,
            Err(message) => return self.cannot_turn(id, &wish.step, &message, turn),
        };
        let classes = self.classes_of(&origin.domain, &wish.sources);
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        let (count, left_over) = (active.kept.count.saturating_add(1), active.left_over());
        let labels = active.flow.labelled_anew(&inputs, active.kept.labels.clone());
        let source = active.kept.source.as_deref().unwrap_or_default().to_owned();
        let subject = active.run.subject_of().map(str::to_owned);
        let start = Start {
            run,
            flow: Arc::clone(&active.flow),
            source,
            inputs,
            roots: accesses(&roots),
            places: placed.places,
            base: placed.base,
            initiator: origin.initiator,
            environment: Some(origin.environment),
            labels: labels.unwrap_or_default(),
            trigger: None,
            firing: None,
            // It takes the place of this one, and waits for no turn.
            ask: Ask::default(),
            keyed: None,
            is_queued: false,
        };
        let inputs = inputs_digest(&start.inputs);
        let Ok(actions) = active.run.apply(Event::Continued { step: wish.step }) else {
            return Ok(());
        };
        active.wish = None;
        active.take(actions);
        if let Some(end) = &mut active.end {
            end.next = Some(Next { run, inputs, classes: classes.clone() });
        }
        self.seal(id, turn);
        let handed = Handed { subject, classes };
        let continues = Continues { run: id, count };
        self.begin(start, Beginning::Next { continues, handed, left_over }, turn)
    }
}

impl History {
    /// A seal says that the next run begins: that ends the step that wants it.
    pub(crate) fn continued(&mut self, seal: &Entry) -> Result<(), Mismatch> {
        let wrong = |message: &str| unexpected(seal, message);
        self.begins(seal)?;
        let wish = self.active.wish.take();
        let wish = wish.ok_or_else(|| wrong("the flow does not continue as new there"))?;
        let next = Next::of(seal).ok_or_else(|| wrong("it does not say which run is next"))?;
        let (inputs, _) = self.active.next(&wish).map_err(|message| wrong(&message))?;
        if next.inputs != inputs_digest(&inputs) {
            return Err(wrong("the flow hands other inputs to the next run"));
        }
        self.claims.extend(wish.sources.iter().map(|(name, sources)| {
            let (class, sources) = (next.classes.get(name).cloned(), sources.clone());
            Claim { seq: seal.seq(), class, sources }
        }));
        self.apply(Event::Continued { step: wish.step });
        if let Some(end) = &mut self.active.end {
            end.next = Some(next);
        }
        Ok(())
    }

    /// The run that it continues; nothing where it began by itself.
    #[must_use]
    pub const fn continues(&self) -> Option<Continues> {
        self.continues
    }

    /// The run that continues it, if one does.
    #[must_use]
    pub fn next_run(&self) -> Option<RunId> {
        self.active.end.as_ref()?.next.as_ref().map(|next| next.run)
    }
}

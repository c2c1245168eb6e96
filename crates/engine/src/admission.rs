//! Runs that wait for their turn: what is held to a limit or to a time is asked for in the log
//! before it begins, and begins when the [`Line`] says so. Whoever reads the log knows who waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::entropy::NoEntropy;
use cog_base::id::{RunId, Uuid};
use cog_base::json::Map;
use cog_base::{Timestamp, Value};
use cog_flow::{Flow, SearchLabels};
use cog_gate::act::{Act, Facts, WITHDRAW};
use cog_gate::{Actor, Origin, Wish};
use cog_ledger::{BodyDraft, Draft, Entry, Kind};
use cog_schedule::{Ask, Line, WAITING_MAX, Waits, WhenFull};
use cog_store::{Select, StoreError, TenantTx};

use crate::engine::{Await, Engine, Output, Timer, Turn};
use crate::history::{Record, origin_of, places};
use crate::notice::What;
use crate::pause::REASON_CHARS_MAX;
use crate::start::{
    KEYED, Keyed, LABELS, Start, TRIGGER, Trigger, accesses, inputs_digest, labels_in, labels_value,
};

/// The kinds of entries that tell who waits, but for those of the runs themselves.
pub const KINDS: [Kind; 2] = [Kind::SessionQueued, Kind::SessionUnqueued];
/// The timer that looks who may begin by now. It is no run's.
const TIMER: Timer = Timer { run: RunId::from_uuid(Uuid::from_u128(0)), name: String::new() };
/// Why a run never begins, as the entry says it.
const REFUSED: &str = "refused";
const CANCELLED: &str = "cancelled";
const FAILED: &str = "failed";

/// Those that wait for their turn, and what is known of them.
#[derive(Debug, Default)]
pub struct Queue {
    /// Who may begin.
    pub line: Line,
    /// Who asked for what waits, and where.
    pub asked: BTreeMap<RunId, Origin>,
    /// The number of the next entry, or an earlier one.
    next: u64,
    /// Something happened that may let somebody begin.
    is_moved: bool,
    /// Whose end was asked for by each that waits and takes their place.
    displaced: BTreeMap<RunId, BTreeSet<RunId>>,
    /// When somebody looks again.
    looks: Option<Timestamp>,
}

impl Queue {
    /// What the log says.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn read(scope: &dyn TenantTx) -> Result<Self, StoreError> {
        let mut queue = Self { is_moved: true, ..Self::default() };
        let kinds = vec![Kind::SessionQueued];
        let newest = Select { kinds, newest_first: true, limit: 1, ..Select::default() };
        let Some(newest) = scope.select(&newest)?.pop() else { return Ok(queue) };
        let from = newest.count("since").unwrap_or(newest.seq());
        let mut runs = Vec::new();
        scope.each(Select { kinds: KINDS.into(), from, ..Select::default() }, &mut |entry| {
            queue.observe(entry);
            runs.extend(run_of(entry).filter(|_| entry.kind() == Kind::SessionQueued));
        })?;
        for run in runs {
            let Some(session) = scope.session(run)? else { continue };
            let at = scope.entry(session.first)?.map_or(Timestamp::MIN, |first| first.at());
            queue.line.began(run, at);
            queue.asked.remove(&run);
            if session.status.is_some() {
                queue.line.end(run);
            }
        }
        Ok(queue)
    }

    /// Take note of an entry.
    pub(crate) fn observe(&mut self, entry: &Entry) {
        self.next = self.next.max(entry.seq().saturating_add(1));
        if entry.kind() == Kind::SessionQueued {
            let (Some(run), Some(ask)) = (run_of(entry), Ask::read(entry.data())) else { return };
            self.line.ask(run, ask, entry.at(), Some(entry.seq()));
            if self.line.waits(run).is_some() {
                self.is_moved = true;
                self.asked.extend(asked_by(entry, run).map(|origin| (run, origin)));
            }
        } else if entry.kind() == Kind::SessionUnqueued {
            self.is_moved |= run_of(entry).is_some_and(|run| self.leave(run));
        } else if entry.kind() == Kind::SessionStarted
            && let Some(run) = entry.session()
        {
            self.line.began(run, entry.at());
            self.asked.remove(&run);
            self.displaced.remove(&run);
        } else if entry.kind() == Kind::SessionSealed
            && let Some(run) = entry.session()
        {
            self.line.end(run);
            self.is_moved |= !self.line.is_empty();
        }
    }

    pub(crate) fn leave(&mut self, run: RunId) -> bool {
        self.asked.remove(&run);
        self.displaced.remove(&run);
        self.line.leave(run)
    }
}

/// The run that an entry about the queue is about.
#[must_use]
pub fn run_of(entry: &Entry) -> Option<RunId> {
    entry.id().filter(|_| KINDS.contains(&entry.kind()))?.parse().ok()
}

fn asked_by(entry: &Entry, run: RunId) -> Option<Origin> {
    origin_of(entry, (entry.text("workflow")?, entry.actor()), run)
}

/// What was asked for, to begin it now.
///
/// # Errors
/// Why it cannot begin, in words.
pub fn asked(record: &Record) -> Result<Start, String> {
    let entry = &record.entry;
    let run = run_of(entry).ok_or("it asks for no run")?;
    let body = record.body.as_ref().ok_or("what was asked for is not kept any more")?;
    let text = |name: &str| body.get(name).and_then(Value::as_text).map(str::to_owned);
    let source = text("source").ok_or("its definition is not kept")?;
    let flow =
        cog_flow::parse(&source, "the recorded definition").map_err(|bad| bad.to_string())?;
    let flow = flow.with_recorded(body.get("children"))?;
    let inputs = body.get("inputs").and_then(Value::as_map).ok_or("its inputs are not kept")?;
    if entry.digest("definition") != Some(flow.digest)
        || entry.digest("inputs") != Some(inputs_digest(inputs))
    {
        return Err("what is kept of it is not what was asked for".to_owned());
    }
    let bound = flow.roots(inputs, entry.environment()).map_err(|bad| bad.to_string())?;
    Ok(Start {
        run,
        flow: Arc::new(flow),
        source,
        inputs: inputs.clone(),
        roots: accesses(&bound),
        places: places(body),
        base: text("base").unwrap_or_default(),
        initiator: entry.actor().parse().map_err(|_| "who asked for it is nobody")?,
        environment: Some(entry.environment().to_owned()),
        firing: None,
        labels: labels_in(entry.data()),
        trigger: Trigger::of(entry.data()),
        keyed: Keyed::of(entry.data()),
        ask: Ask::read(entry.data()).ok_or("what it is held to cannot be read")?,
        is_queued: true,
    })
}

impl Engine {
    /// Those that wait for their turn.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Whether a run begins now. One that is held to a limit or a time is asked for in the log
    /// first; if it has to wait, or may not, that is all.
    pub(crate) fn admit(
        &mut self,
        start: &Start,
        origin: &Origin,
        turn: &mut Turn,
    ) -> Result<bool, NoEntropy> {
        if start.is_queued {
            return self.take_turn(start.run, turn);
        }
        let Start { ask, flow, inputs, labels, .. } = start;
        let asking = Asking { origin, ask: *ask, flow, inputs, labels, start: Some(start) };
        self.ask_in(&asking, turn)
    }

    /// Whether what is asked for begins now; what cannot wait is refused.
    pub(crate) fn ask_in(
        &mut self,
        asking: &Asking<'_>,
        turn: &mut Turn,
    ) -> Result<bool, NoEntropy> {
        let Asking { origin, ask, start, .. } = asking;
        let run = origin.session;
        if ask.is_free() {
            return Ok(true);
        }
        self.call_next(turn)?;
        let now = self.ledger_now();
        let room = self.queue.line.room(run, ask, now);
        let is_long = self.queue.line.len() >= WAITING_MAX;
        let draft = asking.queued(room.is_err(), self.queue.line.since(self.queue.next));
        let then = if room.is_ok() { Await::Nothing } else { Await::Queue };
        turn.append(origin.tenant, run, draft, then);
        self.queue.line.ask(run, *ask, now, None);
        let refuses = ask.concurrency.is_some_and(|it| it.when_full == WhenFull::Refuse);
        match room {
            Ok(()) => {
                self.queue.line.begin(run, now);
                return Ok(true);
            }
            Err(Waits::Key(by)) if refuses => self.refuse(origin, &told(&Waits::Key(by)), turn),
            Err(waits) if start.is_none() => self.refuse(origin, &told(&waits), turn),
            Err(_) if is_long => {
                let why = format!("{WAITING_MAX} runs wait already");
                self.refuse(origin, &why, turn);
            }
            Err(waits) => {
                let ends = self.make_way(origin, ask, turn)?;
                turn.tell_behind(run, What::Queued { waits, ends });
                self.look_again(turn);
            }
        }
        Ok(false)
    }

    /// A run that waits is handed in: whether it begins now.
    fn take_turn(&mut self, run: RunId, turn: &mut Turn) -> Result<bool, NoEntropy> {
        self.call_next(turn)?;
        // Somebody has withdrawn it meanwhile.
        let Some(ask) = self.queue.line.waits(run).copied() else { return Ok(false) };
        let now = self.ledger_now();
        match self.queue.line.room(run, &ask, now) {
            Ok(()) => {
                self.queue.line.begin(run, now);
                self.queue.asked.remove(&run);
                Ok(true)
            }
            Err(waits) => {
                self.queue.line.call(run, false);
                turn.tell(run, What::Queued { waits, ends: Vec::new() });
                self.look_again(turn);
                Ok(false)
            }
        }
    }

    /// End what is in the way of a run, in the name of who asked for it, when nothing else is. It asks
    /// once for the end of each. Gives the runs that are in no memory here.
    fn make_way(
        &mut self,
        origin: &Origin,
        ask: &Ask,
        turn: &mut Turn,
    ) -> Result<Vec<RunId>, NoEntropy> {
        let (run, who, now) = (origin.session, &origin.initiator, self.ledger_now());
        let reason = format!("{run} of the same key takes its place");
        // Before any of them goes: without them it may be its turn.
        let superseded = self.queue.line.superseded(run, ask, now);
        let in_the_way = self.queue.line.in_the_way(run, ask, now);
        for other in superseded {
            // What is not durable yet is withdrawn later.
            if self.queue.asked.contains_key(&other) && self.displaces(run, other) {
                self.withdraw_queued(other, who, &reason, turn)?;
            }
        }
        let mut absent = Vec::new();
        for other in in_the_way {
            if !self.displaces(run, other) {
                continue;
            }
            if let Some(active) = self.runs.get(&other) {
                if active.end.is_some() || active.cancelled.is_some() {
                    continue;
                }
                self.cancel(other, who.clone(), reason.clone(), turn)?;
            } else {
                absent.push(other);
            }
        }
        Ok(absent)
    }

    /// Note that a run asks for the end of another. Says whether it had not.
    fn displaces(&mut self, run: RunId, other: RunId) -> bool {
        self.queue.displaced.entry(run).or_default().insert(other)
    }

    /// Those whose time has come take the place of others.
    fn displace(&mut self, turn: &mut Turn) -> Result<(), NoEntropy> {
        let now = self.ledger_now();
        for run in self.queue.line.displacing(now) {
            // Another has taken its place, or the others are gone.
            let Some(ask) = self.queue.line.waits(run).copied() else { continue };
            let Some(origin) = self.queue.asked.get(&run).cloned() else { continue };
            let ends = self.make_way(&origin, &ask, turn)?;
            if let (false, Err(waits)) = (ends.is_empty(), self.queue.line.room(run, &ask, now)) {
                turn.tell_behind(run, What::Queued { waits, ends });
            }
        }
        Ok(())
    }

    /// Somebody withdraws a run that waits for its turn. Says whether it does; a refusal is on
    /// record.
    pub(crate) fn withdraw_queued(
        &mut self,
        run: RunId,
        who: &Actor,
        reason: &str,
        turn: &mut Turn,
    ) -> Result<bool, NoEntropy> {
        let Some(origin) = self.queue.asked.get(&run).cloned() else { return Ok(false) };
        let (canon, in_force) = self.canon_for(&origin.domain);
        let act = Act {
            tenant: origin.tenant,
            domain: origin.domain.clone(),
            environment: origin.environment.clone(),
            session: None,
            canon: in_force,
            actor: who.clone(),
            action: WITHDRAW,
            resource: format!("Run::\"{run}\""),
            args: Map::from([("reason".to_owned(), reason.into())]),
        };
        let facts = Facts::Queued { by: origin.initiator.clone() };
        let now = self.ledger_now();
        if let Some(no) = act.judge(&facts, now, canon.as_deref()) {
            let (denial, draft) = act.refuse(&no, &facts, now, self.entropy.as_mut())?;
            turn.append(origin.tenant, run, draft, Await::Nothing);
            let (code, wish) = (no.code.to_owned(), Wish::Cancel);
            let (who, flips, reason) = (who.to_string(), Vec::new(), no.reason);
            turn.tell_behind(run, What::NotGranted { wish, who, denial, code, reason, flips });
            return Ok(true);
        }
        self.unqueue(&origin, (CANCELLED, reason), Some(who), turn);
        Ok(true)
    }

    /// A run that waits cannot be begun, whenever that is tried.
    pub(crate) fn give_up_queued(&mut self, run: RunId, reason: &str, turn: &mut Turn) {
        if let Some(origin) = self.queue.asked.get(&run).cloned() {
            self.unqueue(&origin, (FAILED, reason), None, turn);
        }
    }

    fn refuse(&mut self, origin: &Origin, reason: &str, turn: &mut Turn) {
        self.unqueue(origin, (REFUSED, reason), None, turn);
    }

    fn unqueue(
        &mut self,
        origin: &Origin,
        (why, reason): (&'static str, &str),
        who: Option<&Actor>,
        turn: &mut Turn,
    ) {
        let run = origin.session;
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let data = [("id", Value::from(run)), ("why", why.into())];
        let who = who.unwrap_or(&origin.initiator).as_str();
        let (domain, environment) = (&origin.domain, &origin.environment);
        let draft = Draft::new(Kind::SessionUnqueued, who, domain, environment, data);
        turn.append(origin.tenant, run, draft.saying("reason", &reason), Await::Nothing);
        self.queue.is_moved |= self.queue.leave(run);
        turn.tell_behind(run, What::Unqueued { why, reason });
    }

    /// Say who may begin by now.
    pub(crate) fn call_next(&mut self, turn: &mut Turn) -> Result<(), NoEntropy> {
        if self.is_draining {
            self.queue.is_moved = false;
            return Ok(());
        }
        self.displace(turn)?;
        self.queue.is_moved = false;
        let now = self.ledger_now();
        self.queue.line.forget(now);
        for run in self.queue.line.refused(now) {
            let origin = self.queue.asked.get(&run).cloned();
            let ask = self.queue.line.waits(run).copied();
            let waits = ask.map(|ask| self.queue.line.room(run, &ask, now));
            if let (Some(origin), Some(Err(waits))) = (origin, waits) {
                self.refuse(&origin, &told(&waits), turn);
            }
        }
        while let Some(run) = self.queue.line.next(now, usize::MAX) {
            self.queue.line.call(run, true);
            turn.tell(run, What::Called);
        }
        self.look_again(turn);
        Ok(())
    }

    /// Look again when time may let somebody begin.
    fn look_again(&mut self, turn: &mut Turn) {
        let now = self.ledger_now();
        let Some(due) = self.queue.line.due(now) else { return };
        if self.queue.looks.is_none_or(|looks| looks > due || looks <= now) {
            self.queue.looks = Some(due);
            // The timer counts whole milliseconds.
            let ms = due.ms_since(now).saturating_add(1);
            turn.output(Output::Arm { timer: TIMER, ms });
        }
    }

    /// Whether a timer is that of the queue.
    pub(crate) fn is_of_queue(timer: &Timer) -> bool {
        *timer == TIMER
    }

    /// Look who may begin, if something has happened that may let somebody.
    pub(crate) fn move_on(&mut self, turn: &mut Turn) -> Result<(), NoEntropy> {
        if self.queue.is_moved { self.call_next(turn) } else { Ok(()) }
    }
}

/// What a run waits for, in words.
#[must_use]
pub fn told(waits: &Waits) -> String {
    match waits {
        Waits::Until(at) => format!("it begins at {at} at the earliest"),
        Waits::Key(by) => {
            let by: Vec<String> = by.iter().map(RunId::to_string).collect();
            format!("as many runs of its key are open as may be: {}", by.join(", "))
        }
        Waits::Rate(at) => format!("as many runs of its key began as may, until {at}"),
        Waits::Room => "as many runs are open as may be".to_owned(),
    }
}

/// A run that is asked for.
pub(crate) struct Asking<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) ask: Ask,
    pub(crate) flow: &'a Flow,
    pub(crate) inputs: &'a Map,
    pub(crate) labels: &'a SearchLabels,
    /// What it takes to begin it later; nothing where it begins now or never.
    pub(crate) start: Option<&'a Start>,
}

impl Asking<'_> {
    /// The entry that asks for it. What it takes to begin it later stands beside it.
    fn queued(&self, waits: bool, since: Option<u64>) -> Draft {
        let Self { origin, ask, flow, inputs, labels, start } = self;
        let mut data = ask.members();
        data.insert("id".to_owned(), origin.session.into());
        data.insert("workflow".to_owned(), flow.name.as_str().into());
        data.insert("definition".to_owned(), flow.digest.into());
        data.insert("inputs".to_owned(), inputs_digest(inputs).into());
        data.extend(labels_value(labels).map(|all| (LABELS.to_owned(), all)));
        let trigger = start.and_then(|start| start.trigger.as_ref());
        data.extend(trigger.map(|trigger| (TRIGGER.to_owned(), trigger.to_value())));
        let keyed = start.and_then(|start| start.keyed);
        data.extend(keyed.map(|keyed| (KEYED.to_owned(), keyed.to_value())));
        data.extend(since.map(|since| ("since".to_owned(), since.into())));
        let Origin { domain, environment, initiator, .. } = origin;
        let draft = Draft::new(Kind::SessionQueued, initiator.as_str(), domain, environment, []);
        let body = start.filter(|_| waits).map(kept);
        Draft { data, body, ..draft }
    }
}

/// What it takes to begin a run later.
fn kept(start: &Start) -> BodyDraft {
    let Start { flow, source, inputs, places, base, .. } = start;
    let places = places.iter().map(|(name, place)| (name.as_str(), place.as_str()));
    let mut body = Map::from([
        ("source".to_owned(), Value::from(source.as_str())),
        ("inputs".to_owned(), Value::Map(inputs.clone())),
        ("places".to_owned(), Value::map(places)),
        ("base".to_owned(), base.as_str().into()),
    ]);
    body.extend(flow.children_record().map(|all| ("children".to_owned(), all)));
    BodyDraft { subject: subject_of(flow, inputs), bytes: Value::Map(body).canonical() }
}

/// Whose data it holds: what is asked for was bound before, and so it can be told.
fn subject_of(flow: &Flow, inputs: &Map) -> Option<String> {
    flow.subject_of(inputs).ok().flatten()
}

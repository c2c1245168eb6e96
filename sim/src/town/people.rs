//! People who write to the nodes of a town, all by mail: they ask for runs, some of them twice,
//! answer, send signals, hold runs and end them, set schedules and change canons.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::entropy::SeededEntropy;
use cog_base::id::{ApprovalId, ProposalId, RunId, TenantId};
use cog_base::{Timestamp, Value};
use cog_engine::admission::run_of;
use cog_engine::{Sent, Start, What};
use cog_flow::Signal;
use cog_gate::Actor;
use cog_gate::change::{ChangeControl, ProposalState};
use cog_ledger::{Draft, Entry, Kind};
use cog_node::{Decided, Request, Wanted, ask};
use cog_store::{Delivery, Keep as _, Posted, Select, Store as _, StoreError};

use super::{Inner, Plan, State, mail_id, started, tenant};
use crate::scenario::{DOMAIN, ENVIRONMENT, Scenario};

/// When people first see to what waits although it should not, and how often then.
const INSIST_MS: u64 = 90_000;
/// How often they do before something is stuck.
const ROUNDS_MAX: u64 = 60;
/// Who keeps the ledger.
const KEEPER: &str = "user:cfo";
/// Who wants to end or hold runs: who may and who may not.
const ANYBODY: [&str; 4] = ["user:operator", "user:ada", "user:nobody", "agent:clerk"];
/// How long there is a schedule.
const SCHEDULED_MS: u64 = 25_000;

/// Something that somebody is going to do.
#[derive(Clone)]
pub(super) enum Todo {
    Send(Box<Request>),
    /// A run that is asked for under a name: once more it is the same one.
    Start(Box<Wanted>, Option<String>),
    Answer(RunId, ApprovalId),
    Signal(RunId, String),
    Pause(RunId),
    Unpause(RunId),
    Cancel(RunId),
    Canon,
    Insist,
}

pub(super) struct People {
    pub(super) scenarios: Vec<Scenario>,
    todo: BTreeMap<(Timestamp, u64), (TenantId, Todo)>,
    number: u64,
    known: BTreeSet<String>,
    rounds: u64,
}

impl People {
    pub(super) fn new(plan: &Plan, dice: &mut SeededEntropy) -> Self {
        let (scenarios, todo, known) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut people = Self { scenarios, todo, number: 0, known, rounds: 0 };
        if plan.runs_max == 0 {
            return people;
        }
        for number in 0..plan.tenants {
            people.settle_in(number, plan.runs_max, dice);
        }
        people.plan(started().plus_ms(INSIST_MS), tenant(0), Todo::Insist);
        people
    }

    /// What the people of a tenant are going to do.
    fn settle_in(&mut self, number: usize, runs_max: u64, dice: &mut SeededEntropy) {
        let (whose, mut scenario) = (tenant(number), Scenario::new(number));
        let mut soon = |ms: u64| started().plus_ms(1 + dice.below(ms));
        let files = scenario.variants().first().map(|(_, files)| (*files).clone());
        let who = actor(KEEPER);
        let found = Request::Found {
            files: files.unwrap_or_default(),
            environment: ENVIRONMENT.into(),
            who,
        };
        self.plan(started(), whose, Todo::Send(Box::new(found)));
        let canons: Vec<Timestamp> = (0..3).map(|_| soon(30_000)).collect();
        let starts = scenario.starts(dice, started(), runs_max);
        for start in &starts {
            let at = started().plus_ms(1 + dice.below(15_000));
            let key = (dice.below(2) == 0).then(|| format!("order-{}", start.run));
            self.plan(at, whose, Todo::Start(Box::new(wanted(start)), key.clone()));
            if dice.below(2) == 0 {
                let again = at.plus_ms(dice.below(10_000));
                self.plan(again, whose, Todo::Start(Box::new(wanted(start)), key));
            }
            let later = at.plus_ms(1 + dice.below(20_000));
            match dice.below(10) {
                0 => self.plan(later, whose, Todo::Cancel(start.run)),
                1 => self.plan(later, whose, Todo::Pause(start.run)),
                2 => self.plan(later, whose, Todo::Signal(start.run, "payment".into())),
                _ => {}
            }
        }
        if dice.below(3) == 0 {
            canons.into_iter().for_each(|at| self.plan(at, whose, Todo::Canon));
        }
        if let Some(start) = starts.first().filter(|_| dice.below(4) == 0) {
            let [set, remove] = schedule(start, dice);
            let at = started().plus_ms(1 + dice.below(5_000));
            self.plan(at, whose, Todo::Send(Box::new(set)));
            self.plan(at.plus_ms(SCHEDULED_MS), whose, Todo::Send(Box::new(remove)));
        }
        self.scenarios.push(scenario);
    }

    pub(super) fn plan(&mut self, at: Timestamp, whose: TenantId, todo: Todo) {
        self.number += 1;
        self.todo.insert((at, self.number), (whose, todo));
    }

    pub(super) fn runs(&self) -> u64 {
        self.scenarios.iter().map(|it| it.all.len() as u64).sum()
    }

    /// When somebody does something next.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.todo.keys().next().map(|(at, _)| *at)
    }

    /// Whether nobody is going to do anything but to see to what waits.
    pub(super) fn is_done(&self) -> bool {
        self.todo.values().all(|(_, todo)| matches!(todo, Todo::Insist))
    }

    /// Something is said of a run: what it waits for, somebody is going to do.
    pub(super) fn hear(
        &mut self,
        now: Timestamp,
        dice: &mut SeededEntropy,
        (whose, run): (TenantId, RunId),
        what: &What,
    ) {
        let What::Parked { approvals, signals, paused, .. } = what else { return };
        if self.scenarios.is_empty() {
            return;
        }
        let answers = approvals.iter().map(|it| (it.to_string(), Todo::Answer(run, *it)));
        let signals = signals
            .iter()
            .map(|(step, name)| (format!("{run} {step}"), Todo::Signal(run, name.clone())));
        let holds = paused.iter().map(|it| (format!("{run} {}", it.reason), Todo::Unpause(run)));
        for (id, todo) in answers.chain(signals).chain(holds) {
            if self.known.insert(id) {
                self.plan(now.plus_ms(1 + dice.below(8_000)), whose, todo);
            }
        }
    }
}

impl Inner {
    /// Somebody does what is next.
    pub(super) fn people_act(&self) {
        let Some((_, (whose, todo))) = self.state().people.todo.pop_first() else { return };
        if let Err(error) = self.act(whose, todo) {
            self.wrong(format!("people cannot write to nodes: {error}"));
        }
    }

    fn act(&self, whose: TenantId, todo: Todo) -> Result<(), StoreError> {
        let (seen, client) = (self.database.size(whose), self.client());
        let (who, choice) = {
            let dice = &mut self.state().dice;
            (ANYBODY.get(usize::try_from(dice.below(4)).unwrap_or(0)), dice.below(4))
        };
        let who = actor(who.copied().unwrap_or(KEEPER));
        let request = match todo {
            Todo::Send(request) => *request,
            Todo::Start(wanted, key) => return self.ask_for(whose, *wanted, key),
            Todo::Answer(run, approval) => {
                let verdict = if choice == 0 { Err("not this time".to_owned()) } else { Ok(()) };
                let verdict = verdict.map(|()| cog_base::json::Map::new());
                Request::Answer { run, approval, who: actor(KEEPER), verdict }
            }
            Todo::Signal(run, name) => {
                for part in ["one", "two", "one"] {
                    let request = signal(run, &name, part);
                    ask(&client, whose, self.mail_id(), &request, None)?;
                }
                return Ok(());
            }
            Todo::Pause(run) => {
                Request::Hold { run, pauses: true, who, reason: "not now".into(), seen }
            }
            Todo::Unpause(run) => {
                let who = actor("user:operator");
                Request::Hold { run, pauses: false, who, reason: "now".into(), seen }
            }
            Todo::Cancel(run) => Request::Cancel { run, who, reason: "not any more".into() },
            Todo::Canon => return self.change_canon(whose),
            Todo::Insist => return self.insist(),
        };
        ask(&client, whose, self.mail_id(), &request, None).map(drop)
    }

    /// Ask for a run. Who asks again under the same name for another run is told of the first.
    fn ask_for(
        &self,
        whose: TenantId,
        wanted: Wanted,
        key: Option<String>,
    ) -> Result<(), StoreError> {
        let id = cog_base::id::MailId::from_uuid(wanted.run.uuid());
        let request = Request::Start(Box::new(wanted));
        let posted = ask(&self.client(), whose, id, &request, key.as_deref())?;
        if posted != Posted::Waiting {
            self.wrong(format!("the same was asked for again: {posted:?}"));
        }
        Ok(())
    }

    fn mail_id(&self) -> cog_base::id::MailId {
        mail_id(self.database.now(), &mut self.state().dice)
    }

    /// The next step of a change of canon, as the log stands.
    fn change_canon(&self, whose: TenantId) -> Result<(), StoreError> {
        let (number, roll) = {
            let State { people, dice, .. } = &mut *self.state();
            let number = (0..people.scenarios.len()).find(|it| tenant(*it) == whose);
            (number, dice.below(3))
        };
        let Some(number) = number else { return Ok(()) };
        let entries = self.entries(whose);
        let mut control = ChangeControl::default();
        entries.iter().for_each(|entry| control.observe(entry));
        let Some(current) = control.in_force(DOMAIN) else { return Ok(()) };
        let variants = Scenario::new(number).variants();
        let known = |digest| variants.iter().find(|(canon, _)| canon.digest() == digest);
        let Some((canon, _)) = known(current) else { return Ok(()) };
        let open = control
            .proposals()
            .find(|it| it.state == ProposalState::Open && it.base == Some(current));
        let keeper = actor(KEEPER);
        let drafts = match open {
            None => {
                let place = usize::try_from(roll).unwrap_or(0);
                let Some((next, files)) = variants.get(place) else { return Ok(()) };
                let id = ProposalId::new(self.database.now(), &mut self.state().dice);
                let Ok(id) = id else { return Ok(()) };
                self.client().put_canon(whose, next.digest(), files)?;
                let who = actor("user:operator");
                control.propose(id, next, ENVIRONMENT, &who, &[]).map(|draft| vec![draft])
            }
            Some(it) if it.approved_by.is_empty() => {
                control.approve(it.id, &keeper, canon).map(|draft| vec![draft])
            }
            Some(it) => control.activate(it.id, &keeper, canon),
        };
        let Ok(drafts) = drafts else { return Ok(()) };
        self.record(whose, drafts, entries.len() as u64)
    }

    /// Have entries of no run recorded that somebody has decided on.
    fn record(&self, whose: TenantId, drafts: Vec<Draft>, seen: u64) -> Result<(), StoreError> {
        let unless = ChangeControl::KINDS.to_vec();
        let decided = Decided { drafts, seen, unless, then: None };
        let request = Request::Record(Box::new(decided));
        ask(&self.client(), whose, self.mail_id(), &request, None).map(drop)
    }

    /// Somebody sees to everything that still waits for people.
    fn insist(&self) -> Result<(), StoreError> {
        let client = self.client();
        for whose in &self.tenants {
            let entries = self.entries(*whose);
            for run in self.database.logs.scope(*whose)?.open_sessions()? {
                for request in wanting(run, &entries) {
                    ask(&client, *whose, self.mail_id(), &request, None)?;
                }
            }
        }
        let now = self.database.now();
        let mut state = self.state();
        state.people.rounds += 1;
        if state.people.rounds > ROUNDS_MAX {
            state.wrong.get_or_insert("stuck: people have asked again too often".to_owned());
        }
        state.people.plan(now.plus_ms(INSIST_MS), tenant(0), Todo::Insist);
        Ok(())
    }

    pub(super) fn entries(&self, whose: TenantId) -> Vec<Entry> {
        let Ok(scope) = self.database.logs.scope(whose) else { return Vec::new() };
        let mut entries = Vec::new();
        // What is in memory can be read.
        let _ = scope.each(Select::default(), &mut |entry| entries.push(entry.clone()));
        entries
    }

    /// Whether every run of a tenant that was asked for has ended, or was refused.
    pub(super) fn is_over(&self, whose: TenantId) -> bool {
        let Ok(scope) = self.database.logs.scope(whose) else { return false };
        if scope.open_sessions().map_or(true, |open| !open.is_empty()) {
            return false;
        }
        let entries = self.entries(whose);
        let of = |kind: Kind| {
            let those = entries.iter().filter(move |entry| entry.kind() == kind);
            those.filter_map(run_of).collect::<BTreeSet<RunId>>()
        };
        let begun: BTreeSet<RunId> = entries.iter().filter_map(Entry::session).collect();
        let over = of(Kind::SessionUnqueued);
        let is_there = |run: &RunId| begun.contains(run) || over.contains(run);
        let state = self.state();
        let number = (0..state.people.scenarios.len()).find(|it| tenant(*it) == whose);
        let scenario = number.and_then(|number| state.people.scenarios.get(number));
        let wanted = scenario.map(|it| it.all.iter().map(|start| start.run).collect::<Vec<_>>());
        let is_refused = |run: &RunId| {
            let id = cog_base::id::MailId::from_uuid(run.uuid());
            matches!(self.database.delivery(whose, id), Some(Delivery::Refused(_)))
        };
        of(Kind::SessionQueued).iter().all(is_there)
            && wanted.unwrap_or_default().iter().all(|run| is_there(run) || is_refused(run))
    }
}

/// What a run may be waiting for somebody to do.
fn wanting(run: RunId, entries: &[Entry]) -> Vec<Request> {
    let own = || entries.iter().filter(move |entry| entry.session() == Some(run));
    let mut all = Vec::new();
    for asked in own().filter(|entry| entry.kind() == Kind::ApprovalRequested) {
        let Some(approval) = asked.id().and_then(|id| id.parse::<ApprovalId>().ok()) else {
            continue;
        };
        let answers = [Kind::ApprovalGranted, Kind::ApprovalRejected];
        if !own().any(|it| it.id() == asked.id() && answers.contains(&it.kind())) {
            all.push(Request::Answer {
                run,
                approval,
                who: actor(KEEPER),
                verdict: Ok(cog_base::json::Map::new()),
            });
        }
    }
    all.extend(["one", "two"].map(|part| signal(run, "payment", part)));
    let holds = [Kind::SessionPaused, Kind::SessionUnpaused];
    let last = own().rfind(|entry| holds.contains(&entry.kind()));
    if last.is_some_and(|it| it.kind() == Kind::SessionPaused) {
        let (who, seen) = (actor("user:operator"), entries.len() as u64);
        all.push(Request::Hold { run, pauses: false, who, reason: "now".into(), seen });
    }
    all
}

pub(super) fn signal(run: RunId, name: &str, part: &str) -> Request {
    let payload = Value::map([("part", part)]);
    let (id, from) = (format!("{name}-{part}"), "user:shop".to_owned());
    let signal = Signal { id, name: name.to_owned(), from, payload };
    Request::Signal { run, sent: Box::new(Sent { signal, subject: None }) }
}

/// Somebody.
#[expect(clippy::expect_used, reason = "INVARIANT: these names are part of the program")]
pub(super) fn actor(text: &str) -> Actor {
    text.parse().expect("the name of an actor")
}

/// A run as it is asked for by mail.
pub(super) fn wanted(start: &Start) -> Wanted {
    Wanted {
        run: start.run,
        source: start.source.clone(),
        children: start.flow.children_record(),
        given: BTreeMap::new(),
        places: [("out".to_owned(), "/srv/out".to_owned())].into(),
        base: "/srv".to_owned(),
        priority: None,
        not_before: None,
        labels: BTreeMap::new(),
        trigger: None,
        initiator: start.initiator.clone(),
        environment: start.environment.clone(),
    }
}

/// Setting a schedule of what a run does, and removing it.
fn schedule(start: &Start, dice: &mut SeededEntropy) -> [Request; 2] {
    let overlaps = ["skip", "allow_all", "cancel_other"];
    let overlap = overlaps.get(usize::try_from(dice.below(3)).unwrap_or(0)).copied();
    let when = Value::map([
        ("id", Value::from("often")),
        ("every_ms", (3_000 + dice.below(9_000)).into()),
        ("overlap", overlap.into()),
    ]);
    let who = start.initiator.clone();
    [
        Request::Schedule { when, wanted: Box::new(wanted(start)), seen: 0 },
        Request::Unschedule { schedule: "often".to_owned(), who, seen: 0 },
    ]
}

//! One tenant of a world: its engine, what is under way for it, and the world that its effects
//! act on.

use std::collections::BTreeSet;
use std::sync::Arc;

use cog_base::Value;
use cog_base::entropy::SeededEntropy;
use cog_base::id::{ApprovalId, ReceiptId, RunId, TenantId};
use cog_base::{Clock as _, Timestamp};
use cog_engine::admission::{asked, run_of};
use cog_engine::{Engine, Input, Notice, Output, Placed, Record, Sent, Settings, Timer, What};
use cog_flow::Signal;
use cog_gate::snapshot::TenantStatus;
use cog_gate::{Actor, AnyEffect, Cleared, Lapse, Performed};
use cog_ledger::Kind;

use crate::check::{Broken, kept};
use crate::common::{Append, Common};
use crate::outside::{Fate, Outside};
use crate::scenario::{DOMAIN, ENVIRONMENT, Scenario};
use crate::schedule;

/// Who may end a run: who began it, and who is in the role that the canon names.
pub(crate) const MAY_END: [&str; 2] = ["user:operator", "user:ada"];
/// Who may not: who approves payments, an agent in that role, and nobody.
const MAY_NOT_END: [&str; 3] = ["user:cfo", "agent:clerk", "user:nobody"];

/// Something that comes to an engine.
pub(crate) enum Event {
    Effect {
        cleared: Box<Cleared<AnyEffect>>,
    },
    Probe {
        run: RunId,
        receipt: ReceiptId,
        effect: AnyEffect,
    },
    Timer {
        at: Timestamp,
        timer: Timer,
    },
    Answer {
        run: RunId,
        approval: ApprovalId,
    },
    Signal {
        run: RunId,
        name: String,
    },
    Unpause {
        run: RunId,
    },
    Place {
        place: Box<cog_engine::Place>,
    },
    /// A run that waited for its turn is handed in.
    Turn {
        run: RunId,
    },
    /// A second report on an effect that was reported on.
    Report {
        performed: Box<Performed<AnyEffect>>,
    },
    /// A second answer to an append that was answered.
    Told {
        ticket: u64,
    },
}

impl Event {
    /// The same once more, where it can come twice.
    fn again(&self) -> Option<Self> {
        match self {
            Self::Probe { run, receipt, effect } => {
                Some(Self::Probe { run: *run, receipt: *receipt, effect: effect.clone() })
            }
            Self::Timer { at, timer } => Some(Self::Timer { at: *at, timer: timer.clone() }),
            Self::Answer { run, approval } => Some(Self::Answer { run: *run, approval: *approval }),
            Self::Signal { run, name } => Some(Self::Signal { run: *run, name: name.clone() }),
            Self::Unpause { run } => Some(Self::Unpause { run: *run }),
            Self::Place { place } => Some(Self::Place { place: place.clone() }),
            Self::Turn { run } => Some(Self::Turn { run: *run }),
            Self::Told { ticket } => Some(Self::Told { ticket: *ticket }),
            // A clearance is used once, and so is what an adapter says of it.
            Self::Effect { .. } | Self::Report { .. } => None,
        }
    }
}

/// One tenant.
pub(crate) struct House {
    pub(crate) number: usize,
    pub(crate) tenant: TenantId,
    pub(crate) scenario: Scenario,
    pub(crate) outside: Outside,
    pub(crate) engine: Engine,
    pub(crate) under_way: Vec<Event>,
    pub(crate) to_start: Vec<cog_engine::Start>,
    /// Runs that runs began.
    born: Vec<RunId>,
    /// Runs that were to go on from others: those whose first entry was lost never were.
    pub(crate) forks: Vec<RunId>,
    /// Whether its engine goes no further: an append was not recorded, or what people were asked
    /// has to be asked anew.
    pub(crate) is_spent: bool,
    /// The run that is just to go on from another, where records of the tree of that one may be gone.
    pub(crate) without: Option<RunId>,
    /// Entries whose bodies were erased.
    pub(crate) erased: BTreeSet<u64>,
    /// Entries of runs before this one were pruned.
    pub(crate) pruned: u64,
}

impl House {
    pub(crate) fn new(common: &mut Common, number: usize, tenant: TenantId, most: u64) -> Self {
        let mut scenario = Scenario::new(number);
        let to_start = scenario.starts(&mut common.dice, common.clock.now(), most);
        common.counts.runs += to_start.len() as u64;
        Self {
            number,
            tenant,
            scenario,
            outside: Outside::default(),
            engine: Self::engine(common, number, tenant),
            under_way: Vec::new(),
            to_start,
            born: Vec::new(),
            forks: Vec::new(),
            is_spent: false,
            without: None,
            erased: BTreeSet::new(),
            pruned: 0,
        }
    }

    pub(crate) fn engine(common: &Common, number: usize, tenant: TenantId) -> Engine {
        let settings = Settings { tenant, status: TenantStatus::Active };
        let seed = common.seed.wrapping_add(common.lives << 32).wrapping_add(number as u64);
        let entropy = Box::new(SeededEntropy::new(seed.wrapping_mul(0x9E37)));
        Engine::new(settings, Arc::new(common.clock.clone()), entropy)
    }

    /// Put the scenario's canon in force, and set the schedules.
    pub(crate) fn found(&mut self, common: &mut Common) -> Result<(), Broken> {
        let who = common.actor("user:cfo")?;
        let variants = self.scenario.variants();
        let Some((canon, files)) = variants.first() else { return Ok(()) };
        let kept = common.disk.store().put_canon(self.tenant, canon.digest(), files);
        kept.map_err(|error| common.broken(&error.to_string()))?;
        let draft = self.engine.change_control().found(canon, ENVIRONMENT, &who);
        let draft = draft.map_err(|error| common.broken(&error.to_string()))?;
        let schedules = schedule::settings(&self.scenario.all, &who);
        let drafts = std::iter::once(draft).chain(schedules).collect();
        let appended = common.append(self.tenant, drafts);
        appended.map(drop).map_err(|error| common.broken(&error))
    }

    /// Start the next of its runs.
    pub(crate) fn start(&mut self, common: &mut Common) -> Result<(), Broken> {
        let Some(mut start) = self.to_start.pop() else { return Ok(()) };
        let log = common.disk.log(self.tenant);
        start.firing = schedule::firing(&log, &start, common.clock.now());
        // Some signals come before anybody waits for them.
        let (run, name) = (start.run, "payment".to_owned());
        if common.roll(3) == 0 {
            self.under_way.push(Event::Signal { run, name });
        }
        self.handle(common, Input::Start(Box::new(start)))
    }

    /// Somebody reads what was asked for, of a run that may begin, and hands it in.
    fn take_turn(&mut self, common: &mut Common, run: RunId) -> Result<(), Broken> {
        common.counts.acts.add("queue.called");
        let records = kept(&common.disk.log(self.tenant));
        let is_it =
            |it: &&Record| it.entry.kind() == Kind::SessionQueued && run_of(&it.entry) == Some(run);
        let record = records.iter().find(is_it);
        let record = record.ok_or_else(|| common.broken("who was called asked for nothing"))?;
        let input = match asked(record) {
            Ok(start) => Input::Start(Box::new(start)),
            Err(reason) => Input::GiveUp { run, reason },
        };
        self.handle(common, input)
    }

    /// Somebody holds one of the runs, if it is open.
    pub(crate) fn pause(&mut self, common: &mut Common) -> Result<(), Broken> {
        let Some(run) = self.some_run(common) else { return Ok(()) };
        let who = Self::somebody(common)?;
        self.handle(common, Input::Pause { run, who, reason: "not now".to_owned() })
    }

    /// Somebody ends one of the runs, if it is open.
    pub(crate) fn cancel(&mut self, common: &mut Common) -> Result<(), Broken> {
        let Some(run) = self.some_run(common) else { return Ok(()) };
        let who = Self::somebody(common)?;
        self.handle(common, Input::Cancel { run, who, reason: "not any more".to_owned() })
    }

    /// Something that somebody entitled could say to a run of this tenant, with its number.
    pub(crate) fn of_its_own(
        &mut self,
        common: &mut Common,
    ) -> Result<Option<(usize, Input)>, Broken> {
        let Some(run) = self.some_run(common) else { return Ok(None) };
        let who = common.actor("user:operator")?;
        let asked = self.under_way.iter().find_map(|event| match event {
            Event::Answer { run, approval } => Some((*run, *approval)),
            Event::Effect { .. }
            | Event::Probe { .. }
            | Event::Timer { .. }
            | Event::Signal { .. }
            | Event::Unpause { .. }
            | Event::Place { .. }
            | Event::Turn { .. }
            | Event::Report { .. }
            | Event::Told { .. } => None,
        });
        let input = match (common.roll(4), asked) {
            (0 | 1, Some((run, approval))) => {
                let who = common.actor("user:cfo")?;
                Input::Answer { run, approval, who, verdict: Ok(cog_base::json::Map::new()) }
            }
            (0, None) => Input::Pause { run, who, reason: "not now".to_owned() },
            (2, _) => {
                let sent = self.sent(common, "payment".to_owned());
                Input::Signal { run, sent: Box::new(sent) }
            }
            (_, _) => Input::Cancel { run, who, reason: "not any more".to_owned() },
        };
        Ok(Some((self.number, input)))
    }

    /// One of the runs, those that runs began among them.
    fn some_run(&mut self, common: &mut Common) -> Option<RunId> {
        let others = self.born.iter().chain(&self.forks).copied();
        let all: Vec<_> = self.scenario.all.iter().map(|start| start.run).chain(others).collect();
        common.drawn(&all)
    }

    /// Who wants to end a run: one time in two somebody who may not.
    pub(crate) fn somebody(common: &mut Common) -> Result<Actor, Broken> {
        let entitled = common.roll(2) == 0;
        let people = if entitled { &MAY_END[..] } else { &MAY_NOT_END[..] };
        let who = common.drawn(people).unwrap_or_default();
        common.actor(who)
    }

    /// One of the things that are under way comes about.
    pub(crate) fn happen(&mut self, common: &mut Common, place: usize) -> Result<(), Broken> {
        let event = self.under_way.swap_remove(place);
        if common.one_in(common.faults.repeat)
            && let Some(again) = event.again()
        {
            common.counts.faults.add("repeated");
            self.under_way.push(again);
        }
        match event {
            Event::Effect { cleared } => self.effect(common, *cleared),
            Event::Probe { run, receipt, effect } => {
                let found = self.outside.probe(&effect);
                self.handle(common, Input::Probed { run, receipt, found })
            }
            Event::Timer { at, timer } => {
                common.clock.reach(at);
                self.handle(common, Input::Due(timer))
            }
            Event::Answer { run, approval } => {
                let mut who = common.actor("user:cfo")?;
                let request = self.engine.gate().approvals().get(approval);
                let handed = request.is_some_and(|it| it.delegated.contains_key(who.as_str()));
                if handed || common.roll(4) == 0 {
                    let to = common.actor("user:deputy")?;
                    let (from, reason) = (std::mem::replace(&mut who, to.clone()), None);
                    if !handed {
                        common.counts.acts.add("approval.delegated");
                        let asked = Input::Delegate { run, approval, who: from, to, reason };
                        self.handle(common, asked)?;
                    }
                }
                let no = common.roll(4) == 0;
                let verdict = if no { Err("not this time".into()) } else { Ok(()) };
                let verdict = verdict.map(|()| cog_base::json::Map::new());
                self.handle(common, Input::Answer { run, approval, who, verdict })
            }
            Event::Unpause { run } => {
                for who in [Self::somebody(common)?, common.actor("user:operator")?] {
                    let reason = "now".to_owned();
                    self.handle(common, Input::Unpause { run, who, reason })?;
                }
                Ok(())
            }
            Event::Signal { run, name } => {
                let sent = self.sent(common, name);
                self.handle(common, Input::Signal { run, sent: Box::new(sent) })
            }
            Event::Place { place } => {
                let places = place.roots.into_iter().map(|root| (root.name, root.path));
                let placed = Placed { base: place.base, places: places.collect() };
                let (parent, run) = (place.parent, place.run);
                self.handle(common, Input::Placed { parent, run, placed: Ok(placed) })
            }
            Event::Turn { run } => self.take_turn(common, run),
            Event::Report { performed } => self.handle(common, Input::Performed(performed)),
            Event::Told { ticket } => {
                let input = if common.roll(2) == 0 {
                    Input::Committed { ticket, entries: Vec::new() }
                } else {
                    Input::NotCommitted { ticket, message: "said again".to_owned() }
                };
                self.handle(common, input)
            }
        }
    }

    /// A signal: one that fits, one that does not, or one again.
    fn sent(&self, common: &mut Common, name: String) -> Sent {
        let subject = Some(common.drawn(&self.scenario.subjects()).unwrap_or_default());
        let subject = subject.filter(|_| common.roll(2) == 0);
        let part = common.drawn(&["one", "two", "three"]).unwrap_or("one");
        let payload = Value::map([("part", part), ("said", &self.scenario.canary)]);
        let (id, from) = (format!("{name}-{part}"), "user:shop".to_owned());
        Sent { signal: Signal { id, name, from, payload }, subject }
    }

    fn effect(&mut self, common: &mut Common, cleared: Cleared<AnyEffect>) -> Result<(), Broken> {
        self.authorised(common, &cleared);
        if common.one_in(common.faults.crash) {
            // The process dies before the effect, or after it and before anyone knows.
            if common.roll(2) == 0 {
                self.outside.act(&cleared);
            }
            common.is_dying = true;
            return Ok(());
        }
        let (fate, name) = if common.one_in(common.faults.transient) {
            (Fate::Transient, "effect.failed_in_passing")
        } else if common.one_in(common.faults.failed) {
            (Fate::Failed, "effect.failed")
        } else if common.one_in(common.faults.unclear) {
            if common.roll(2) == 0 {
                common.counts.faults.add("effect.outlived");
                self.outside.act(&cleared);
                let lost = cleared.counterfoil().lost(Lapse::TimedOut);
                return self.handle(common, Input::Performed(Box::new(lost)));
            }
            (Fate::Unclear, "effect.unclear")
        } else {
            (Fate::Done, "")
        };
        if fate != Fate::Done {
            common.counts.faults.add(name);
        }
        if common.one_in(common.faults.repeat) {
            // Whoever waited for the adapter says that it is lost, and the adapter answers.
            common.counts.faults.add("effect.reported_twice");
            let performed = Box::new(cleared.counterfoil().lost(Lapse::Gone));
            self.under_way.push(Event::Report { performed });
        }
        let performed = self.outside.perform(cleared, fate);
        self.handle(common, Input::Performed(Box::new(performed)))
    }

    fn authorised(&mut self, common: &Common, cleared: &Cleared<AnyEffect>) {
        let receipt = cleared.idempotency_key();
        if !common.disk.holds(self.tenant, &receipt.to_string()) {
            self.outside.unauthorised.insert(receipt);
        }
    }

    /// What was under way is lost. Some effects take place all the same, and nobody hears of them.
    pub(crate) fn lose(&mut self, common: &mut Common) {
        self.is_spent = false;
        for event in std::mem::take(&mut self.under_way) {
            if let Event::Effect { cleared } = event
                && common.roll(4) == 0
            {
                self.authorised(common, &cleared);
                self.outside.act(&cleared);
            }
        }
    }

    pub(crate) fn handle(&mut self, common: &mut Common, input: Input) -> Result<(), Broken> {
        let outputs = self.engine.handle(input);
        for output in outputs.map_err(|error| common.broken(&error.to_string()))? {
            match output {
                Output::Append { ticket, drafts } => {
                    common.appends.push_back(Append { tenant: self.tenant, ticket, drafts });
                }
                Output::Perform { cleared, .. } => self.under_way.push(Event::Effect { cleared }),
                // Adapters begin at once, and what they have in hand is waited for.
                Output::Withdraw { .. } => {}
                Output::Probe { run, receipt, effect } => {
                    self.under_way.push(Event::Probe { run, receipt, effect });
                }
                Output::Place(place) => self.under_way.push(Event::Place { place }),
                Output::Arm { timer, ms } => {
                    let at = common.clock.now().plus_ms(ms);
                    self.under_way.push(Event::Timer { at, timer });
                }
                Output::Notice(notice) => self.hear(common, notice)?,
            }
        }
        Ok(())
    }

    fn hear(&mut self, common: &Common, Notice { run, what }: Notice) -> Result<(), Broken> {
        if let What::NotBegun { message } | What::Stopped { message } = &what
            && !self.is_spent
            && self.without != Some(run)
        {
            return Err(common.broken(&format!("{run} is stopped: {message}")));
        }
        if let What::NotCounted { approval, .. } = &what {
            // Under another canon it is asked anew, by an engine that goes on from the log.
            let asked = self.engine.gate().approvals().get(*approval).map(|it| it.canon);
            self.is_spent |=
                asked.is_some() && asked != self.engine.change_control().in_force(DOMAIN);
        }
        if matches!(what, What::Called) {
            self.under_way.push(Event::Turn { run });
        } else if let What::Begun { child, .. } = what {
            self.born.push(child);
        } else if let What::Sealed(sealed) = what {
            self.born.extend(sealed.next);
        } else if let What::Parked { approvals, signals, paused, .. } = what {
            self.under_way.extend(paused.map(|_| Event::Unpause { run }));
            let answers = approvals.into_iter();
            self.under_way.extend(answers.map(|approval| Event::Answer { run, approval }));
            for (_, name) in signals {
                let twice = [name.clone(), name].map(|name| Event::Signal { run, name });
                self.under_way.extend(twice);
            }
        }
        Ok(())
    }
}

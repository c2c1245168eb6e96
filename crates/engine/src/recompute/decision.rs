//! One entry, recomputed.

use std::sync::Arc;

use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::json::Canonical as _;
use cog_base::{Timestamp, Value};
use cog_canon::Canon;
use cog_gate::act;
use cog_gate::approvals::NotCounted;
use cog_gate::decision::{CLOCK_BEHIND_MS_MAX, Decision, Verdict};
use cog_gate::door::effect_of;
use cog_gate::effect::Footprint;
use cog_gate::snapshot::{Snapshot, TenantStatus};
use cog_gate::{Actor, Counts, Effect, Intent, Wish, World};
use cog_ledger::{Entry, Kind};

use super::{Recompute, counts};
use crate::active::class_in;
use crate::again::Next;
use crate::carried::settled;
use crate::children::{Parent, run_of};
use crate::choose::chosen_again;
use crate::history::Record;
use crate::replay::{Again, NotAgain, Replayed, again, compare, judge_again};
use crate::start::classes_in;

/// A decision that was made again.
struct Made<'a> {
    run: RunId,
    entry: &'a Entry,
    intent: &'a Intent,
    /// What its effect reads and writes.
    footprint: &'a Footprint,
    canon: Option<&'a Arc<Canon>>,
}

impl Recompute {
    pub(super) fn step(&mut self, run: RunId, record: &Record) {
        let entry = &record.entry;
        match entry.kind() {
            Kind::Receipt | Kind::Denial | Kind::ApprovalRequested => {
                self.decision(run, record);
                self.gate.recall(entry);
                if let Some(receipt) = receipt_of(entry) {
                    self.times.receipt(receipt, entry);
                }
            }
            Kind::PlanSelected => self.plan(record),
            Kind::ApprovalGranted | Kind::ApprovalRejected => self.answer(entry),
            Kind::ApprovalEscalated => self.escalated(entry),
            Kind::ApprovalDelegated => self.delegated(entry),
            Kind::Outcome => self.outcome(entry),
            Kind::ChildStarted => {
                let classes = classes_in(entry.data());
                self.handed.extend(run_of(entry).ok().map(|child| (child, classes)));
            }
            Kind::SessionStarted => {
                self.handed_over(run, entry);
                self.is_governed(entry);
            }
            Kind::SessionSealed => {
                let next = Next::of(entry).map(|next| (next.run, next.classes()));
                self.handed.extend(next);
                let class = record.body.as_ref().map(class_in);
                self.given.extend(class.filter(|_| self.is_child(run)).map(|class| (run, class)));
            }
            Kind::ChildEnded => self.handed_back(record),
            Kind::SessionPaused
            | Kind::SessionUnpaused
            | Kind::Output
            | Kind::Signal
            | Kind::Evidence
            | Kind::Genesis
            | Kind::KeyRotated
            | Kind::CanonProposed
            | Kind::CanonApproved
            | Kind::CanonRejected
            | Kind::CanonActivated
            | Kind::Promotion
            | Kind::Checkpoint
            | Kind::Replay
            | Kind::ScheduleSet
            | Kind::ScheduleRemoved
            | Kind::SchedulePaused
            | Kind::ScheduleUnpaused
            | Kind::WorkflowActivated
            | Kind::ScheduleFired
            | Kind::SessionQueued
            | Kind::SessionUnqueued
            | Kind::BodiesErased
            | Kind::SegmentPruned => {}
        }
    }

    /// A run begins in an environment that the canon lists which was in force then. What a run
    /// begins goes on where that one is.
    fn is_governed(&mut self, entry: &Entry) {
        let canon = entry.canon().and_then(|digest| self.canons.get(&digest).cloned());
        let who = entry.actor().parse();
        let (Some(canon), Ok(who), None) = (canon, who, Parent::of(entry)) else { return };
        let place = (entry.domain(), entry.environment());
        let workflow = entry.text("workflow").unwrap_or_default();
        let act = act::Act::begin(entry.tenant(), place, workflow, &who, Some(&canon));
        if let Some(no) = act.judge(&act::Facts::Begin, entry.at(), Some(&canon)) {
            self.find(entry, "session.environment", no.reason.as_str());
        }
    }

    /// A run that another began knows of its inputs what that one said.
    fn handed_over(&mut self, run: RunId, entry: &Entry) {
        let handed = self.handed.remove(&run);
        if handed.is_some_and(|handed| handed != classes_in(entry.data())) {
            let message = "its inputs are of other classes than the run that began it says";
            self.find(entry, "data.class", message);
        }
    }

    /// What a run hears of another is of the class that the seal of that one says.
    fn handed_back(&mut self, record: &Record) {
        let child = run_of(&record.entry).ok();
        let given = child.and_then(|child| self.given.remove(&child));
        let (Some(given), Some(body)) = (given, &record.body) else { return };
        if given != class_in(body) {
            let message = "what the run gave is of another class than its seal says";
            self.find(&record.entry, "data.class", message);
        }
    }

    /// Whether a run began this one.
    fn is_child(&self, run: RunId) -> bool {
        self.roots.get(&run).is_some_and(|root| *root != run)
    }

    /// The tree of a run whose accounts cannot be counted any more.
    fn lose_count(&mut self, run: RunId) {
        self.uncounted.extend(self.roots.get(&run));
    }

    pub(super) fn find(&mut self, entry: &Entry, code: &'static str, message: impl Into<String>) {
        self.result.findings.add(Some(entry.seq()), code, message);
    }

    /// Judge a recorded refusal of an act again.
    pub(super) fn act(&mut self, record: &Record) {
        self.result.decisions = self.result.decisions.saturating_add(1);
        let said = match judge_again(record, &self.canons) {
            Err(NotAgain::Absent(_)) => return,
            Ok(None) => None,
            Ok(Some(found)) => {
                let code = record.entry.text("code").unwrap_or_default();
                Some(("decision.differs", format!("recorded {code}, found {found}")))
            }
            Err(NotAgain::Unread(why)) => Some(("decision.record", why)),
            Err(NotAgain::OtherSnapshot { .. }) => {
                let message = "the snapshot beside it is not the one that it names";
                Some(("decision.record", message.to_owned()))
            }
        };
        self.result.recomputed = self.result.recomputed.saturating_add(1);
        if let Some((code, message)) = said {
            self.result.differ = self.result.differ.saturating_add(1);
            self.find(&record.entry, code, message);
        }
    }

    fn decision(&mut self, run: RunId, record: &Record) {
        if act::is_refused(&record.entry) {
            return self.act(record);
        }
        self.result.decisions = self.result.decisions.saturating_add(1);
        let entry = &record.entry;
        let Again { intent, snapshot, decision, canon } = match again(record, &self.canons) {
            Ok(again) => again,
            Err(why) => {
                // Without it what is counted of the run is less than it was.
                if entry.kind() == Kind::Receipt {
                    self.lose_count(run);
                }
                return match why {
                    NotAgain::Absent(_) => self.unfounded(entry),
                    NotAgain::Unread(why) => self.find(entry, "decision.record", why),
                    NotAgain::OtherSnapshot { .. } => {
                        let message = "the snapshot beside it is not the one that it names";
                        self.find(entry, "decision.record", message);
                    }
                };
            }
        };
        self.result.recomputed = self.result.recomputed.saturating_add(1);
        let before = self.result.findings.total();
        if let Some(body) = &record.body
            && let Replayed::Differs { recorded, found } = compare(entry, body, &decision)
        {
            let message = difference(body, &decision)
                .unwrap_or_else(|| format!("recorded {recorded}, found {found}"));
            self.find(entry, "decision.differs", message);
        }
        self.entry(entry, &intent, &snapshot, &decision);
        let effect = effect_of(&intent);
        let footprint = effect.as_ref().map(Effect::footprint).unwrap_or_default();
        self.asked(entry, &intent, effect, canon.as_deref());
        self.time(run, entry, &snapshot);
        let made =
            Made { run, entry, intent: &intent, footprint: &footprint, canon: canon.as_ref() };
        self.snapshot(&made, &snapshot);
        self.charged(&made, &decision, snapshot.now);
        if self.result.findings.total() > before {
            self.result.differ = self.result.differ.saturating_add(1);
        }
        if let Some(receipt) = receipt_of(entry) {
            self.gate.recount(receipt, &intent, &footprint, &decision, canon.as_deref());
        }
    }

    /// No permission, and no question to people, comes of a canon that does not load.
    fn unfounded(&mut self, entry: &Entry) {
        let why = entry.canon().and_then(|digest| self.unreadable.get(&digest));
        if let Some(why) = why.filter(|_| entry.kind() != Kind::Denial) {
            let message = format!("the canon that it names does not load: {why}");
            self.find(entry, "canon.unreadable", message);
        }
    }

    /// The entry says what its record says, and what comes out.
    fn entry(&mut self, entry: &Entry, intent: &Intent, snapshot: &Snapshot, decision: &Decision) {
        let origin = intent.origin();
        let text = |name| entry.text(name).unwrap_or_default();
        let texts = |name: &str| {
            let list = entry.data().get(name).and_then(Value::as_list).unwrap_or_default();
            list.iter().filter_map(Value::as_text).map(str::to_owned).collect::<Vec<_>>()
        };
        let of_record = entry.tenant() == origin.tenant
            && entry.session() == Some(origin.session)
            && entry.domain() == origin.domain
            && entry.environment() == origin.environment
            && entry.actor() == intent.actor().as_str()
            && entry.canon() == snapshot.canon
            && entry.digest("intent") == Some(intent.digest())
            && entry.digest("effect") == Some(intent.effect())
            && text("action") == intent.action()
            && text("resource") == intent.resource_text()
            && entry.text("data_class") == intent.class()
            && text("step") == intent.step();
        if !of_record {
            let message = "it names another intent, canon, actor, action, resource, step or run \
                           than the record beside it";
            self.find(entry, "decision.entry", message);
        }
        let terms = &decision.terms;
        let comes_out = match &decision.verdict {
            Verdict::Allow => {
                texts("rules") == terms.policies
                    && texts("approvals") == terms.approvals
                    && entry.text("declassify") == terms.declassify.as_deref()
                    && entry.count("reserve_micros") == Some(intent.cost().get())
            }
            Verdict::Refuse(name) => {
                let failed = decision.failed();
                let rule = failed.and_then(|check| check.rules.first());
                text("check") == name.word()
                    && failed.is_some_and(|check| text("code") == check.code)
                    && entry.text("rule") == rule.map(|rule| rule.id.as_str())
            }
            Verdict::NeedsApproval(need) => {
                let of = entry.data().get("need").and_then(|need| need.get("of")?.as_list());
                let of: Vec<_> = of.unwrap_or_default().iter().filter_map(Value::as_text).collect();
                let count = entry.data().get("need").and_then(|need| need.get("count")?.as_u64());
                count == Some(need.count) && of == need.of
            }
            Verdict::Wait => true,
        };
        if !comes_out {
            let message = "it names other rules, consents, people, costs or codes than come out";
            self.find(entry, "decision.entry", message);
        }
    }

    /// What the snapshot says of the run is what its entries show. What is wanted of a run as a
    /// whole reads none of it.
    fn snapshot(&mut self, made: &Made<'_>, snapshot: &Snapshot) {
        let Made { run, entry, intent, footprint, canon } = *made;
        if Wish::of(intent.action()).is_some() {
            return;
        }
        let world = World {
            now: snapshot.now,
            ledger_at: Timestamp::MIN,
            tenant: TenantStatus::Active,
            canon,
            in_force: snapshot.canon,
        };
        let shown = self.gate.snapshot(intent, footprint, &world);
        let is_counted = self.is_counted(run);
        let of_run = is_counted.then(|| counts::compare(snapshot, &shown));
        let of_domain = counts::compare_periods(snapshot, &shown, is_counted);
        for (code, message) in of_run.into_iter().flatten().chain(of_domain) {
            self.find(entry, code, message);
        }
        let began = snapshot.periods.values().map(|tally| tally.start).min();
        if began.is_some_and(|began| self.whole_since.is_some_and(|since| began < since)) {
            self.result.partial = self.result.partial.saturating_add(1);
        }
    }

    /// A receipt counts in the periods of its domain what comes out.
    fn charged(&mut self, made: &Made<'_>, decision: &Decision, now: Timestamp) {
        let Made { run, entry, intent, footprint, canon } = *made;
        if entry.kind() != Kind::Receipt {
            return;
        }
        let canon = canon.map(Arc::as_ref);
        let found = self.gate.counts(intent, footprint, decision, canon, now);
        let said = Counts::of_entry(entry);
        let is_same = match (&said, &found) {
            (Some(said), Some(found)) => said.is_same(found, self.is_counted(run)),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_same {
            let message = "it counts otherwise in the periods of its domain than comes out";
            self.find(entry, "decision.period", message);
        }
    }

    fn plan(&mut self, record: &Record) {
        self.result.decisions = self.result.decisions.saturating_add(1);
        let entry = &record.entry;
        let canon = entry.canon().and_then(|digest| self.canons.get(&digest)).map(Arc::as_ref);
        let is_here = canon.is_some() || entry.canon().is_none();
        let Some(body) = record.body.as_ref().filter(|_| is_here) else { return };
        self.result.recomputed = self.result.recomputed.saturating_add(1);
        if let Err(message) = chosen_again(entry.data(), body, canon) {
            self.result.differ = self.result.differ.saturating_add(1);
            self.find(entry, "plan.differs", message);
        }
    }

    /// Whoever answered was one of those who may, by the facts of the canon.
    fn answer(&mut self, entry: &Entry) {
        self.times.answer(entry);
        let canon: Option<&Canon> =
            entry.canon().and_then(|digest| self.canons.get(&digest)).map(Arc::as_ref);
        let id = entry.id().and_then(|id| id.parse::<ApprovalId>().ok());
        let (Some(canon), Some(id), Ok(who)) = (canon, id, entry.actor().parse()) else { return };
        let answered = self.gate.approvals().grant(id, &who, canon, entry.at());
        if let Err(error @ (NotCounted::OwnRequest(_) | NotCounted::NotOfGroup { .. })) = answered {
            self.find(entry, "approval.not_entitled", error.to_string());
        } else if let Err(error @ NotCounted::HandedOver { .. }) = answered {
            self.find(entry, "approval.delegated", error.to_string());
        } else if answered.is_ok_and(|draft| draft.data.get("for") != entry.data().get("for")) {
            self.find(entry, "approval.delegated", "it is said in a name that is not theirs");
        }
    }

    /// Whoever had another person answer was one of those who may, and so may be that one, by the canon.
    fn delegated(&mut self, entry: &Entry) {
        let canon: Option<&Canon> =
            entry.canon().and_then(|digest| self.canons.get(&digest)).map(Arc::as_ref);
        let id = entry.id().and_then(|id| id.parse::<ApprovalId>().ok());
        let actor = |text: Option<&str>| text.and_then(|text| text.parse::<Actor>().ok());
        let both = actor(Some(entry.actor())).zip(actor(entry.text("to")));
        let (Some(canon), Some(id)) = (canon, id) else { return };
        let Some((who, to)) = both else {
            return self.find(entry, "approval.delegated", "it names nobody");
        };
        let approvals = self.gate.approvals();
        match approvals.delegate(id, (&who, &to), None, canon, entry.at()) {
            // What is pruned or was late nobody can tell by now.
            Ok(_)
            | Err(NotCounted::Unknown(_) | NotCounted::Expired(_) | NotCounted::StepExpired(_)) => {
            }
            Err(error) => self.find(entry, "approval.delegated", error.to_string()),
        }
    }

    /// Others are let answer what the request says, when its time has come.
    fn escalated(&mut self, entry: &Entry) {
        let id = entry.id().and_then(|id| id.parse::<ApprovalId>().ok());
        let request = id.and_then(|id| self.gate.approvals().get(id));
        // Where the request was pruned nobody can tell.
        let Some(request) = request else { return };
        // The clock may have been set back between the decision and the entry.
        let late = entry.at().plus_ms(CLOCK_BEHIND_MS_MAX);
        let draft = request.escalating(entry.at()).or_else(|| request.escalating(late));
        if draft.is_none_or(|draft| draft.data != *entry.data()) {
            let message = "nobody else was to be let answer, or not yet, or others";
            self.find(entry, "approval.escalated", message);
        }
    }

    fn outcome(&mut self, entry: &Entry) {
        if let Some((session, receipt, report)) = settled(entry) {
            self.times.outcome(self.roots.get(&session).copied(), receipt);
            self.gate.resettle(session, receipt, &report);
        }
    }
}

/// The first check that comes out otherwise, in a few words.
fn difference(body: &Value, decision: &Decision) -> Option<String> {
    let recorded = body.at(&["trace", "checks"])?.as_list()?;
    let text = |check: &Value, name| Some(check.get(name)?.as_text()?.to_owned());
    let mut recorded = recorded.iter();
    decision.checks.iter().find_map(|check| {
        let before = recorded.next();
        let code = before.and_then(|before| text(before, "code")).unwrap_or_default();
        let is_same = before
            .map(ToString::to_string)
            .is_some_and(|before| before.as_bytes() == check.canonical());
        let name = check.name.word();
        (!is_same).then(|| {
            if code == check.code {
                format!("the check `{name}` reads or rests on something else than is recorded")
            } else {
                format!("the check `{name}` gives {}, recorded is {code}", check.code)
            }
        })
    })
}

fn receipt_of(entry: &Entry) -> Option<ReceiptId> {
    entry.text("id").filter(|_| entry.kind() == Kind::Receipt)?.parse().ok()
}

//! A house whose gate is attacked: one tenant with a canon in force, an open run, and a
//! ledger in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::entropy::SeededEntropy;
use cog_base::id::{ApprovalId, ReceiptId, RunId, TenantId};
use cog_base::json::{Map, parse};
use cog_base::{Digest, Micros, Timestamp, Value};
use cog_canon::{Canon, Source};
use cog_gate::change::ChangeControl;
use cog_gate::effect::{FileRead, FileWrite, HttpRequest, ModelChat};
use cog_gate::snapshot::{Access, TenantStatus};
use cog_gate::{
    Actor, Answer, AnyEffect, Cleared, Effect, Gate, Limits, Origin, Pending, Permit, Question,
    Report, World,
};
use cog_ledger::audit::Audit;
use cog_ledger::memory::{MemoryKeys, MemoryShelf};
use cog_ledger::{Draft, Durable, Entry, Kind, Writer};

pub(crate) const DOMAIN: &str = "accounts-payable";
pub(crate) const CLERK: &str = "agent:clerk";

const SETTINGS: &str = include_str!("canon/canon.toml");
const SCHEMA: &str = include_str!("canon/schema.cedarschema");
const POLICIES: &str = include_str!("canon/policies/effects.cedar");
const FACTS: &str = include_str!("canon/facts/people.json");

/// A Tuesday at noon.
pub(crate) fn noon() -> Timestamp {
    "2026-11-24T12:00:00.000000Z".parse().unwrap()
}

/// The canon of the house, changed where `change` changes a file's text.
pub(crate) fn canon_with(change: impl Fn(&str, &str) -> String) -> Canon {
    let files = [
        ("canon.toml", SETTINGS),
        ("schema.cedarschema", SCHEMA),
        ("policies/effects.cedar", POLICIES),
        ("facts/people.json", FACTS),
    ];
    let changed = files.map(|(path, text)| (path.to_owned(), change(path, text).into_bytes()));
    Canon::load(&Source::new(changed)).unwrap()
}

pub(crate) fn canon() -> Canon {
    canon_with(|_, text| text.to_owned())
}

/// The canon with `from` replaced by `to`, which must stand in it.
pub(crate) fn canon_but(from: &str, to: &str) -> Canon {
    assert!([SETTINGS, SCHEMA, POLICIES, FACTS].iter().any(|text| text.contains(from)), "{from}");
    canon_with(|_, text| text.replace(from, to))
}

/// A run of ample means.
pub(crate) fn ample() -> Limits {
    let roots = [("invoices", Access::Read), ("broken", Access::Read)];
    let written = [("payments", Access::Write), ("notes", Access::Write)];
    let roots = roots.into_iter().chain(written);
    Limits {
        cost: Some(Micros::new(1_000_000)),
        effects: Some(100),
        roots: roots.map(|(name, access)| (name.to_owned(), access)).collect(),
        folders: BTreeMap::new(),
    }
}

pub(crate) struct House {
    pub(crate) gate: Gate,
    pub(crate) writer: Writer<MemoryShelf>,
    pub(crate) keys: MemoryKeys,
    pub(crate) changes: ChangeControl,
    pub(crate) canon: Option<Arc<Canon>>,
    pub(crate) in_force: Option<Digest>,
    pub(crate) origin: Origin,
    pub(crate) step: &'static str,
    pub(crate) sources: cog_base::Sources,
    pub(crate) now: Timestamp,
    pub(crate) status: TenantStatus,
    pub(crate) entropy: SeededEntropy,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(canon(), ample())
    }

    pub(crate) fn with(canon: Canon, limits: Limits) -> Self {
        let mut entropy = SeededEntropy::new(7);
        let origin = Origin {
            tenant: TenantId::new(noon(), &mut entropy).unwrap(),
            domain: DOMAIN.to_owned(),
            environment: "production".to_owned(),
            session: RunId::new(noon(), &mut entropy).unwrap(),
            workflow: "pay-supplier-invoices".to_owned(),
            initiator: actor("user:ada"),
        };
        let keys = MemoryKeys::default();
        let mut house = Self {
            gate: Gate::default(),
            writer: Writer::new(MemoryShelf::default(), Box::new(keys.clone()), "cognitionos/test"),
            keys,
            changes: ChangeControl::default(),
            in_force: Some(canon.digest()),
            canon: Some(canon.into()),
            origin,
            step: "pay",
            sources: Default::default(),
            now: noon(),
            status: TenantStatus::Active,
            entropy,
        };
        house.open(limits);
        house
    }

    /// Put the canon in force and begin the run, on the record.
    fn open(&mut self, limits: Limits) {
        let canon = self.canon.as_ref().unwrap();
        let found = self.changes.found(canon, "production", &actor("user:chair")).unwrap();
        self.record(found);
        let roots = limits
            .roots
            .iter()
            .map(|(name, access)| (name.as_str(), Value::map([("access", access.word())])));
        let nothing = Value::from(Digest::of(&[]));
        let started = [
            ("workflow", Value::from(self.origin.workflow.as_str())),
            ("definition", nothing.clone()),
            ("inputs", nothing),
            ("roots", Value::map(roots)),
            ("initiator", self.origin.initiator.as_str().into()),
            ("canon", self.in_force.into()),
        ];
        let started = self.draft(Kind::SessionStarted, "user:ada", started);
        self.record(started);
        self.gate.open_session(self.origin.tenant, self.origin.session, limits);
    }

    /// A draft that somebody writes by hand.
    pub(crate) fn draft<'a>(
        &self,
        kind: Kind,
        who: &str,
        data: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Draft {
        Draft {
            kind,
            actor: who.to_owned(),
            domain: DOMAIN.to_owned(),
            environment: "production".to_owned(),
            session: kind.in_session().then_some(self.origin.session),
            canon: kind.in_session().then_some(self.in_force).flatten(),
            data: data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: None,
        }
    }

    pub(crate) fn record(&mut self, draft: Draft) -> Durable<Entry> {
        let drafts = vec![(self.origin.tenant, draft)];
        let mut entries = self.writer.append(drafts, self.now, &mut self.entropy).unwrap();
        let entry = entries.pop().unwrap();
        self.gate.observe(&entry);
        self.changes.observe(&entry);
        entry
    }

    pub(crate) fn ledger_at(&mut self) -> Timestamp {
        self.writer.head(self.origin.tenant).unwrap().unwrap().last_at
    }

    pub(crate) fn entries(&mut self) -> Vec<std::sync::Arc<Entry>> {
        let tenant = self.origin.tenant;
        self.writer.shelf().log(tenant).unwrap().entries().cloned().collect()
    }

    /// The codes of what an auditor finds wrong in the ledger.
    pub(crate) fn audit(&mut self) -> Vec<&'static str> {
        let mut audit = Audit::new(0);
        for entry in self.entries() {
            audit.entry(&entry);
        }
        audit.finish().findings.kept().iter().map(|finding| finding.code).collect()
    }

    /// How many entries of a kind the ledger has.
    pub(crate) fn count(&mut self, kind: Kind) -> usize {
        self.entries().iter().filter(|entry| entry.kind() == kind).count()
    }

    pub(crate) fn ask<E: Effect>(&mut self, who: &str, effect: E) -> Answer<E> {
        let ledger_at = self.ledger_at();
        let world = World {
            now: self.now,
            ledger_at,
            tenant: self.status,
            canon: self.canon.as_ref(),
            in_force: self.in_force,
        };
        let question = Question {
            origin: &self.origin,
            step: self.step,
            actor: actor(who),
            effect,
            subject: None,
            sources: self.sources.clone(),
        };
        self.gate.ask(question, &world, &mut self.entropy).unwrap()
    }

    /// Ask and, where something is to be recorded, record it. In words: `permitted`,
    /// `refused <check> <code>`, `asks <count> of <whom>`, `waits for <key>`. The ledger must
    /// say the same.
    pub(crate) fn answer(&mut self, who: &str, effect: impl Into<AnyEffect>) -> String {
        match self.ask(who, effect.into()) {
            Answer::Permitted(mut pending) => {
                let entry = self.record(pending.take_draft().unwrap());
                assert_eq!(entry.kind(), Kind::Receipt);
                "permitted".to_owned()
            }
            Answer::Refused(refusal) => {
                let entry = self.record(refusal.draft);
                assert_eq!(entry.kind(), Kind::Denial);
                assert_eq!(entry.text("code"), Some(refusal.code.as_str()));
                assert!(!refusal.reason.is_empty());
                format!("refused {} {}", entry.text("check").unwrap(), refusal.code)
            }
            Answer::NeedsApproval(asked) => {
                if let Some(draft) = asked.draft {
                    self.record(draft);
                }
                format!("asks {} of {}", asked.need.count, asked.need.of.join(", "))
            }
            Answer::Waits { conflicts, .. } => format!("waits for {}", conflicts[0].key),
        }
    }

    /// The pending authorisation of what must be allowed.
    pub(crate) fn pending<E: Effect>(&mut self, effect: E) -> Pending<E> {
        let Answer::Permitted(pending) = self.ask(CLERK, effect) else { panic!("it is allowed") };
        *pending
    }

    pub(crate) fn permit<E: Effect>(&mut self, effect: E) -> Permit<E> {
        let mut pending = self.pending(effect);
        let entry = self.record(pending.take_draft().unwrap());
        pending.granted(&entry).unwrap()
    }

    pub(crate) fn clear<E: Effect>(&mut self, effect: E) -> Cleared<E> {
        let permit = self.permit(effect);
        self.gate.clear(permit, self.now).unwrap()
    }

    /// Perform an effect from end to end, as if it gave `output` at `cost`.
    pub(crate) fn perform<E: Effect>(&mut self, effect: E, output: Value, cost: u64) -> Report {
        let performed = self.clear(effect).done(output, Micros::new(cost));
        let (draft, settling) = performed.settle();
        self.gate.close(self.origin.session, &settling);
        let entry = self.record(draft);
        settling.settled(&entry).unwrap().into_report()
    }

    /// The id of the request that waits for consent.
    pub(crate) fn waiting(&self) -> ApprovalId {
        self.gate.approvals().waiting().last().unwrap().id
    }

    /// `who` says yes to the waiting request, on the record.
    pub(crate) fn approve(&mut self, who: &str) {
        let id = self.waiting();
        let canon = self.canon.as_ref().unwrap();
        let draft = self.gate.approvals().grant(id, &actor(who), canon, self.now).unwrap();
        self.record(draft);
    }
}

pub(crate) fn actor(text: &str) -> Actor {
    text.parse().unwrap()
}

pub(crate) fn receipt_id(seed: u64) -> ReceiptId {
    ReceiptId::new(noon(), &mut SeededEntropy::new(seed)).unwrap()
}

pub(crate) fn read(root: &str, path: &str) -> FileRead {
    FileRead { root: root.to_owned(), path: path.to_owned() }
}

/// An effect from its arguments, as a workflow gives them.
pub(crate) fn effect(uses: &str, args: &str) -> AnyEffect {
    AnyEffect::from_args(uses, &map(args)).unwrap()
}

/// A payment of so many cents into the file `<name>.json`.
pub(crate) fn pay(name: &str, cents: u64) -> FileWrite {
    let args = format!(
        r#"{{"root":"payments","path":"{name}.json","document":{{"amount_cents":{cents}}}}}"#
    );
    let AnyEffect::FileWrite(write) = effect("file.write", &args) else { panic!("{args}") };
    write
}

pub(crate) fn get(url: &str) -> HttpRequest {
    let args = format!(r#"{{"url":"{url}"}}"#);
    let AnyEffect::HttpRequest(request) = effect("http.request", &args) else { panic!("{args}") };
    request
}

/// A question that may cost `tokens_max` times two millionths and a little more.
pub(crate) fn chat(content: &str, tokens_max: u64) -> ModelChat {
    let message = cog_gate::effect::Message { role: "user".into(), content: content.into() };
    ModelChat {
        model: "reader".into(),
        messages: vec![message],
        tokens_max,
        temperature_milli: 0,
        json: false,
    }
}

pub(crate) fn map(text: &str) -> Map {
    let value = parse(text).unwrap();
    value.as_map().cloned().unwrap_or_default()
}

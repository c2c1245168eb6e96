//! One decision: what the canon says, and the whole procedure of the gate.

use std::str::FromStr as _;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request, Schema,
};
use cog_base::id::{RunId, TenantId, Uuid};
use cog_base::{Clock as _, Micros, Value};
use cog_canon::{Canon, Ruling};
use cog_gate::decision::{Verdict, decide};
use cog_gate::effect::FileRead;
use cog_gate::snapshot::{Access, Allowance, Folder, Snapshot, Spread as Used, TenantStatus};
use cog_gate::{Intent, Origin};

use crate::canons::{Generated, Spread};
use crate::meter::repeat;
use crate::options::Options;
use crate::report::{Row, rounded};
use crate::system::SystemClock;
use crate::usage;

const PEER: &str = "stock Cedar, all policies";

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let cases = [
        (2, Spread::Scattered),
        (100, Spread::Scattered),
        (1_000, Spread::Scattered),
        (10_000, Spread::Scattered),
        (1_000, Spread::AllMatch),
    ];
    for (count, spread) in cases {
        let name = match spread {
            Spread::Scattered => format!("{count} policies"),
            Spread::AllMatch => format!("{count} policies that all match"),
        };
        if options.wants_case(&name) {
            rows.extend(case(&name, count, spread, options)?);
        }
    }
    Ok(rows)
}

fn case(name: &str, count: u64, spread: Spread, options: &Options) -> anyhow::Result<[Row; 2]> {
    let generated = Generated::new(count, spread);
    let canon = Arc::new(Canon::load(&generated.source()).context("the generated canon")?);
    let intents: Vec<Intent> = generated
        .requests
        .iter()
        .map(|(agent, root)| intent(agent, root))
        .collect::<Result<_, _>>()?;
    let snapshots: Vec<Snapshot> = intents.iter().map(|it| snapshot(it, &canon)).collect();
    let stock = Stock::new(&generated, &intents)?;
    let met = check(&canon, &stock, &intents)?;
    let at = |turn: usize| turn % intents.len();
    let pick = |turn: usize| intents.get(at(turn)).ok_or_else(|| anyhow!("no requests"));

    let seconds = options.seconds;
    let peer = (!options.alone).then(|| repeat(seconds, |turn| stock.decide(at(turn))));
    let peer = peer.transpose()?;
    usage::forget_peak();
    let evaluated = repeat(seconds, |turn| Ok(canon.evaluate(&request(pick(turn)?))))?;
    let evaluated = Row::new(format!("{name}, canon alone"), "decision", evaluated);
    usage::forget_peak();
    let decided = repeat(seconds, |turn| {
        let snapshot = snapshots.get(at(turn)).ok_or_else(|| anyhow!("no snapshots"))?;
        Ok(decide(pick(turn)?, snapshot, Some(&canon)))
    })?;
    let decided = Row::new(format!("{name}, whole gate"), "decision", decided);
    Ok([evaluated, decided].map(|row| {
        row.parameter("policies", count)
            .parameter("policies_met", rounded(met))
            .floor(PEER, peer.clone())
    }))
}

/// All answers are right before anything is timed. Returns how many policies decide a
/// request on average.
fn check(canon: &Canon, stock: &Stock, intents: &[Intent]) -> anyhow::Result<f64> {
    let mut met = 0;
    for (number, intent) in intents.iter().enumerate() {
        let evaluation = canon.evaluate(&request(intent));
        let permits = evaluation.ruling == Ruling::Permit;
        if permits != stock.decide(number)? {
            bail!("the canon and stock Cedar differ about request {number}: {evaluation:?}");
        }
        let decision = decide(intent, &snapshot(intent, canon), Some(canon));
        if permits != (decision.verdict == Verdict::Allow) {
            bail!("the gate decides otherwise than the canon: {decision:?}");
        }
        met += evaluation.policies.len();
    }
    Ok(met as f64 / intents.len().max(1) as f64)
}

fn request(intent: &Intent) -> cog_canon::Request<'_> {
    cog_canon::Request {
        principal: intent.actor().as_str(),
        action: intent.action(),
        resource: intent.resource(),
        context: intent.context(),
    }
}

fn intent(agent: &str, root: &str) -> anyhow::Result<Intent> {
    let origin = Origin {
        tenant: TenantId::from_uuid(Uuid::from_u128(7)),
        domain: "bench".into(),
        environment: "production".into(),
        session: RunId::from_uuid(Uuid::from_u128(8)),
        workflow: "pay-supplier-invoices".into(),
        initiator: "user:operator".parse()?,
    };
    let effect = FileRead { root: root.to_owned(), path: "inbox/2026/invoice-0815.txt".into() };
    let actor = format!("agent:{agent}").parse()?;
    Ok(Intent::new(&origin, "invoice[12].read", actor, &effect, Micros::ZERO, "low"))
}

fn snapshot(intent: &Intent, canon: &Canon) -> Snapshot {
    let (_, root) = intent.resource();
    Snapshot {
        now: SystemClock.now(),
        clock_behind_ms: 0,
        tenant: TenantStatus::Active,
        entitled: None,
        effects: Allowance { used: 12, limit: Some(500) },
        budget: Allowance { used: 1_200, limit: Some(2_000_000) },
        canon: Some(canon.digest()),
        roots: [(root.to_owned(), Access::Read)].into(),
        folder: Some(Folder::new("/srv/in", "/srv")),
        approvals: Vec::new(),
        conflicts: Default::default(),
        spread: Used::default(),
        periods: Default::default(),
    }
}

/// Cedar as it comes: one set of all policies, requests that are built beforehand.
struct Stock {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
}

impl Stock {
    fn new(generated: &Generated, intents: &[Intent]) -> anyhow::Result<Self> {
        let parsed = PolicySet::from_str(&generated.policies)?;
        let mut policies = PolicySet::new();
        for policy in parsed.policies() {
            let id = policy.annotation("id").context("a policy without @id")?;
            policies.add(policy.new_id(PolicyId::new(id)))?;
        }
        let (schema, _) = Schema::from_cedarschema_str(Generated::schema())?;
        let entities = Entities::from_json_str(&generated.facts, Some(&schema))?;
        let requests = intents.iter().map(stock_request).collect::<Result<_, _>>()?;
        Ok(Self { authorizer: Authorizer::new(), policies, entities, requests })
    }

    fn decide(&self, request: usize) -> anyhow::Result<bool> {
        let request = self.requests.get(request).ok_or_else(|| anyhow!("no such request"))?;
        let response = self.authorizer.is_authorized(request, &self.policies, &self.entities);
        Ok(response.decision() == Decision::Allow)
    }
}

fn stock_request(intent: &Intent) -> anyhow::Result<Request> {
    let (kind, name) = intent.resource();
    let (_, agent) = intent.actor().as_str().split_once(':').context("an actor")?;
    let context: Value = Value::Map(intent.context().clone());
    let context = String::from_utf8(context.canonical())?;
    Ok(Request::new(
        EntityUid::from_str(&format!("Agent::\"{agent}\""))?,
        EntityUid::from_str(&format!("Action::\"{}\"", intent.action()))?,
        EntityUid::from_str(&format!("{kind}::\"{name}\""))?,
        Context::from_json_str(&context, None)?,
        None,
    )?)
}

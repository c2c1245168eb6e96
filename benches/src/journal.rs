//! Entries as governed runs leave them, without an engine: for what is measured below it.

use std::collections::HashMap;

use cog_base::entropy::{Entropy as _, SeededEntropy};
use cog_base::id::{ReceiptId, RunId, TenantId, Uuid};
use cog_base::json::Map;
use cog_base::{Clock as _, Digest, Value};
use cog_ledger::session::Tally;
use cog_ledger::{BodyDraft, Draft, Durable, Entry, Kind};

use crate::system::SystemClock;

/// The tenant whose log it is.
pub(crate) const TENANT: TenantId = TenantId::from_uuid(Uuid::from_u128(7));
/// Effects of one run.
const STEPS: u64 = 10;
/// Bytes of a body: those of a small decision record or output.
const BODY_BYTES: usize = 600;

/// Makes drafts, always the same for the same number of calls but for their time.
pub(crate) struct Journal {
    dice: SeededEntropy,
    canon: Digest,
    run: RunId,
    /// The next entry of the run: its start, then receipts and outcomes in turn.
    next: u64,
    receipt: String,
    bodies: bool,
}

impl Journal {
    pub(crate) fn new(bodies: bool) -> Self {
        Self {
            dice: SeededEntropy::new(11),
            canon: Digest::of(&[b"canon"]),
            run: RunId::from_uuid(Uuid::from_u128(0)),
            next: 0,
            receipt: String::new(),
            bodies,
        }
    }

    /// The entry that puts the canon in force under which all receipts are given.
    pub(crate) fn founding(&self) -> (TenantId, Draft) {
        let data =
            Map::from([("digest".into(), self.canon.into()), ("basis".into(), "genesis".into())]);
        (TENANT, draft(Kind::CanonActivated, "user:cfo", None, None, data, None))
    }

    /// The next entries: whole runs but for their seals, one after the other.
    pub(crate) fn take(&mut self, count: u64) -> anyhow::Result<Vec<(TenantId, Draft)>> {
        (0..count).map(|_| Ok((TENANT, self.draft()?))).collect()
    }

    /// The next `count` runs, each without its seal.
    pub(crate) fn runs(&mut self, count: u64) -> anyhow::Result<Vec<(TenantId, Draft)>> {
        self.next = 0;
        self.take(count * (2 * STEPS + 1))
    }

    fn draft(&mut self) -> anyhow::Result<Draft> {
        let place = self.next;
        self.next = (place + 1) % (2 * STEPS + 1);
        let now = SystemClock.now();
        if place == 0 {
            self.run = RunId::new(now, &mut self.dice)?;
            return Ok(self.started());
        }
        let data = if place.is_multiple_of(2) {
            Map::from([
                ("receipt".into(), self.receipt.as_str().into()),
                ("disposition".into(), "completed".into()),
                ("cost_micros".into(), 120_u64.into()),
                ("attempts".into(), 1_u64.into()),
            ])
        } else {
            self.receipt = ReceiptId::new(now, &mut self.dice)?.to_string();
            Map::from([
                ("id".into(), self.receipt.as_str().into()),
                ("intent".into(), self.digest()?),
                ("action".into(), "file.write".into()),
                ("resource".into(), "Root::\"payments\"".into()),
                ("effect".into(), self.digest()?),
                ("step".into(), format!("invoice[{place}].pay").into()),
                ("expires".into(), now.plus_ms(900_000).into()),
                ("reserve_micros".into(), 200_u64.into()),
                ("procedure".into(), 1_u64.into()),
                ("snapshot".into(), self.digest()?),
                ("rules".into(), Value::list(["pay.small"])),
                ("approvals".into(), Value::list(Vec::<&str>::new())),
            ])
        };
        let kind = if place.is_multiple_of(2) { Kind::Outcome } else { Kind::Receipt };
        let body = self.body()?;
        Ok(draft(kind, "agent:clerk", Some(self.run), Some(self.canon), data, body))
    }

    fn started(&self) -> Draft {
        let data = Map::from([
            ("workflow".into(), "pay-supplier-invoices".into()),
            ("definition".into(), self.canon.into()),
            ("inputs".into(), self.canon.into()),
            ("roots".into(), Value::Map(Map::new())),
            ("initiator".into(), "user:operator".into()),
            ("canon".into(), self.canon.into()),
        ]);
        let (run, canon) = (Some(self.run), Some(self.canon));
        draft(Kind::SessionStarted, "user:operator", run, canon, data, None)
    }

    fn digest(&mut self) -> anyhow::Result<Value> {
        let mut bytes = [0; 32];
        self.dice.fill(&mut bytes)?;
        Ok(Digest::from_bytes(bytes).into())
    }

    fn body(&mut self) -> anyhow::Result<Option<BodyDraft>> {
        if !self.bodies {
            return Ok(None);
        }
        let mut bytes = vec![0; BODY_BYTES];
        self.dice.fill(&mut bytes)?;
        bytes.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26);
        Ok(Some(BodyDraft { subject: None, bytes }))
    }
}

/// The seals of the runs that these entries are of, whole but for them.
pub(crate) fn seals(entries: &[Durable<Entry>]) -> Vec<(TenantId, Draft)> {
    let mut order = Vec::new();
    let mut tallies: HashMap<RunId, Tally> = HashMap::new();
    for entry in entries {
        let Some(run) = entry.session() else { continue };
        if entry.kind() == Kind::SessionSealed {
            continue;
        }
        let tally = tallies.entry(run).or_insert_with(|| {
            order.push(run);
            Tally::default()
        });
        tally.add(entry);
    }
    let seal = |run: RunId| {
        let data = tallies.get(&run)?.seal("completed");
        Some((TENANT, draft(Kind::SessionSealed, "user:operator", Some(run), None, data, None)))
    };
    order.into_iter().filter_map(seal).collect()
}

fn draft(
    kind: Kind,
    actor: &str,
    session: Option<RunId>,
    canon: Option<Digest>,
    data: Map,
    body: Option<BodyDraft>,
) -> Draft {
    Draft {
        kind,
        actor: actor.to_owned(),
        domain: "accounts-payable".to_owned(),
        environment: "production".to_owned(),
        session,
        canon,
        data,
        body,
    }
}

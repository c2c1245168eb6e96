//! `database`: prepare and check the database that nodes share.

mod places;

use std::collections::BTreeMap;

use cog_base::id::TenantId;
use cog_base::words::counted;
use cog_base::{Clock as _, Value};
use cog_ledger::audit::{Audit, Audited};
use cog_ledger::merkle::Frontier;
use cog_ledger::{Entry, Kind};
use cog_store::{Select, Store as _, StoreError, TenantTx};
use cog_store_postgres::{Databases, MIGRATION_LATEST, migrate};

use crate::cli::nodes::{DatabaseCommand, Shared};
use crate::failure::{Exit, Failure};
use crate::home::told;
use crate::shared::{make_key, make_known, names_a_database, open, tenant, url};
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn database(command: &DatabaseCommand, terminal: &Terminal) -> anyhow::Result<Exit> {
    match command {
        DatabaseCommand::Prepare { shared, application } => prepare(shared, application, terminal),
        DatabaseCommand::NewTenant { shared, at } => {
            let id = TenantId::new(SystemClock.now(), &mut SystemEntropy::new())?;
            if let Some(at) = at {
                places::found(&open(shared, "found")?, id, at)?;
            } else if names_a_database(shared) {
                make_known(&open(shared, "found")?, id)?;
            }
            if terminal.json {
                terminal.emit(&Value::map([("tenant", Value::from(id))]));
            } else {
                terminal.say(&id.to_string());
            }
            Ok(Exit::Done)
        }
        DatabaseCommand::Map { shared } => places::map(&open(shared, "map")?, terminal),
        DatabaseCommand::Move(args) => places::relocate(args, terminal),
        DatabaseCommand::Audit { shared, tenant: only } => {
            let only = only.as_deref().map(tenant).transpose()?;
            audit(&open(shared, "audit")?, only, terminal)
        }
    }
}

fn prepare(shared: &Shared, application: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let key = shared.master_key_file.display();
    let url = url(shared)?;
    let is_new = make_key(&shared.master_key_file)?;
    let migrated = migrate(&url, application, MIGRATION_LATEST).map_err(told)?;
    if terminal.json {
        let number = |number: usize| Value::from(number as u64);
        terminal.emit(&Value::map([
            ("from", number(migrated.from)),
            ("to", number(migrated.to)),
            ("application", application.into()),
            ("master_key_made", is_new.into()),
        ]));
        return Ok(Exit::Done);
    }
    match migrated.to - migrated.from.min(migrated.to) {
        0 => terminal.say("the tables are those of this release"),
        steps => {
            let steps = counted(steps as u64, "migration", "migrations");
            terminal.say(&format!("the tables are those of this release, after {steps}"));
        }
    }
    if is_new {
        terminal.say(&format!(
            "made the master key {key}: give it to every node, and keep a copy apart from the \
             database, which is worth nothing without it"
        ));
    }
    Ok(Exit::Done)
}

/// What is found in one log.
struct Looked {
    audited: Audited,
    entries: u64,
    /// What is wrong beside the findings of the audit.
    wrong: Vec<String>,
}

fn audit(store: &Databases, only: Option<TenantId>, terminal: &Terminal) -> anyhow::Result<Exit> {
    let tenants = match only {
        Some(tenant) => vec![tenant],
        None => store.tenants().map_err(told)?,
    };
    if let Some(tenant) = only
        && store.scope(tenant).map_err(told)?.tail().map_err(told)?.is_none()
    {
        let message = format!("nothing is recorded of {tenant} in this database");
        return Err(Failure::advise(Exit::BadInput, message, "without --tenant all are audited"));
    }
    let mut holds = true;
    for tenant in tenants {
        let looked = look(store.scope(tenant).map_err(told)?.as_ref()).map_err(told)?;
        holds &= looked.wrong.is_empty() && looked.audited.findings.is_empty();
        if terminal.json {
            terminal.emit(&json(tenant, &looked));
        } else {
            tell(tenant, &looked, terminal);
        }
    }
    Ok(if holds { Exit::Done } else { Exit::Failed })
}

/// Read a log from its first entry to its signed head.
fn look(scope: &dyn TenantTx) -> Result<Looked, StoreError> {
    let pruned = scope.pruned()?.entries;
    let (mut audit, mut tree) = (Audit::new(pruned), Frontier::new());
    let (mut at, mut select, mut outcomes) = (0, Select::default(), BTreeMap::new());
    loop {
        let page = scope.select(&select)?;
        let Some(last) = page.last() else { break };
        select = select.after(last);
        for entry in &page {
            // Of what was pruned the leaves are left.
            grow(scope, &mut tree, (&mut at, entry.seq()))?;
            tree.push(entry.leaf(), |_, _, _| {});
            at += 1;
            if entry.seq() >= pruned {
                audit.entry(entry);
            }
            count(entry, &mut outcomes);
        }
    }
    let audited = audit.finish();
    let mut wrong = Vec::new();
    match scope.checkpoint()? {
        None => wrong.push("it has no signed head".to_owned()),
        Some(head) => {
            if head.size() != at || head.root() != tree.root() {
                wrong.push("its signed head is not the head of its entries".to_owned());
            }
            let key = audited.keys.last();
            if key.is_none_or(|key| !head.note().is_signed_by(&key.key)) {
                wrong.push("its head is not signed by the key in force".to_owned());
            }
        }
    }
    let doubled = outcomes.iter().filter(|(_, count)| **count > 1);
    wrong.extend(doubled.map(|(id, count)| format!("{id} has {count} outcomes")));
    Ok(Looked { audited, entries: at, wrong })
}

fn grow(
    scope: &dyn TenantTx,
    tree: &mut Frontier,
    (at, to): (&mut u64, u64),
) -> Result<(), StoreError> {
    while *at < to {
        let gone = || StoreError::corrupt(format!("the leaf of entry {at}"));
        tree.push(scope.leaf(*at)?.ok_or_else(gone)?, |_, _, _| {});
        *at += 1;
    }
    Ok(())
}

/// Count the outcomes of each receipt.
fn count(entry: &Entry, outcomes: &mut BTreeMap<String, u64>) {
    if entry.kind() == Kind::Outcome
        && let Some(id) = entry.id()
    {
        *outcomes.entry(id.to_owned()).or_default() += 1;
    }
}

/// The words of outcomes, in the order of [`Audited::outcomes`].
const WORDS: &[&str] = cog_ledger::kind::DISPOSITIONS;

fn json(tenant: TenantId, looked: &Looked) -> Value {
    let audited = &looked.audited;
    let outcomes = WORDS.iter().copied().zip(audited.outcomes.map(Value::from));
    let findings = audited.findings.kept().iter();
    let findings = findings.map(|found| format!("{} ({})", found.message, found.code));
    let findings: Vec<String> = findings.chain(looked.wrong.iter().cloned()).collect();
    Value::map([
        ("tenant", Value::from(tenant)),
        ("holds", findings.is_empty().into()),
        ("entries", looked.entries.into()),
        ("runs", audited.sessions.0.into()),
        ("sealed", audited.sessions.1.into()),
        ("receipts", audited.kinds.get(&Kind::Receipt).copied().unwrap_or(0).into()),
        ("outcomes", Value::map(outcomes)),
        ("open_receipts", audited.open_receipts.into()),
        ("findings", Value::list(findings.iter().map(String::as_str))),
    ])
}

fn tell(tenant: TenantId, looked: &Looked, terminal: &Terminal) {
    let audited = &looked.audited;
    let (begun, sealed) = audited.sessions;
    let receipts = audited.kinds.get(&Kind::Receipt).copied().unwrap_or(0);
    let outcomes = WORDS.iter().zip(audited.outcomes).filter(|(_, count)| *count > 0);
    let outcomes: Vec<String> = outcomes.map(|(word, count)| format!("{count} {word}")).collect();
    let is_whole = looked.wrong.is_empty() && audited.findings.is_empty();
    let word = if is_whole { (Tone::Good, "holds") } else { (Tone::Bad, "DOES NOT HOLD") };
    terminal.say(&format!(
        "{}  {tenant}: {}, {} ({sealed} sealed), {} with one outcome each: {}",
        terminal.tint(word.0, word.1),
        counted(looked.entries, "entry", "entries"),
        counted(begun, "run", "runs"),
        counted(receipts - audited.open_receipts.min(receipts), "receipt", "receipts"),
        if outcomes.is_empty() { "none".to_owned() } else { outcomes.join(", ") },
    ));
    if audited.open_receipts > 0 {
        terminal.say(&format!(
            "  {} open",
            counted(audited.open_receipts, "receipt is", "receipts are")
        ));
    }
    for found in audited.findings.kept() {
        terminal.say(&format!("  {} ({})", plain(&found.message), found.code));
    }
    looked.wrong.iter().for_each(|wrong| terminal.say(&format!("  {}", plain(wrong))));
}

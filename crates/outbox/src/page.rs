//! Events made of a page of a log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::id::RunId;
use cog_base::json::{Value, parse};
use cog_events::{Event, Facts, Tokens, Types, type_of};
use cog_ledger::{Entry, Kind};
use cog_store::{PAGE_MAX, Select, StoreError, TenantTx};

/// Some events of a log, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Those of the types that are wanted.
    pub events: Vec<Arc<Event>>,
    /// The first entry that was not looked at.
    pub next: u64,
}

/// The events of the entries from `from` on, made of at most `limit` entries of the types
/// that are wanted. What was pruned is not there any more.
///
/// # Errors
/// [`StoreError`] when the log cannot be read.
pub fn page(
    log: &dyn TenantTx,
    from: u64,
    limit: usize,
    types: &Types,
) -> Result<Page, StoreError> {
    let kinds: Vec<Kind> =
        Kind::ALL.iter().copied().filter(|kind| types.wants(&type_of(*kind))).collect();
    let Some(head) = log.checkpoint()? else { return Ok(Page { events: Vec::new(), next: from }) };
    let end = head.size().max(from);
    if kinds.is_empty() {
        return Ok(Page { events: Vec::new(), next: end });
    }
    let limit = limit.clamp(1, PAGE_MAX);
    let kinds = if kinds.len() == Kind::ALL.len() { Vec::new() } else { kinds };
    let entries = log.select(&Select { from, kinds, limit, ..Select::default() })?;
    let next = match entries.last() {
        Some(last) if entries.len() == limit => last.seq() + 1,
        Some(_) | None => end,
    };
    let mut runs = BTreeMap::new();
    let mut events = Vec::with_capacity(entries.len());
    for entry in &entries {
        let facts = facts(log, entry, &mut runs)?;
        events.push(Arc::new(Event::of(entry, head.origin(), &facts)));
    }
    Ok(Page { events, next })
}

/// What the run of an entry says. The beginnings of runs are looked for once a page.
fn facts(
    log: &dyn TenantTx,
    entry: &Entry,
    runs: &mut BTreeMap<RunId, Facts>,
) -> Result<Facts, StoreError> {
    let Some(run) = entry.session() else { return Ok(Facts::default()) };
    let mut facts = match runs.get(&run) {
        Some(known) => known.clone(),
        None => {
            let facts = beginning(log, run)?;
            runs.insert(run, facts.clone());
            facts
        }
    };
    if entry.kind() == Kind::SessionSealed {
        facts.tokens = tokens(log, run)?;
    }
    Ok(facts)
}

fn beginning(log: &dyn TenantTx, run: RunId) -> Result<Facts, StoreError> {
    let started = Select { kinds: vec![Kind::SessionStarted], limit: 1, ..Select::session(run) };
    let entries = log.select(&started)?;
    Ok(entries.first().map_or_else(Facts::default, |entry| Facts {
        workflow: entry.text("workflow").map(str::to_owned),
        started_at: Some(entry.at()),
        tokens: None,
    }))
}

/// The tokens that the models of a run counted, from the outputs in its outcomes.
fn tokens(log: &dyn TenantTx, run: RunId) -> Result<Option<u64>, StoreError> {
    let mut select = Select { kinds: vec![Kind::Receipt, Kind::Outcome], ..Select::session(run) };
    let mut chats = BTreeSet::new();
    let mut tokens = Tokens::default();
    loop {
        let entries = log.select(&select)?;
        for entry in &entries {
            let is_chat = entry.text("action") == Some("model.chat");
            let Some(id) = entry.id() else { continue };
            if entry.kind() == Kind::Receipt && is_chat {
                chats.insert(id.to_owned());
            }
            if entry.kind() == Kind::Outcome && chats.remove(id) {
                count(log, entry, &mut tokens)?;
            }
        }
        match entries.last() {
            Some(last) if entries.len() == select.limit => select = select.after(last),
            Some(_) | None => break,
        }
    }
    // The receipts of what was pruned are gone, and what they used with them.
    if log.pruned()?.entries > log.session(run)?.map_or(0, |session| session.first) {
        tokens.lost();
    }
    Ok(tokens.sum())
}

fn count(log: &dyn TenantTx, outcome: &Entry, tokens: &mut Tokens) -> Result<(), StoreError> {
    if outcome.text("disposition") != Some("completed") {
        return Ok(());
    }
    let body = log.body(outcome.seq())?.and_then(|body| String::from_utf8(body.bytes).ok());
    let body = body.and_then(|text| parse(&text).ok());
    let used = |name| body.as_ref()?.at(&["output", name]).and_then(Value::as_u64);
    match used("input_tokens").zip(used("output_tokens")) {
        Some((input, output)) => tokens.add(input, output),
        None => tokens.lost(),
    }
    Ok(())
}

//! Entries with their bodies, as runs are rebuilt from them.

use std::sync::Arc;

use cog_base::id::RunId;
use cog_base::json::{Map, parse};
use cog_engine::fork::gather;
use cog_engine::{Mismatch, Record};
use cog_gate::Actor;
use cog_ledger::audit::Erasures;
use cog_ledger::{Draft, Entry, Kind};
use cog_store::{Recorded, Select, TenantTx};

use crate::Error;

/// An entry with its body.
///
/// # Errors
/// [`Error::Store`], or [`Error::Unreadable`] for a body that is no JSON.
pub fn record(scope: &dyn TenantTx, entry: Entry) -> Result<Record, Error> {
    let body = scope.body(entry.seq())?;
    opened((entry, body))
}

fn opened((entry, body): Recorded) -> Result<Record, Error> {
    let seq = entry.seq();
    let bad = |why: String| Error::Unreadable { seq, why };
    let body = body.map(|body| String::from_utf8(body.bytes));
    let text = body.transpose().map_err(|_| bad("its body is no text".to_owned()))?;
    let body = text.map(|text| parse(&text)).transpose();
    let body = body.map_err(|error| bad(format!("its body is no JSON: {error}")))?;
    Ok(Record { entry: Arc::new(entry), body })
}

/// The entries of a run with their bodies, oldest first, up to one; none when there is no such run.
///
/// # Errors
/// As [`record`].
pub fn records(scope: &dyn TenantTx, run: RunId, until: u64) -> Result<Vec<Record>, Error> {
    let mut found = Vec::new();
    let select = Select { to: until.saturating_add(1), ..Select::session(run) };
    scope.each_record(select, &mut |recorded| found.push(opened(recorded)))?;
    found.into_iter().collect()
}

/// A run's records behind those of the runs it was forked from: what it is rebuilt from. None when
/// there is no such run.
///
/// # Errors
/// As [`record`].
pub fn history(scope: &dyn TenantTx, run: RunId) -> Result<Vec<Record>, Error> {
    gather(run, u64::MAX, |run, until| records(scope, run, until))
}

/// Which bodies were erased, as entries say.
///
/// # Errors
/// [`Error::Store`].
pub fn erasures(scope: &dyn TenantTx) -> Result<Erasures, Error> {
    let mut erasures = Erasures::default();
    let select = Select { kinds: vec![Kind::BodiesErased], ..Select::default() };
    scope.each(select, &mut |entry| erasures.observe(entry))?;
    Ok(erasures)
}

/// Why a run cannot be followed to its end, and by which entry, where something was erased.
///
/// # Errors
/// [`Error::Store`].
pub fn broken(scope: &dyn TenantTx, why: &Mismatch) -> Result<String, Error> {
    let Mismatch::NoBody { seq, .. } = why else { return Ok(why.to_string()) };
    let by = erasures(scope)?.of(*seq);
    Ok(by.map_or_else(|| why.to_string(), |by| format!("{why}: erased, as entry {by} says")))
}

/// Refuse records of which a body is missing that no entry accounts for.
///
/// # Errors
/// [`Error::Absent`].
pub fn complete(scope: &dyn TenantTx, records: &[Record]) -> Result<(), Error> {
    let is_absent = |it: &&Record| it.body.is_none() && it.entry.commit().is_some();
    let absent = records.iter().filter(is_absent).map(|it| it.entry.seq());
    accounted(scope, &absent.collect::<Vec<_>>())
}

/// Refuse entries without a body when no entry says that it was erased.
///
/// # Errors
/// [`Error::Absent`].
pub fn accounted(scope: &dyn TenantTx, absent: &[u64]) -> Result<(), Error> {
    if absent.is_empty() {
        return Ok(());
    }
    let erasures = erasures(scope)?;
    let first = absent.iter().find(|seq| !erasures.explains(**seq));
    first.map_or(Ok(()), |seq| Err(Error::Absent { seq: *seq }))
}

/// The newest entry of a run of these kinds.
///
/// # Errors
/// [`Error::Store`].
pub fn newest_of(scope: &dyn TenantTx, run: RunId, kinds: &[Kind]) -> Result<Option<Entry>, Error> {
    let select =
        Select { kinds: kinds.into(), newest_first: true, limit: 1, ..Select::session(run) };
    Ok(scope.select(&select)?.pop())
}

/// An entry about a run that may be over: it belongs to none, and names that one.
///
/// # Errors
/// [`Error::Store`].
pub fn about(
    scope: &dyn TenantTx,
    run: RunId,
    (kind, who): (Kind, &Actor),
    data: Map,
) -> Result<Draft, Error> {
    let first = scope.select(&Select { limit: 1, ..Select::session(run) })?;
    let place = first.first().map(|entry| (entry.domain(), entry.environment()));
    let (domain, environment) = place.unwrap_or(("ledger", "any"));
    Ok(Draft {
        kind,
        actor: who.as_str().to_owned(),
        domain: domain.to_owned(),
        environment: environment.to_owned(),
        session: None,
        canon: None,
        data,
        body: None,
    })
}

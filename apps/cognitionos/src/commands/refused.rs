//! What somebody may not do about approvals, the canon or the ledger, on the record: once for each
//! person, thing and reason.

use cog_base::Clock as _;
use cog_base::id::TenantId;
use cog_canon::Canon;
use cog_gate::Actor;
use cog_gate::act::{Act, Cited, Facts, Put, Same};
use cog_ledger::{Draft, Kind};
use cog_node::denied_before;

use crate::failure::Failure;
use crate::home::{Home, told};
use crate::system::{SystemClock, SystemEntropy};

/// How what was refused is recorded.
pub(crate) type Append<'a> = &'a dyn Fn(Draft) -> anyhow::Result<()>;

/// An act about the canon or the ledger, of no run.
pub(crate) fn act(
    tenant: TenantId,
    domain: &str,
    who: &Actor,
    action: &'static str,
    resource: String,
) -> Act {
    Act {
        tenant,
        domain: domain.to_owned(),
        environment: "any".to_owned(),
        session: None,
        canon: None,
        actor: who.clone(),
        action,
        resource,
        args: Default::default(),
    }
}

/// Record the refusal of an act, if it is refused as things stand and the same is not on record.
/// Gives the id of the denial.
///
/// # Errors
/// When it could not be recorded.
pub(crate) fn record(
    home: &Home,
    act: &Act,
    facts: &Facts,
    canon: Option<&Canon>,
    append: Append<'_>,
) -> anyhow::Result<Option<String>> {
    // What tells expiry is the time that the ledger shows.
    let tail = home.scope()?.tail().map_err(told)?;
    let now = SystemClock.now();
    let now = tail.map_or(now, |tail| tail.last_at.max(now));
    let Some(no) = act.judge(facts, now, canon) else { return Ok(None) };
    if let Some(earlier) = earlier(home, act, &act.same(&no))? {
        return Ok(Some(earlier));
    }
    let (id, draft) = act.refuse(&no, facts, now, &mut SystemEntropy::new())?;
    append(draft)?;
    Ok(Some(id.to_string()))
}

/// The denial that says the same already.
pub(crate) fn earlier(home: &Home, act: &Act, same: &Same) -> anyhow::Result<Option<String>> {
    denied_before(&*home.scope()?, act.session, same).map_err(told)
}

/// The error of what was refused, with where to read about it.
pub(crate) fn explained(
    error: anyhow::Error,
    denial: anyhow::Result<Option<String>>,
) -> anyhow::Error {
    let denial = match denial {
        Ok(None) => return error,
        Ok(Some(denial)) => denial,
        // What kept it from being done keeps it from being recorded, too.
        Err(unrecorded) if unrecorded.to_string() == error.to_string() => return error,
        Err(unrecorded) => return unrecorded.context(error.to_string()),
    };
    match error.downcast::<Failure>() {
        Ok(mut failure) => {
            let why = format!("cognitionos why {denial}");
            let first = failure.advice.map(|advice| format!("{advice}\n"));
            failure.advice = Some(format!("{}{why}", first.unwrap_or_default()));
            failure.into()
        }
        Err(error) => error,
    }
}

/// What is cited as evidence, as it stands.
pub(crate) fn cited(home: &Home, evidence: &[u64]) -> anyhow::Result<Vec<Cited>> {
    let scope = home.scope()?;
    let cited = evidence.iter().map(|seq| {
        let entry = scope.entry(*seq).map_err(told)?;
        let entry = entry.filter(|it| matches!(it.kind(), Kind::Evidence | Kind::Outcome));
        let run = entry.as_ref().and_then(|entry| entry.session());
        let session = run.map(|run| scope.session(run).map_err(told)).transpose()?.flatten();
        let is_over = run.is_none() || session.is_some_and(|session| session.status.is_some());
        Ok(Cited { seq: *seq, is_evidence: entry.is_some(), is_over })
    });
    cited.collect()
}

/// A version that is put forward, as far as it loads.
pub(crate) fn put(loaded: Result<&Canon, &str>) -> Put {
    match loaded {
        Ok(canon) => Put {
            digest: Some(canon.digest()),
            failed: canon.test().failed.len() as u64,
            ..Put::default()
        },
        Err(error) => Put { error: Some(error.to_owned()), ..Put::default() },
    }
}

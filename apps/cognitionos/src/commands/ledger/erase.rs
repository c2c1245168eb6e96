//! Erasure: of somebody's data, or of what stands beside entries. It leaves an entry that says so.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_base::json::Map;
use cog_base::words::counted;
use cog_engine::Versions;
use cog_engine::versions::Version;
use cog_gate::Actor;
use cog_ledger::{Draft, Entry, Kind};
use cog_node::Destroy;
use cog_store::{Keep as _, Select};

use super::admin::draft;
use super::keeper::entitled;
use super::needed::refuse_what_is_needed;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::{Terminal, plain};

/// The most entries that one entry names as erased: they fit into its 65,535 bytes.
const ERASED_NAMED_MAX: usize = 4_000;

/// What somebody wants erased.
pub(super) enum Wanted<'a> {
    /// All that is sealed under this name.
    Subject(&'a str),
    /// The bodies of these entries.
    Entries(BTreeSet<u64>),
}

impl<'a> Wanted<'a> {
    pub(super) fn of(subject: Option<&'a str>, entries: &[u64]) -> Self {
        subject.map_or_else(|| Self::Entries(entries.iter().copied().collect()), Self::Subject)
    }
}

/// Destroy the key of somebody's data, or the bodies of entries, on the record.
pub(super) fn erase(
    home: &Home,
    wanted: &Wanted<'_>,
    reason: Option<&str>,
    who: &str,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = given::actor(who)?;
    entitled(home, &who, ("ledger.erase", "erase"))?;
    let store = home.keep();
    let bodies = match wanted {
        Wanted::Subject(subject) => {
            refuse_what_is_needed(home, &format!("{subject:?}"), |history, _| {
                history.concerns(subject)
            })?;
            let erasable = store.erasable(home.tenant, subject).map_err(told)?;
            if erasable.entries.is_empty() {
                wipe(home)?;
                let whose = erasable.subject;
                if let Some(by) = erased(home, |it| it.digest("subject") == Some(whose))? {
                    return Ok(erased_before(by, terminal));
                }
                let message = format!("nothing is kept about {subject:?}");
                let advice = "name whom a workflow's `subject` names, as it stands in its file";
                return Err(Failure::advise(Exit::BadInput, message, advice));
            }
            let whose = ("subject", Value::from(erasable.subject));
            erasable.entries.iter().try_for_each(|seq| refuse_what_starts(home, *seq))?;
            let (bodies, subject) = (&erasable.entries, (*subject).to_owned());
            let declared = (whose, Destroy::Subject(subject));
            declare(home, (&who, "ledger"), reason, declared, bodies)?
        }
        Wanted::Entries(seqs) => {
            let seqs = match with_bodies(home, seqs)? {
                Ok(seqs) => seqs,
                Err(by) => return Ok(erased_before(by, terminal)),
            };
            let declared = (("basis", "entries".into()), Destroy::Bodies(seqs.clone()));
            declare(home, (&who, "ledger"), reason, declared, &seqs)?
        }
    };
    if terminal.json {
        terminal.emit(&Value::map([("bodies", bodies)]));
    } else {
        let bodies = counted(bodies, "body", "bodies");
        terminal.say(&format!("{bodies} erased; every proof stays valid"));
    }
    Ok(Exit::Done)
}

/// The newest erasure on record that `is_it`.
fn erased(home: &Home, is_it: impl Fn(&Entry) -> bool) -> anyhow::Result<Option<u64>> {
    let mut found = None;
    home.each(Select { kinds: vec![Kind::BodiesErased], ..Select::default() }, |entry| {
        found = if is_it(entry) { Some(entry.seq()) } else { found };
    })?;
    Ok(found)
}

/// It was done before, and what may have been left of it in the files is written over.
fn erased_before(by: u64, terminal: &Terminal) -> Exit {
    if terminal.json {
        terminal.emit(&Value::map([("bodies", Value::from(0_u64)), ("erased_by", by.into())]));
    } else {
        terminal.say(&format!("erased before, as entry {by} says; nothing of it is left"));
    }
    Exit::Done
}

/// Write over what an earlier command removed, where a reader kept it from doing so.
pub(super) fn wipe(home: &Home) -> anyhow::Result<()> {
    if home.is_of_nodes() {
        return Ok(());
    }
    home.folder()?.erase_bodies(home.tenant, &[]).map(drop).map_err(told)
}

/// Record what is about to be erased, erase it, and say how much it is. Whatever happens after, the
/// ledger says why bodies are missing; an erasure in a folder that is cut short is finished when the
/// folder is opened next.
pub(super) fn declare(
    home: &Home,
    (who, domain): (&Actor, &str),
    reason: Option<&str>,
    (why, then): ((&str, Value), Destroy),
    entries: &[u64],
) -> anyhow::Result<u64> {
    let named = entries.chunks(ERASED_NAMED_MAX).map(|entries| {
        let data = Map::from([
            (why.0.to_owned(), why.1.clone()),
            ("bodies".into(), (entries.len() as u64).into()),
            ("entries".into(), Value::list(entries.iter().copied())),
        ]);
        let entry = Draft { domain: domain.to_owned(), ..draft(Kind::BodiesErased, who, data) };
        match reason {
            Some(reason) => entry.saying("reason", reason),
            None => entry,
        }
    });
    let named: Vec<Draft> = named.collect();
    home.append_then(named, Some(then))?;
    Ok(entries.len() as u64)
}

/// Those of the entries that have a body; where none has, the entry that says that they were erased.
/// All must be there, and nothing that is still needed.
fn with_bodies(home: &Home, seqs: &BTreeSet<u64>) -> anyhow::Result<Result<Vec<u64>, u64>> {
    let scope = home.scope()?;
    for seq in seqs {
        if scope.entry(*seq).map_err(told)?.is_none() {
            let missing = || format!("there is no entry {seq} in this ledger");
            let (message, advice) = match home.pruned_entry(*seq)? {
                Some((message, by)) => (message, format!("cognitionos ledger show {by}")),
                None => (missing(), "cognitionos ledger list".to_owned()),
            };
            return Err(Failure::advise(Exit::BadInput, message, advice));
        }
        refuse_what_starts(home, *seq)?;
    }
    drop(scope);
    refuse_what_is_needed(home, "these entries", |_, records| {
        records.iter().any(|record| seqs.contains(&record.entry.seq()))
    })?;
    let kept = home.keep().bodies(home.tenant, 0..u64::MAX).map_err(told)?;
    let kept: Vec<u64> =
        kept.into_iter().map(|(seq, _)| seq).filter(|seq| seqs.contains(seq)).collect();
    if kept.is_empty() {
        wipe(home)?;
        let names = |entry: &Entry| {
            let named = entry.data().get("entries").and_then(Value::as_list).unwrap_or_default();
            named.iter().filter_map(Value::as_u64).any(|seq| seqs.contains(&seq))
        };
        if let Some(by) = erased(home, names)? {
            return Ok(Err(by));
        }
        let message = "nothing stands beside these entries, or not any more";
        return Err(Failure::advise(Exit::BadInput, message, "cognitionos ledger show N"));
    }
    Ok(Ok(kept))
}

/// Refuse to erase what a schedule starts that is in force.
fn refuse_what_starts(home: &Home, seq: u64) -> anyhow::Result<()> {
    let entry = home.scope()?.entry(seq).map_err(told)?;
    if let Some(version) = entry.as_ref().and_then(Version::of) {
        return refuse_what_is_active(home, &version);
    }
    let Some(entry) = entry.filter(|entry| entry.kind() == Kind::ScheduleSet) else {
        return Ok(());
    };
    let id = entry.text("schedule").unwrap_or_default();
    if in_force(home, id)? != Some(seq) {
        return Ok(());
    }
    Err(Failure::advise(
        Exit::Conflict,
        format!("entry {seq} holds what the schedule `{id}` starts"),
        format!("cognitionos schedules remove {id}"),
    ))
}

/// Refuse to erase the definition that runs are started from.
fn refuse_what_is_active(home: &Home, version: &Version) -> anyhow::Result<()> {
    let versions = Versions::read(&*home.scope()?).map_err(told)?;
    let (seq, workflow) = (version.seq, plain(&version.workflow));
    if versions.active(&version.domain, &version.workflow).is_none_or(|it| it.seq != seq) {
        return Ok(());
    }
    Err(Failure::advise(
        Exit::Conflict,
        format!("entry {seq} holds the active version of `{workflow}`"),
        "cognitionos workflows activate FILE, and then this one may be erased",
    ))
}

/// The entry that says what a schedule starts now.
fn in_force(home: &Home, id: &str) -> anyhow::Result<Option<u64>> {
    let mut found = None;
    let kinds = vec![Kind::ScheduleSet, Kind::ScheduleRemoved];
    home.each(Select { kinds, ..Select::default() }, |entry| {
        if entry.text("schedule") == Some(id) {
            found = Some(entry.seq()).filter(|_| entry.kind() == Kind::ScheduleSet);
        }
    })?;
    Ok(found)
}

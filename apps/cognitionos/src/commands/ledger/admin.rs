//! Key rotation, erasure and pruning: each leaves an entry that says what was done.

use std::path::Path;

use cog_base::json::Map;
use cog_base::{Digest, Value};
use cog_gate::Actor;
use cog_ledger::{Draft, Kind};
use cog_store::Keep as _;
use cog_store_sqlite::SqliteStore;

use super::{empty, public_key};
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::terminal::Terminal;

fn actor(text: &str) -> anyhow::Result<Actor> {
    text.parse().map_err(|error| Failure::told(Exit::BadInput, error))
}

fn draft(kind: Kind, who: &Actor, data: Map) -> Draft {
    Draft {
        kind,
        actor: who.as_str().to_owned(),
        domain: "ledger".to_owned(),
        environment: "any".to_owned(),
        session: None,
        canon: None,
        data,
        body: None,
    }
}

/// Change to a new signing key. Both keys sign the head that says so.
pub(super) fn rotate(home: &Home, who: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let who = actor(who)?;
    home.scope()?.tail().map_err(told)?.ok_or_else(empty)?;
    let committer = home.committer()?;
    let note = Map::from([
        ("source".into(), "key.rotation".into()),
        ("digest".into(), Digest::of(&[who.as_str().as_bytes()]).into()),
        ("note".into(), format!("{who} asked for a new signing key").into()),
    ]);
    let asked = committer.append_blocking(vec![(home.tenant, draft(Kind::Evidence, &who, note))]);
    let rotated = asked.and_then(|_| committer.rotate(home.tenant));
    committer.shutdown();
    rotated?;
    let key = public_key(home)?;
    if terminal.json {
        terminal.emit(&Value::map([("key", key.to_string())]));
    } else {
        terminal.say(&format!("new key: {key}"));
        terminal.note("give it to everyone who checks your bundles; the old one leads to it");
    }
    Ok(Exit::Done)
}

/// Destroy the key of somebody's data, on the record.
pub(super) fn erase(
    home: &Home,
    subject: &str,
    who: &str,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = actor(who)?;
    let erased = home.store.erase(home.tenant, subject).map_err(told)?;
    let data = Map::from([
        ("subject".into(), erased.subject.into()),
        ("bodies".into(), erased.bodies.into()),
    ]);
    home.append(vec![draft(Kind::BodiesErased, &who, data)])?;
    if terminal.json {
        terminal.emit(&Value::map([("bodies", erased.bodies)]));
    } else {
        terminal.say(&format!("{} bodies erased; every proof stays valid", erased.bodies));
    }
    Ok(Exit::Done)
}

/// Go on with an older copy, on the record: whoever holds a later signed head will see
/// that history was lost, and here stands that it was meant.
pub(super) fn accept_restore(dir: &Path, who: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let who = actor(who)?;
    let restored = SqliteStore::accept_restore(dir).map_err(told)?;
    if restored.is_empty() {
        terminal.note("nothing was restored: the ledger is as long as it was");
        return Ok(Exit::Done);
    }
    let home = Home::write(dir)?;
    for log in &restored {
        let note = format!("a copy of {} entries was put back where {} had been", log.now, log.was);
        let data = Map::from([
            ("source".into(), "restore".into()),
            ("digest".into(), Digest::of(&[note.as_bytes()]).into()),
            ("note".into(), note.as_str().into()),
        ]);
        home.append(vec![draft(Kind::Evidence, &who, data)])?;
        if terminal.json {
            terminal.emit(&Value::map([("was", log.was), ("now", log.now)]));
        } else {
            terminal.say(&note);
        }
    }
    Ok(Exit::Done)
}

/// Drop old entries, on the record.
pub(super) fn prune(
    home: &Home,
    before: u64,
    reason: &str,
    who: &str,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = actor(who)?;
    let tail = home.scope()?.tail().map_err(told)?.ok_or_else(empty)?;
    if before > tail.frontier.size() {
        let message = format!("the ledger has {} entries", tail.frontier.size());
        return Err(Failure::told(Exit::BadInput, message));
    }
    let cut = home.store.prune_entries(home.tenant, before).map_err(told)?;
    if cut.to <= cut.from {
        return Err(Failure::told(
            Exit::BadInput,
            "nothing can be pruned: whole segments of 256 entries of ended runs go, never the rest",
        ));
    }
    // What stays of the pruned part is its root, and that is what the record names.
    let root = cog_store::frontier(home.scope()?.as_ref(), cut.to)?.root();
    let data = Map::from([
        ("from".into(), cut.from.into()),
        ("to".into(), cut.to.into()),
        ("root".into(), root.into()),
        ("reason".into(), reason.into()),
    ]);
    home.append(vec![draft(Kind::SegmentPruned, &who, data)])?;
    if terminal.json {
        terminal.emit(&Value::map([("from", cut.from), ("to", cut.to), ("removed", cut.removed)]));
    } else {
        terminal.say(&format!(
            "entries {} to {} pruned ({} rows); proofs stay valid",
            cut.from, cut.to, cut.removed
        ));
    }
    Ok(Exit::Done)
}

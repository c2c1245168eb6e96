//! Key rotation and pruning: each leaves an entry that says what was done.

use cog_base::json::Map;
use cog_base::words::counted;
use cog_base::{Digest, Value};
use cog_gate::Actor;
use cog_ledger::{Draft, Kind};
use cog_store::Keep as _;

use super::keeper::entitled;
use super::kept::{blocking, kept_for};
use super::{empty, public_key};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::Terminal;

pub(super) fn draft(kind: Kind, who: &Actor, data: Map) -> Draft {
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
    let who = given::actor(who)?;
    home.scope()?.tail().map_err(told)?.ok_or_else(empty)?;
    entitled(home, &who, ("ledger.rotate", "rotate the key"))?;
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

/// Drop old entries, on the record.
pub(super) fn prune(
    home: &Home,
    before: u64,
    reason: &str,
    who: &str,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = given::actor(who)?;
    let tail = home.scope()?.tail().map_err(told)?.ok_or_else(empty)?;
    if before > tail.frontier.size() {
        let entries = counted(tail.frontier.size(), "entry", "entries");
        let message = format!("the ledger has {entries}");
        return Err(Failure::advise(Exit::BadInput, message, "--before N, with N at most that"));
    }
    entitled(home, &who, ("ledger.prune", "prune"))?;
    declare_pruning(home, before, reason, &who)?;
    let from = home.scope()?.pruned().map_err(told)?.entries;
    let blocking = blocking(home, from, before)?;
    let most = kept_for(home)?.map_or(before, |kept| before.min(kept.first));
    let cut = home.folder()?.prune_entries(home.tenant, most).map_err(told)?;
    if terminal.json {
        terminal.emit(&Value::map([("from", cut.from), ("to", cut.to), ("removed", cut.removed)]));
    } else {
        terminal.say(&format!(
            "entries {} to {} pruned ({}); proofs stay valid",
            cut.from,
            cut.to,
            counted(cut.removed, "row", "rows")
        ));
        if let Some(blocking) = blocking {
            terminal.note(&format!("what is left before {before} stays: {}", blocking.why()));
        }
    }
    Ok(Exit::Done)
}

/// Record what is about to be pruned. Whatever happens after, the ledger says why entries are
/// missing; a pruning that is cut short is finished when the folder is opened next.
fn declare_pruning(home: &Home, before: u64, reason: &str, who: &Actor) -> anyhow::Result<()> {
    let most = kept_for(home)?.map_or(before, |kept| before.min(kept.first));
    let cut = home.folder()?.prunable(home.tenant, most).map_err(told)?;
    if cut.is_empty() {
        return Err(match blocking(home, cut.start, before)? {
            Some(blocking) => blocking.refused(),
            None => Failure::advise(
                Exit::BadInput,
                "nothing can be pruned: whole segments of 256 entries of ended runs go, never the rest",
                "a greater --before, when there are more entries of runs that have ended",
            ),
        });
    }
    // What stays of the pruned part is its root, and that is what the record names.
    let root = cog_store::frontier(home.scope()?.as_ref(), cut.end)?.root();
    let data = Map::from([
        ("from".into(), cut.start.into()),
        ("to".into(), cut.end.into()),
        ("root".into(), root.into()),
    ]);
    home.append(vec![draft(Kind::SegmentPruned, who, data).saying("reason", reason)]).map(drop)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the tests have a data folder")]

    use std::path::Path;

    use clap::Parser as _;
    use cog_store_sqlite::Mode;

    use super::*;
    use crate::cli::Cli;
    use crate::commands::ledger::verify::look;

    /// Nine runs of the archive, more than two segments of entries.
    fn archive(data: &Path) {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/04-survives-kill-9");
        let file = format!("{example}/workflow.yaml");
        let place = data.display().to_string();
        for number in 0..9 {
            let folder = format!("folder={place}-pages/{number}");
            let words = ["cognitionos", "run", &file, "--data", &place, "--quiet"];
            let inputs = ["--input", "pause_ms=0", "--input", &folder];
            let cli = Cli::try_parse_from(words.iter().chain(&inputs)).unwrap();
            let exit = crate::dispatch(&cli, &Terminal::new(&cli.common)).unwrap();
            assert_eq!(exit, Exit::Done);
        }
    }

    /// How many entries are gone, and whether the rest proves itself.
    fn looked_at(home: &Home) -> (u64, bool) {
        let holds = look(home, &[]).unwrap().findings.is_empty();
        (home.scope().unwrap().pruned().unwrap().entries, holds)
    }

    #[test]
    fn a_pruning_that_is_cut_short_is_explained_and_finished() {
        let data = std::env::temp_dir().join(format!("cognitionos-prune-{}", std::process::id()));
        archive(&data);
        let who = given::actor("user:operator").unwrap();
        let declare = |before| {
            let home = Home::write(&data).unwrap();
            declare_pruning(&home, before, "after five years", &who).unwrap();
            // It is killed here.
        };
        declare(256);
        assert_eq!(looked_at(&Home::open(&data, Mode::ReadOnly).unwrap()), (0, true));
        assert_eq!(looked_at(&Home::read(&data).unwrap()), (256, true));
        declare(512);
        assert_eq!(looked_at(&Home::open(&data, Mode::ReadOnly).unwrap()), (256, true));
        assert_eq!(looked_at(&Home::write(&data).unwrap()), (512, true));
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::remove_dir_all(format!("{}-pages", data.display())).unwrap();
    }
}

//! Pruning: dropping old entries, by number, by date, or when the canons let them go.

use std::ops::Range;

use cog_base::json::Map;
use cog_base::words::counted;
use cog_base::{Timestamp, Value};
use cog_gate::Actor;
use cog_ledger::Kind;
use cog_node::Destroy;
use cog_store::Keep as _;

use super::admin::draft;
use super::empty;
use super::keeper::entitled;
use super::kept::{Kept, blocking, kept_for, kept_for_run};
use super::retention::{self, Due, Rules};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::Terminal;

/// What is recorded as the reason where nobody gives another.
const EXPIRED: &str = "the canons keep it no longer";

/// What somebody wants pruned.
pub(super) enum Wanted<'a> {
    /// What is before an entry, or a time.
    Before(&'a str),
    /// What no canon keeps any longer: bodies, too.
    Expired {
        /// Only say what it is.
        dry_run: bool,
    },
}

impl<'a> Wanted<'a> {
    pub(super) fn of(before: Option<&'a str>, dry_run: bool) -> Self {
        before.map_or(Self::Expired { dry_run }, Self::Before)
    }
}

/// Drop old entries, on the record.
pub(super) fn prune(
    home: &Home,
    wanted: &Wanted<'_>,
    reason: Option<&str>,
    who: &str,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = given::actor(who)?;
    home.scope()?.tail().map_err(told)?.ok_or_else(empty)?;
    match wanted {
        Wanted::Before(before) => {
            let before = number(home, before)?;
            entitled(home, &who, ("ledger.prune", "prune"))?;
            let reason = reason.unwrap_or_default();
            drop_entries(home, before, reason, &who, terminal)
        }
        Wanted::Expired { dry_run: true } => {
            let due = due(home)?;
            if terminal.json {
                terminal.emit(&due.json());
            } else {
                terminal.say(&due.told());
            }
            Ok(Exit::Done)
        }
        Wanted::Expired { dry_run: false } => {
            entitled(home, &who, ("ledger.prune", "prune"))?;
            expire(home, reason.unwrap_or(EXPIRED), &who, terminal)
        }
    }
}

/// What is due: entries, as far as whole segments of them can go, and bodies.
fn due(home: &Home) -> anyhow::Result<Due> {
    let first = |kept: Option<Kept>| kept.map_or(u64::MAX, |kept| kept.first);
    let kept = first(kept_for(home)?);
    // What a period counts stands in the entries alone.
    let needed = first(kept_for_run(home)?);
    let mut due = Rules::of(home)?.due(home, retention::now(home)?, (kept, needed))?;
    let cut = home.keep().prunable(home.tenant, due.before.min(kept)).map_err(told)?;
    due.before = cut.end;
    due.from = cut.start;
    Ok(due)
}

/// Drop what no canon keeps any longer. Nothing is recorded when nothing is due.
fn expire(home: &Home, reason: &str, who: &Actor, terminal: &Terminal) -> anyhow::Result<Exit> {
    let due = due(home)?;
    if due.bodies.is_empty() && due.before <= due.from {
        super::erase::wipe(home)?;
    }
    for (domain, bodies) in &due.bodies {
        let basis = ("basis", "retention".into());
        let declared = (basis, Destroy::Bodies(bodies.clone()));
        super::erase::declare(home, (who, domain), Some(reason), declared, bodies)?;
    }
    if due.before > due.from {
        declare_pruning(home, due.before, reason, who, true)?;
    }
    if terminal.json {
        terminal.emit(&due.json());
    } else {
        terminal.say(&due.told());
    }
    Ok(Exit::Done)
}

/// The entry that is meant: by its number, or the first that is not before a time.
pub(super) fn number(home: &Home, before: &str) -> anyhow::Result<u64> {
    let scope = home.scope()?;
    let size = scope.tail().map_err(told)?.map_or(0, |tail| tail.frontier.size());
    if let Ok(before) = before.parse::<u64>() {
        if before > size {
            let message = format!("the ledger has {}", counted(size, "entry", "entries"));
            let advice = "--before N, with N at most that";
            return Err(Failure::advise(Exit::BadInput, message, advice));
        }
        return Ok(before);
    }
    let time = before.parse::<Timestamp>().ok();
    let time = time.or_else(|| format!("{before}T00:00:00.000000Z").parse().ok());
    let time = time.or_else(|| format!("{}.000000Z", before.strip_suffix('Z')?).parse().ok());
    let time = time.ok_or_else(|| {
        let message = format!("`{before}` is neither the number of an entry nor a time");
        let advice = "--before 1024, --before 2026-01-31 or --before 2026-01-31T12:00:00Z (UTC)";
        Failure::advise(Exit::BadInput, message, advice)
    })?;
    cog_store::first_since(scope.as_ref(), time).map_err(told)
}

fn drop_entries(
    home: &Home,
    before: u64,
    reason: &str,
    who: &Actor,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let blocking = blocking(home, home.scope()?.pruned().map_err(told)?.entries, before)?;
    let cut = declare_pruning(home, before, reason, who, home.is_of_nodes())?;
    let (from, to) = (cut.start, cut.end);
    // The owner of a ledger in the database has removed them already.
    let removed = if home.is_of_nodes() {
        None
    } else {
        Some(home.folder()?.prune_entries(home.tenant, to).map_err(told)?.removed)
    };
    if terminal.json {
        let members = [("from", Value::from(from)), ("to", to.into()), ("removed", removed.into())];
        terminal.emit(&Value::map(members));
    } else {
        let rows = removed.map(|rows| format!(" ({})", counted(rows, "row", "rows")));
        let rows = rows.unwrap_or_default();
        terminal.say(&format!("entries {from} to {to} pruned{rows}; proofs stay valid"));
        if let Some(blocking) = blocking {
            terminal.note(&format!("what is left before {before} stays: {}", blocking.why()));
        }
    }
    Ok(Exit::Done)
}

/// Record what is about to be pruned. Whatever happens after, the ledger says why entries are
/// missing; a pruning that is cut short is finished when the folder is opened next, or by the next
/// owner. Says what it is, and does it if that is wanted.
fn declare_pruning(
    home: &Home,
    before: u64,
    reason: &str,
    who: &Actor,
    does_it: bool,
) -> anyhow::Result<Range<u64>> {
    let most = kept_for(home)?.map_or(before, |kept| before.min(kept.first));
    let cut = home.keep().prunable(home.tenant, most).map_err(told)?;
    if cut.is_empty() {
        super::erase::wipe(home)?;
        return Err(match blocking(home, cut.start, before)? {
            Some(blocking) => blocking.refused(),
            None => Failure::advise(
                Exit::BadInput,
                "nothing can be pruned: whole segments of 256 entries of ended runs go, never the rest",
                "a greater --before, when there are more entries of runs that have ended",
            ),
        });
    }
    Rules::of(home)?.refuse_what_is_kept(home, who, cut.end, retention::now(home)?)?;
    // What stays of the pruned part is its root, and that is what the record names.
    let root = cog_store::frontier(home.scope()?.as_ref(), cut.end)?.root();
    let data = Map::from([
        ("from".into(), cut.start.into()),
        ("to".into(), cut.end.into()),
        ("root".into(), root.into()),
    ]);
    let draft = draft(Kind::SegmentPruned, who, data).saying("reason", reason);
    home.append_then(vec![draft], does_it.then_some(Destroy::Entries(cut.end)))?;
    Ok(cut)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "the tests have a data folder")]

    use std::path::Path;

    use clap::Parser as _;
    use cog_ledger::bundle::Check;
    use cog_store_sqlite::Mode;

    use super::*;
    use crate::cli::Cli;
    use crate::commands::ledger::verify::look;

    /// Runs of the archive: nine are more than two segments of entries.
    fn archive(data: &Path, runs: std::ops::Range<u64>) {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/04-survives-kill-9");
        let file = format!("{example}/workflow.yaml");
        for number in runs {
            let folder = format!("folder={}-pages/{number}", data.display());
            command(data, &["run", &file, "--input", "pause_ms=0", "--input", &folder]);
        }
    }

    fn command(data: &Path, words: &[&str]) {
        let place = data.display().to_string();
        let more = ["--quiet", "--data", &place];
        let words = ["cognitionos"].iter().chain(words).chain(&more);
        let cli = Cli::try_parse_from(words).unwrap();
        assert_eq!(crate::dispatch(&cli, &Terminal::new(&cli.common)).unwrap(), Exit::Done);
    }

    #[test]
    fn an_old_key_leads_to_the_new_one_though_the_hand_over_was_pruned() {
        let data = std::env::temp_dir().join(format!("cognitionos-handed-{}", std::process::id()));
        archive(&data, 0..1);
        let (old, head) = {
            let home = Home::read(&data).unwrap();
            let head = home.scope().unwrap().checkpoint().unwrap().unwrap();
            (super::super::bundle::public_key(&home).unwrap(), head)
        };
        let head_of_archive = ["--as", "user:head-of-archive"];
        command(&data, &[&["ledger", "rotate"][..], &head_of_archive].concat());
        archive(&data, 1..5);
        let cut = ["ledger", "prune", "--before", "256", "--reason", "after five years"];
        command(&data, &[&cut[..], &head_of_archive].concat());
        let home = Home::read(&data).unwrap();
        assert_eq!(looked_at(&home), (256, true));
        let mut bundle = Vec::new();
        super::super::bundle::bundle(&home, super::super::bundle::Without::default(), &mut bundle)
            .unwrap();
        let check = Check { trusted: &[old], against: &[] };
        let verified = cog_ledger::bundle::verify(&mut bundle.as_slice(), &check).unwrap();
        assert!(verified.holds(), "{:?}", verified.findings().kept());
        let found = look(&home, &[head]).unwrap().findings;
        let codes: Vec<_> = found.kept().iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["against.pruned"]);
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::remove_dir_all(format!("{}-pages", data.display())).unwrap();
    }

    /// How many entries are gone, and whether the rest proves itself.
    fn looked_at(home: &Home) -> (u64, bool) {
        let holds = look(home, &[]).unwrap().findings.is_empty();
        (home.scope().unwrap().pruned().unwrap().entries, holds)
    }

    #[test]
    fn an_erasure_that_is_cut_short_is_finished() {
        let data = std::env::temp_dir().join(format!("cognitionos-erase-{}", std::process::id()));
        archive(&data, 0..3);
        let who = given::actor("user:operator").unwrap();
        let bodies = |home: &Home| home.folder().unwrap().bodies(home.tenant, 0..u64::MAX).unwrap();
        let home = Home::write(&data).unwrap();
        let all: Vec<u64> = bodies(&home).into_iter().map(|(seq, _)| seq).collect();
        let (erased, kept) = all.split_at(all.len() / 2);
        let says = Map::from([
            ("basis".to_owned(), "entries".into()),
            ("bodies".to_owned(), (erased.len() as u64).into()),
            ("entries".to_owned(), Value::list(erased.iter().copied())),
        ]);
        home.append(vec![draft(Kind::BodiesErased, &who, says)]).unwrap();
        // It is killed here.
        drop(home);
        let found = look(&Home::open(&data, Mode::ReadOnly).unwrap(), &[]).unwrap().findings;
        assert!(found.kept().iter().all(|finding| finding.code == "body.not_erased"));
        assert_eq!(found.total(), erased.len() as u64);
        // Whoever reads next sees it done.
        let home = Home::read(&data).unwrap();
        assert!(look(&home, &[]).unwrap().findings.is_empty());
        let left: Vec<u64> = bodies(&home).into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(left, kept);
        std::fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn a_pruning_that_is_cut_short_is_explained_and_finished() {
        let data = std::env::temp_dir().join(format!("cognitionos-prune-{}", std::process::id()));
        archive(&data, 0..9);
        let who = given::actor("user:operator").unwrap();
        let declare = |before| {
            let home = Home::write(&data).unwrap();
            declare_pruning(&home, before, "after five years", &who, false).unwrap();
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

//! `replay`: recompute runs and decisions from the ledger; with another canon, the impact.

mod definition;
mod impact;
mod kept;
mod place;

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_embed::replays::{Came, Decided, Gone, Kept, Recomputed, recompute};
use cog_engine::Mismatch;
use cog_engine::replay::{Canons, Replayed};
use cog_ledger::Kind;
use cog_store::Select;

pub(crate) use self::impact::show_impact;
use crate::canon_dir;
use crate::cli::{Common, ReplayArgs};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told, unmade};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn replay(
    args: &ReplayArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = given::actor(&args.by.actor)?;
    let open = || if args.keep { Home::change(&common.data) } else { Home::read(&common.data) };
    let home = Home::at(&args.at, open)?;
    if args.list {
        return kept::list(&home, args.run.as_deref(), terminal);
    }
    if let Some(id) = &args.show {
        return kept::show(&home, id, terminal);
    }
    if let (Some(run), Some(place)) = (&args.run, &args.at_place) {
        return place::show(&home, given::run(run)?, place, terminal);
    }
    if let Some(file) = &args.definition {
        let run = args.run.as_deref().map(given::run).transpose()?;
        return definition::test(&home, file, run, terminal);
    }
    let keeper = args.keep.then_some(&who);
    let runs = runs(args, &home)?;
    if let Some(dir) = &args.canon {
        let (_, other) = canon_dir::load(dir)?;
        return show_impact(&home, &runs, other, keeper, terminal);
    }
    let canons = home.canons()?;
    let mut holds = true;
    if args.all && !terminal.json {
        let pruned = home.scope()?.pruned().map_err(told)?.entries;
        if pruned > 0 {
            terminal.note(&format!("runs before entry {pruned} are pruned and not recomputed"));
        }
        if runs.is_empty() {
            terminal.note("there is no run to recompute");
        }
    }
    let mut came = Vec::new();
    for run in runs {
        let one = replay_one(&home, run, &canons, terminal)?;
        holds &= one.came.holds();
        came.push(one);
    }
    keeper.map_or(Ok(()), |who| kept::keep(&home, &came, who, terminal))?;
    Ok(if holds { Exit::Done } else { Exit::Failed })
}

fn runs(args: &ReplayArgs, home: &Home) -> anyhow::Result<Vec<RunId>> {
    if let Some(run) = &args.run {
        return Ok(vec![given::run(run)?]);
    }
    if !args.all {
        let newest = home.newest_run()?;
        return newest.map(|run| vec![run]).ok_or_else(|| {
            let begin = "cognitionos run examples/01-quickstart/workflow.yaml";
            Failure::advise(Exit::BadInput, "this ledger has no run yet", begin)
        });
    }
    all_runs(home)
}

/// Every run of the ledger, oldest first.
pub(crate) fn all_runs(home: &Home) -> anyhow::Result<Vec<RunId>> {
    let mut runs = Vec::new();
    let kinds = vec![Kind::SessionStarted];
    home.each(Select { kinds, ..Select::default() }, |entry| runs.extend(entry.session()))?;
    Ok(runs)
}

fn replay_one(
    home: &Home,
    run: RunId,
    canons: &Canons,
    terminal: &Terminal,
) -> anyhow::Result<Kept> {
    home.knows(run)?;
    let one = recompute(&*home.scope()?, run, canons).map_err(unmade)?;
    match (one.is_pruned, terminal.json) {
        (true, true) => terminal.emit(&Value::map([
            ("run", Value::from(run)),
            ("result", "pruned".into()),
            ("trace", "pruned".into()),
        ])),
        (true, false) => {
            let word = terminal.tint(Tone::Ask, "pruned");
            terminal
                .say(&format!("{word}  {run}: its beginning is pruned, so it is not recomputed"));
        }
        (false, true) => terminal.emit(&json(&one)),
        (false, false) => say(&one, terminal),
    }
    Ok(one.kept())
}

/// Whether the entries follow, in one word.
fn followed(one: &Recomputed) -> &'static str {
    match one.trace {
        Ok(()) => "same",
        Err(Mismatch::NoBody { .. }) => "gone",
        Err(_) => "differs",
    }
}

fn json(one: &Recomputed) -> Value {
    let absent = one.absent.iter().map(|(seq, gone)| {
        let by = match gone {
            Gone::Erased(by) => *by,
            Gone::Unexplained => None,
        };
        let code = (*gone == Gone::Unexplained).then_some("body.absent");
        Value::map([("entry", Value::from(*seq)), ("erased_by", by.into()), ("code", code.into())])
    });
    Value::map([
        ("run", Value::from(one.run)),
        ("result", one.came().word().into()),
        ("trace", followed(one).into()),
        ("mismatch", one.trace.as_ref().err().map(ToString::to_string).into()),
        ("entries", (one.entries.len() as u64).into()),
        ("decisions", (one.decisions.len() as u64).into()),
        ("same", one.same().into()),
        ("differing", Value::list(one.differing().map(differing_json))),
        ("absent", Value::list(absent)),
    ])
}

fn say(one: &Recomputed, terminal: &Terminal) {
    let word = match one.came() {
        Came::Same => terminal.tint(Tone::Good, "same"),
        Came::Erased => terminal.tint(Tone::Ask, "partly erased"),
        Came::Pruned => terminal.tint(Tone::Ask, "pruned"),
        Came::Damaged => terminal.tint(Tone::Bad, "damaged"),
        Came::Unknown => terminal.tint(Tone::Bad, "cannot tell"),
        Came::Differs => terminal.tint(Tone::Bad, "differs"),
    };
    let entries = counted(one.entries.len() as u64, "entry", "entries");
    let (do_follow, do_not) =
        if one.entries.len() == 1 { ("follows", "does not") } else { ("follow", "do not") };
    let follow = match &one.trace {
        Ok(()) => format!("{entries} {do_follow} from definition and inputs"),
        Err(Mismatch::NoBody { seq, .. }) => {
            let before = one.entries.iter().filter(|it| *it < seq).count();
            format!("{before} of {entries} follow from definition and inputs, up to entry {seq}")
        }
        Err(_) => format!("{entries} {do_not} follow from definition and inputs"),
    };
    let all = counted(one.decisions.len() as u64, "decision", "decisions");
    let (run, same) = (one.run, one.same());
    terminal.say(&format!("{word}  {run}: {follow}, {same} of {all} recomputed the same"));
    if let Err(mismatch) = &one.trace
        && followed(one) != "gone"
    {
        terminal.say(&format!("  {mismatch}"));
    }
    for (seq, gone) in &one.absent {
        terminal.say(&match gone {
            Gone::Erased(Some(by)) => {
                format!("  entry {seq}: its record was erased, as entry {by} says")
            }
            Gone::Erased(None) => format!("  entry {seq}: its record was erased"),
            Gone::Unexplained => format!(
                "  entry {seq}: its record is missing, and no entry says that it was erased \
                 (body.absent)"
            ),
        });
    }
    let known = |it: &&Decided| one.absent.iter().any(|(seq, _)| *seq == it.entry.seq());
    for it in one.differing().filter(|it| !known(it)) {
        terminal.say(&format!("  entry {}: {}", it.entry.seq(), words(&it.replayed)));
    }
    if one.came() == Came::Damaged {
        terminal.say(&terminal.located("  what else is damaged: cognitionos ledger verify"));
    }
}

fn words(replayed: &Replayed) -> String {
    match replayed {
        Replayed::Same => "the same".into(),
        Replayed::Differs { recorded, found } => {
            format!("recorded {}, found {}", plain(recorded), plain(found))
        }
        Replayed::CannotTell { why } => format!("cannot be recomputed: {}", plain(why)),
    }
}

fn differing_json(it: &Decided) -> Value {
    Value::map([
        ("entry", Value::from(it.entry.seq())),
        ("id", it.entry.id().into()),
        ("what", words(&it.replayed).into()),
    ])
}

//! `replay`: recompute runs and decisions from the ledger; with another canon, the impact.

mod definition;
mod impact;
mod kept;
mod place;

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_engine::Record;
use cog_engine::history::Mismatch;
use cog_engine::replay::{Canons, Replayed, is_decision, replay_decision, replay_run};
use cog_ledger::Kind;
use cog_store::Select;

pub(crate) use self::impact::show_impact;
use crate::canon_dir;
use crate::cli::{Common, ReplayArgs};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
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
        holds &= matches!(one.result, "same" | "erased" | "pruned");
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
) -> anyhow::Result<kept::Came> {
    let records = home.records(run)?;
    let begins = records.first().is_some_and(|it| it.entry.kind() == Kind::SessionStarted);
    if !begins && home.scope()?.pruned().map_err(told)?.entries > 0 {
        return Ok(told_pruned(run, &records, terminal));
    }
    let past = home.history(run)?;
    let trace = replay_run(&past);
    let is_cut = matches!(trace, Err(Mismatch::NoPast { .. }));
    if is_cut && home.scope()?.pruned().map_err(told)?.entries > 0 {
        return Ok(told_pruned(run, &records, terminal));
    }
    let decisions = records.iter().filter(|record| is_decision(&record.entry));
    let replayed = decisions.map(|record| (record, replay_decision(record, canons))).collect();
    let one = One { run, trace: trace.map(drop), replayed, absent: absent(home, &past)? };
    let entries = records.len() as u64;
    if terminal.json {
        terminal.emit(&one.json(entries));
    } else {
        one.say(&records, terminal);
    }
    Ok(one.came(entries))
}

/// The entries whose bodies are not here, each with the entry that says that it was erased.
fn absent(home: &Home, records: &[Record]) -> anyhow::Result<Vec<(u64, Gone)>> {
    let is_absent = |it: &&Record| it.body.is_none() && it.entry.commit().is_some();
    let absent: Vec<u64> = records.iter().filter(is_absent).map(|it| it.entry.seq()).collect();
    if absent.is_empty() {
        return Ok(Vec::new());
    }
    let erasures = home.erasures()?;
    let gone = |seq| match erasures.of(seq) {
        Some(by) => Gone::Erased(Some(by)),
        None if erasures.explains(seq) => Gone::Erased(None),
        None => Gone::Unexplained,
    };
    Ok(absent.into_iter().map(|seq| (seq, gone(seq))).collect())
}

/// Why a body is not here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// It was erased, as that entry says.
    Erased(Option<u64>),
    Unexplained,
}

/// What came of one run, in the words of `docs/guide/cli.md`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Everything comes out the same.
    Same,
    /// What is left does, and the rest was erased.
    Erased,
    /// A body is missing that nothing accounts for.
    Damaged,
    /// A decision cannot be recomputed, and no erasure is why.
    Unknown,
    /// Something comes out otherwise.
    Differs,
}

impl Came {
    const fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Erased => "erased",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
            Self::Differs => "differs",
        }
    }
}

/// One run, recomputed.
struct One<'a> {
    run: RunId,
    trace: Result<(), Mismatch>,
    replayed: Vec<(&'a Record, Replayed)>,
    absent: Vec<(u64, Gone)>,
}

impl One<'_> {
    fn result(&self) -> Came {
        let differs = self.replayed.iter().any(|(_, it)| matches!(it, Replayed::Differs { .. }));
        let unknown = |(record, it): &(&Record, Replayed)| {
            matches!(it, Replayed::CannotTell { .. }) && record.body.is_some()
        };
        let is_gone = matches!(self.trace, Err(Mismatch::NoBody { .. }));
        if differs || (self.trace.is_err() && !is_gone) {
            Came::Differs
        } else if self.absent.iter().any(|(_, gone)| *gone == Gone::Unexplained) {
            Came::Damaged
        } else if self.replayed.iter().any(unknown) {
            Came::Unknown
        } else if self.absent.is_empty() {
            Came::Same
        } else {
            Came::Erased
        }
    }

    /// What is kept of it: which entries, and why, without what they say.
    fn came(&self, entries: u64) -> kept::Came {
        let mismatch =
            self.trace.as_ref().err().map(|why| Value::map([("trace", why.to_string())]));
        let differing = self.replayed.iter().filter(|(_, it)| *it != Replayed::Same);
        let differing = differing.map(|(record, it)| {
            let word = match it {
                Replayed::Same => "same",
                Replayed::Differs { .. } => "differs",
                Replayed::CannotTell { .. } => "unknown",
            };
            let id = record.entry.id();
            let entry = ("entry", Value::from(record.entry.seq()));
            Value::map([entry, ("id", id.into()), ("result", word.into())])
        });
        kept::Came {
            run: self.run,
            result: self.result().word(),
            entries,
            decisions: self.replayed.len() as u64,
            canon: None,
            findings: Value::list(mismatch.into_iter().chain(differing)),
        }
    }

    fn same(&self) -> u64 {
        self.replayed.iter().filter(|(_, it)| *it == Replayed::Same).count() as u64
    }

    fn followed(&self) -> &'static str {
        match self.trace {
            Ok(()) => "same",
            Err(Mismatch::NoBody { .. }) => "gone",
            Err(_) => "differs",
        }
    }

    fn json(&self, entries: u64) -> Value {
        let differing = self.replayed.iter().filter(|(_, it)| *it != Replayed::Same);
        let absent = self.absent.iter().map(|(seq, gone)| {
            let by = match gone {
                Gone::Erased(by) => *by,
                Gone::Unexplained => None,
            };
            let code = (*gone == Gone::Unexplained).then_some("body.absent");
            Value::map([
                ("entry", Value::from(*seq)),
                ("erased_by", by.into()),
                ("code", code.into()),
            ])
        });
        Value::map([
            ("run", Value::from(self.run)),
            ("result", self.result().word().into()),
            ("trace", self.followed().into()),
            ("mismatch", self.trace.as_ref().err().map(ToString::to_string).into()),
            ("entries", entries.into()),
            ("decisions", (self.replayed.len() as u64).into()),
            ("same", self.same().into()),
            ("differing", Value::list(differing.map(|(record, it)| differing_json(record, it)))),
            ("absent", Value::list(absent)),
        ])
    }

    fn say(&self, records: &[Record], terminal: &Terminal) {
        let word = match self.result() {
            Came::Same => terminal.tint(Tone::Good, "same"),
            Came::Erased => terminal.tint(Tone::Ask, "partly erased"),
            Came::Damaged => terminal.tint(Tone::Bad, "damaged"),
            Came::Unknown => terminal.tint(Tone::Bad, "cannot tell"),
            Came::Differs => terminal.tint(Tone::Bad, "differs"),
        };
        let entries = counted(records.len() as u64, "entry", "entries");
        let (do_follow, do_not) =
            if records.len() == 1 { ("follows", "does not") } else { ("follow", "do not") };
        let follow = match &self.trace {
            Ok(()) => format!("{entries} {do_follow} from definition and inputs"),
            Err(Mismatch::NoBody { seq, .. }) => {
                let before = records.iter().filter(|it| it.entry.seq() < *seq).count();
                format!(
                    "{before} of {entries} follow from definition and inputs, up to entry {seq}"
                )
            }
            Err(_) => format!("{entries} {do_not} follow from definition and inputs"),
        };
        let all = counted(self.replayed.len() as u64, "decision", "decisions");
        let (run, same) = (self.run, self.same());
        terminal.say(&format!("{word}  {run}: {follow}, {same} of {all} recomputed the same"));
        if let Err(mismatch) = &self.trace
            && self.followed() != "gone"
        {
            terminal.say(&format!("  {mismatch}"));
        }
        for (seq, gone) in &self.absent {
            terminal.say(&match gone {
                Gone::Erased(Some(by)) => format!("  entry {seq}: its record was erased, as entry {by} says"),
                Gone::Erased(None) => format!("  entry {seq}: its record was erased"),
                Gone::Unexplained => format!(
                    "  entry {seq}: its record is missing, and no entry says that it was erased (body.absent)"
                ),
            });
        }
        let known = |record: &Record| self.absent.iter().any(|(seq, _)| *seq == record.entry.seq());
        let told = |(record, it): &&(&Record, Replayed)| *it != Replayed::Same && !known(record);
        for (record, it) in self.replayed.iter().filter(told) {
            terminal.say(&format!("  entry {}: {}", record.entry.seq(), words(it)));
        }
        if self.result() == Came::Damaged {
            terminal.say("  what else is damaged: cognitionos ledger verify");
        }
    }
}

/// A run whose beginning is gone cannot be recomputed, and nothing is wrong with that.
fn told_pruned(run: RunId, records: &[Record], terminal: &Terminal) -> kept::Came {
    if terminal.json {
        terminal.emit(&Value::map([
            ("run", Value::from(run)),
            ("result", "pruned".into()),
            ("trace", "pruned".into()),
        ]));
    } else {
        let word = terminal.tint(Tone::Ask, "pruned");
        terminal.say(&format!("{word}  {run}: its beginning is pruned, so it is not recomputed"));
    }
    let (entries, findings) = (records.len() as u64, Value::list(Vec::<Value>::new()));
    kept::Came { run, result: "pruned", entries, decisions: 0, canon: None, findings }
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

fn differing_json(record: &Record, replayed: &Replayed) -> Value {
    Value::map([
        ("entry", Value::from(record.entry.seq())),
        ("id", record.entry.id().into()),
        ("what", words(replayed).into()),
    ])
}

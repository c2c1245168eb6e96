//! `replay --definition`: the replay test of a workflow file. Whether the runs on record follow from
//! it, as they do from the definitions that they began with.

use std::path::Path;
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_engine::Mismatch;
use cog_engine::replay::replay_under;
use cog_flow::Flow;
use cog_ledger::Kind;
use cog_store::Select;

use crate::commands::run::family;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::terminal::{Terminal, Tone, plain};

/// What came of one run.
struct Tested {
    run: RunId,
    /// It is not over: it was followed to its last entry.
    is_open: bool,
    entries: u64,
    why: Option<Mismatch>,
}

impl Tested {
    fn result(&self) -> &'static str {
        match &self.why {
            None => "same",
            Some(Mismatch::NoBody { .. } | Mismatch::NoPast { .. } | Mismatch::NoStart { .. }) => {
                "unknown"
            }
            Some(Mismatch::Definition { .. } | Mismatch::Unexpected { .. }) => "differs",
        }
    }

    fn json(&self) -> Value {
        Value::map([
            ("run", Value::from(self.run)),
            ("result", self.result().into()),
            ("open", self.is_open.into()),
            ("entries", self.entries.into()),
            ("entry", self.why.as_ref().map(Mismatch::seq).into()),
            ("why", self.why.as_ref().map(ToString::to_string).into()),
        ])
    }

    fn say(&self, terminal: &Terminal) {
        let word = match self.result() {
            "same" => terminal.tint(Tone::Good, "same"),
            "differs" => terminal.tint(Tone::Bad, "differs"),
            _ => terminal.tint(Tone::Ask, "cannot tell"),
        };
        let what = match &self.why {
            None => format!("all {} follow", counted(self.entries, "entry", "entries")),
            Some(why) => plain(&why.to_string()),
        };
        let open = if self.is_open { ", open" } else { "" };
        terminal.say(&format!("{word}  {}{open}: {what}", self.run));
    }
}

/// Test a workflow file on one run, or on every run of its workflow.
pub(super) fn test(
    home: &Home,
    file: &Path,
    run: Option<RunId>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let flow = Arc::new(family::read(file)?.1);
    let runs = match run {
        Some(run) => vec![run],
        None => of_workflow(home, &flow)?,
    };
    let tested = runs.into_iter().map(|run| one(home, run, &flow, file));
    let tested = tested.collect::<anyhow::Result<Vec<_>>>()?;
    let count = |result| tested.iter().filter(|it| it.result() == result).count() as u64;
    let (same, differing) = (count("same"), count("differs"));
    if terminal.json {
        terminal.emit(&Value::map([
            ("workflow", Value::from(flow.name.as_str())),
            ("definition", flow.digest.into()),
            ("runs", (tested.len() as u64).into()),
            ("same", same.into()),
            ("differing", differing.into()),
            ("unknown", count("unknown").into()),
            ("tested", Value::list(tested.iter().map(Tested::json))),
        ]));
    } else {
        tested.iter().for_each(|it| it.say(terminal));
        let (name, digest) = (plain(&flow.name), flow.digest.short());
        terminal.say(&match tested.len() as u64 {
            0 => format!("no run of `{name}` is on record, and so nothing was tested"),
            all => format!("{same} of {all} recorded runs follow from {name} ({digest})"),
        });
    }
    Ok(if differing == 0 { Exit::Done } else { Exit::Failed })
}

/// The runs on record of the workflow that has this name, oldest first.
fn of_workflow(home: &Home, flow: &Flow) -> anyhow::Result<Vec<RunId>> {
    let mut runs = Vec::new();
    let kinds = vec![Kind::SessionStarted];
    home.each(Select { kinds, ..Select::default() }, |entry| {
        let is_it = entry.text("workflow") == Some(&flow.name);
        runs.extend(entry.session().filter(|_| is_it));
    })?;
    Ok(runs)
}

fn one(home: &Home, run: RunId, flow: &Arc<Flow>, file: &Path) -> anyhow::Result<Tested> {
    let past = home.history(run)?;
    let own = cog_engine::fork::own(&past);
    let workflow = own.first().and_then(|first| first.entry.text("workflow"));
    if let Some(other) = workflow.filter(|name| *name != flow.name) {
        let message = format!("{run} is a run of `{}`, not of `{}`", plain(other), flow.name);
        let file = given::name(file);
        let advice =
            format!("cognitionos replay --definition {file} tests every run of `{}`", flow.name);
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    let is_open = own.last().is_none_or(|last| last.entry.kind() != Kind::SessionSealed);
    let entries = own.len() as u64;
    Ok(Tested { run, is_open, entries, why: replay_under(&past, flow).err() })
}

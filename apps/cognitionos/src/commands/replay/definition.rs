//! `replay --definition`: the replay test of a workflow file. Whether the runs on record follow from
//! it, as they do from the definitions that they began with.

use std::path::Path;
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_embed::Error;
use cog_embed::definitions::{Tested, of_workflow, test as tried};
use cog_engine::Mismatch;
use cog_flow::Flow;

use crate::commands::run::family;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, unmade};
use crate::terminal::{Terminal, Tone, plain};

fn json(tested: &Tested) -> Value {
    Value::map([
        ("run", Value::from(tested.run)),
        ("result", tested.result().into()),
        ("open", tested.is_open.into()),
        ("entries", tested.entries.into()),
        ("entry", tested.why.as_ref().map(Mismatch::seq).into()),
        ("why", tested.why.as_ref().map(ToString::to_string).into()),
    ])
}

fn say(tested: &Tested, terminal: &Terminal) {
    let word = match tested.result() {
        "same" => terminal.tint(Tone::Good, "same"),
        "differs" => terminal.tint(Tone::Bad, "differs"),
        _ => terminal.tint(Tone::Ask, "cannot tell"),
    };
    let what = match &tested.why {
        None => format!("all {} follow", counted(tested.entries, "entry", "entries")),
        Some(why) => plain(&why.to_string()),
    };
    let open = if tested.is_open { ", open" } else { "" };
    terminal.say(&format!("{word}  {}{open}: {what}", tested.run));
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
        None => of_workflow(&*home.scope()?, &flow.name).map_err(unmade)?,
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
            ("tested", Value::list(tested.iter().map(json))),
        ]));
    } else {
        tested.iter().for_each(|it| say(it, terminal));
        let (name, digest) = (plain(&flow.name), flow.digest.short());
        terminal.say(&match tested.len() as u64 {
            0 => format!("no run of `{name}` is on record, and so nothing was tested"),
            all => format!("{same} of {all} recorded runs follow from {name} ({digest})"),
        });
    }
    Ok(if differing == 0 { Exit::Done } else { Exit::Failed })
}

fn one(home: &Home, run: RunId, flow: &Arc<Flow>, file: &Path) -> anyhow::Result<Tested> {
    home.knows(run)?;
    tried(&*home.scope()?, run, flow).map_err(|error| {
        let Error::OtherWorkflow { run, other, wanted } = error else { return unmade(error) };
        let message = format!("{run} is a run of `{}`, not of `{wanted}`", plain(&other));
        let file = given::name(file);
        let advice =
            format!("cognitionos replay --definition {file} tests every run of `{wanted}`");
        Failure::advise(Exit::BadInput, message, advice)
    })
}

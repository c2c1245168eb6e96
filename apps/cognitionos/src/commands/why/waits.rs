//! What an open run waits for besides approvals: signals, and whoever holds it.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::{History, Intervention};

use crate::terminal::{Terminal, plain};
use crate::view::told::{send, unpause};

/// Who holds the run, and the signals it waits for, each with what to do about it.
pub(super) fn tell(run: RunId, history: &History, terminal: &Terminal) {
    if let Some(Intervention { by, reason }) = history.paused() {
        terminal.say(&format!("It is paused, by {}: {}", plain(by), plain(reason)));
        terminal.say(&format!("  {}", unpause(run)));
    }
    let awaited = history.signals_awaited();
    for (step, name) in &awaited {
        let (step, name) = (plain(step), plain(name));
        terminal.say(&format!("It waits for the signal `{name}` (step {step})."));
    }
    let names: BTreeSet<_> = awaited.iter().map(|(_, name)| name).collect();
    names.iter().for_each(|name| terminal.say(&format!("  {}", send(run, name))));
}

/// The steps that wait for a signal, each with its name.
pub(super) fn signals(history: &History) -> Vec<Value> {
    let awaited = history.signals_awaited().into_iter();
    awaited.map(|(step, name)| Value::map([("step", step), ("signal", name)])).collect()
}

/// Who ended or holds the run, and why.
pub(super) fn intervention(it: &Intervention) -> Value {
    let Intervention { by, reason } = it;
    Value::map([("by", by.as_str()), ("reason", reason.as_str())])
}

//! `ledger proof`, `checkpoint` and `key`: what leaves the house as text.

use cog_base::Value;
use cog_ledger::merkle::inclusion;
use cog_ledger::proof::ProvenEntry;
use cog_store::Tree;

use super::{empty, named};
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::terminal::Terminal;

/// Prove that the first entry of this name is in the log. The entry travels with its proof.
pub(super) fn proof(home: &Home, id: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let entry = named(home, id)?.into_iter().next().ok_or_else(empty)?;
    let scope = home.scope()?;
    let checkpoint = scope.checkpoint().map_err(told)?.ok_or_else(empty)?;
    let path = inclusion(&mut Tree(scope.as_ref()), entry.seq(), checkpoint.size())
        .map_err(|error| Failure::advise(Exit::Failed, error, "cognitionos ledger verify"))?;
    let proof = ProvenEntry::new(entry, path, checkpoint);
    print(&proof.to_string(), "proof", terminal)
}

/// Print a text as it is, or as a JSON member.
pub(super) fn print(text: &str, name: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    if terminal.json {
        terminal.emit(&Value::map([(name, text)]));
    } else {
        terminal.raw(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

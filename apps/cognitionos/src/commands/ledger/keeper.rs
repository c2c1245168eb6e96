//! Who may rotate the key of a ledger, erase from it and prune it: whoever may approve a change
//! of the canon of its first domain. Before there is a canon it is whoever runs the program.

use cog_base::json::Map;
use cog_base::{Digest, Value};
use cog_gate::Actor;
use cog_ledger::Kind;
use cog_store::Select;

use super::admin::draft;
use crate::failure::{Exit, Failure};
use crate::home::{Home, no_canon, told};

/// Refuse `deed` by somebody whom the canon does not entitle, on the record.
///
/// # Errors
/// A refusal that says who may.
pub(super) fn entitled(home: &Home, who: &Actor, deed: &str) -> anyhow::Result<()> {
    let founding = Select { kinds: vec![Kind::CanonActivated], limit: 1, ..Select::default() };
    let founded = home.scope()?.select(&founding).map_err(told)?;
    let Some(founded) = founded.first() else { return Ok(()) };
    let domain = founded.domain();
    let in_force = home.change_control()?.in_force(domain).or(founded.digest("digest"));
    let canon = in_force.map(|digest| home.canon(digest)).transpose()?.flatten();
    let canon = canon.ok_or_else(|| no_canon(in_force))?;
    let keepers = &canon.settings().change.approvers;
    let is_person = who.as_str().starts_with("user:");
    if is_person && keepers.iter().any(|group| canon.is_member(who.as_str(), group)) {
        return Ok(());
    }
    let note = format!("{who} wanted to {deed}, and the canon of {domain} does not entitle them");
    let data = Map::from([
        ("source".into(), "ledger.refused".into()),
        ("digest".into(), Digest::of(&[note.as_bytes()]).into()),
        ("note".into(), Value::from(note)),
    ]);
    home.append(vec![draft(Kind::Evidence, who, data)])?;
    let message = format!(
        "{who} may not {deed}: it takes {}, who may approve a change of the canon of `{domain}`",
        keepers.join(" or ")
    );
    Err(Failure::advise(Exit::Refused, message, "say who does it with --as user:NAME"))
}

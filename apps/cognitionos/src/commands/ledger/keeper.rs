//! Who may rotate the key of a ledger, erase from it and prune it: whoever may approve a change
//! of the canon of its first domain. Before there is a canon it is whoever runs the program.

use cog_gate::Actor;
use cog_gate::act::{Act, Facts};
use cog_ledger::Kind;
use cog_store::Select;

use crate::commands::refused::{act, explained, record};
use crate::failure::{Exit, Failure};
use crate::home::{Home, no_canon, told};

/// Refuse an action, `deed` in words, by somebody whom the canon does not entitle, on the record.
///
/// # Errors
/// A refusal that says who may.
pub(super) fn entitled(
    home: &Home,
    who: &Actor,
    (action, deed): (&'static str, &str),
) -> anyhow::Result<()> {
    let founding = Select { kinds: vec![Kind::CanonActivated], limit: 1, ..Select::default() };
    let founded = home.scope()?.select(&founding).map_err(told)?;
    let Some(founded) = founded.first() else { return Ok(()) };
    let domain = founded.domain();
    let in_force = home.change_control()?.in_force(domain).or(founded.digest("digest"));
    let canon = in_force.map(|digest| home.canon(digest)).transpose()?.flatten();
    let canon = canon.ok_or_else(|| no_canon(in_force))?;
    let resource = format!("Ledger::\"{}\"", home.tenant);
    let act = Act { canon: in_force, ..act(home.tenant, domain, who, action, resource) };
    let append = |draft| home.append(vec![draft]).map(drop);
    let denial = record(home, &act, &Facts::Keep, Some(&canon), &append)?;
    if denial.is_none() {
        return Ok(());
    }
    let keepers = canon.settings().change.approvers.join(" or ");
    let message = format!(
        "{who} may not {deed}: it takes {keepers}, who may approve a change of the canon of \
         `{domain}`"
    );
    let advice = "say who does it with --as user:NAME";
    Err(explained(Failure::advise(Exit::Refused, message, advice), Ok(denial)))
}

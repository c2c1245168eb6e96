//! Versions of workflows that somebody has decided to activate: the owner of the log looks whether they
//! may, and whether it is the next version and what it says to be, or does not record it.

use cog_base::Value;
use cog_base::id::TenantId;
use cog_base::json::parse;
use cog_engine::Versions;
use cog_engine::versions::definition;
use cog_flow::Flow;
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};
use cog_ledger::{Draft, Kind};
use cog_store::{StoreError, TenantTx};

use super::Desk;
use super::opening::in_force;

impl Desk {
    /// Why versions of workflows are not activated so; nothing when they are, or when nothing is about
    /// them. Whoever may not is refused on the record.
    pub(super) fn not_activated(
        &self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        drafts: &[Draft],
    ) -> Result<Option<String>, StoreError> {
        let is_one = |draft: &&Draft| draft.kind == Kind::WorkflowActivated;
        let (Some(draft), Some(office)) = (drafts.iter().find(is_one), self.offices.get(&tenant))
        else {
            return Ok(None);
        };
        let known = draft.actor.parse::<Actor>().ok().zip(described(draft));
        let Some((who, flow)) = known.filter(|_| drafts.len() == 1) else {
            return Ok(Some("it does not say what is activated, and by whom".to_owned()));
        };
        let next = Versions::read(scope)?.next(&flow.domain, &flow.name);
        if draft.data.get("version").and_then(Value::as_u64) != Some(next) {
            return Ok(Some(format!("the next version of `{}` is {next}", flow.name)));
        }
        let canon = in_force(&self.house, scope, &office.change, &flow.domain)?;
        let act = Act::activate(tenant, &flow.domain, &flow.name, &who, canon.as_deref());
        self.refuse_act(scope, (&act, &Facts::Activate), canon.as_deref())
    }
}

/// The workflow that stands beside a draft, if the draft says just that of it.
fn described(draft: &Draft) -> Option<Flow> {
    let body = parse(std::str::from_utf8(&draft.body.as_ref()?.bytes).ok()?).ok()?;
    let (_, flow) = definition(&body).ok()?;
    let text = |name: &str| draft.data.get(name).and_then(Value::as_text);
    let is_it = draft.domain == flow.domain
        && text("workflow") == Some(&flow.name)
        && text("definition").and_then(|digest| digest.parse().ok()) == Some(flow.digest)
        && draft.data.get("children") == flow.children_digests().as_ref();
    is_it.then_some(flow)
}

//! Changes of canon that somebody has decided on: the owner of the log comes to the same by change
//! control, or does not record them.

use std::sync::Arc;

use cog_base::id::{ProposalId, TenantId};
use cog_base::{Digest, Value};
use cog_canon::Canon;
use cog_gate::Actor;
use cog_gate::change::{ChangeControl, NotChanged};
use cog_ledger::{Draft, Kind};
use cog_store::{StoreError, TenantTx};

use super::Desk;
use super::opening::{canon, in_force};

impl Desk {
    /// Why entries about canon are not what change control comes to; nothing when they are, or when
    /// none of them is about canon.
    pub(super) fn against_the_rules(
        &self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        drafts: &[Draft],
    ) -> Result<Option<String>, StoreError> {
        let is_change = |draft: &&Draft| ChangeControl::KINDS.contains(&draft.kind);
        let (Some(deed), Some(office)) = (drafts.iter().find(is_change), self.offices.get(&tenant))
        else {
            return Ok(None);
        };
        let (house, change) = (&self.house, &office.change);
        let current = in_force(house, scope, change, &deed.domain)?;
        let proposed = match proposed(change, deed) {
            Some(digest) => canon(house, scope, digest)?,
            None => None,
        };
        let sound = proposed.filter(|canon| canon.test().failed.is_empty());
        if sound.is_none() && deed.kind != Kind::CanonRejected {
            return Ok(Some("the canon is not kept, or its tests fail".to_owned()));
        }
        let who = deed.actor.parse::<Actor>().ok();
        let drafted = who.and_then(|who| drafted(change, deed, current.as_deref(), (sound, who)));
        let expected = match drafted {
            Some(Ok(expected)) => expected,
            Some(Err(error)) => return Ok(Some(error.to_string())),
            None => {
                return Ok(Some("it names no proposal, or nobody whom the canon knows".to_owned()));
            }
        };
        let is_so = expected.len() == drafts.len()
            && expected.iter().zip(drafts).all(|(expected, draft)| {
                // What somebody says about it stands beside the entry.
                Draft { body: None, ..draft.clone() } == Draft { body: None, ..expected.clone() }
            });
        Ok((!is_so).then(|| "it is not what change control comes to".to_owned()))
    }
}

/// The canon that a deed is about.
fn proposed(change: &ChangeControl, deed: &Draft) -> Option<Digest> {
    let digest = deed.data.get("digest").and_then(Value::as_text)?.parse().ok()?;
    let known = id(deed).and_then(|id| change.proposal(id)).map(|proposal| proposal.digest);
    Some(known.unwrap_or(digest))
}

fn id(deed: &Draft) -> Option<ProposalId> {
    deed.data.get("proposal").and_then(Value::as_text)?.parse().ok()
}

/// What change control comes to; nothing when the deed does not say what it takes.
fn drafted(
    change: &ChangeControl,
    deed: &Draft,
    current: Option<&Canon>,
    (canon, who): (Option<Arc<Canon>>, Actor),
) -> Option<Result<Vec<Draft>, NotChanged>> {
    let one = |draft: Result<Draft, NotChanged>| draft.map(|draft| vec![draft]);
    let text = |name: &str| deed.data.get(name).and_then(Value::as_text);
    if deed.kind == Kind::CanonActivated && text("basis") == Some("genesis") {
        return Some(one(change.found(canon?.as_ref(), &deed.environment, &who)));
    }
    let id = id(deed)?;
    if deed.kind == Kind::CanonProposed {
        current.filter(|current| current.knows(who.as_str()))?;
        let evidence = deed.data.get("evidence").and_then(Value::as_list).unwrap_or_default();
        let evidence: Option<Vec<u64>> = evidence.iter().map(Value::as_u64).collect();
        let (canon, environment) = (canon?, &deed.environment);
        return Some(one(change.propose(id, &canon, environment, &who, &evidence?)));
    }
    let current = current?;
    if !current.knows(who.as_str()) {
        return None;
    }
    Some(if deed.kind == Kind::CanonApproved {
        one(change.approve(id, &who, current))
    } else if deed.kind == Kind::CanonRejected {
        one(change.reject(id, &who, "", current))
    } else {
        change.activate(id, &who, current)
    })
}

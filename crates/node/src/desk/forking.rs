//! Runs that go on from a place of another: the history that they take over is read from the log.

use cog_base::id::{RunId, TenantId};
use cog_engine::fork::{Past, gather};
use cog_engine::kin::kin;
use cog_engine::replay::as_far;
use cog_engine::{Fork, Forking};
use cog_store::{StoreError, TenantTx};

use super::Desk;
use super::opening::records;
use super::post::Folders;
use crate::request::Forked;

impl Desk {
    /// A run to start from a place of another, with its adapters bound; or why it cannot be.
    pub(super) fn fork(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        forked: &Forked,
    ) -> Result<Result<Forking, String>, StoreError> {
        let read = |run, until| records(scope, run, until);
        let Forked { run, fork, given, places, initiator } = forked;
        let all = |run: RunId| gather(run, u64::MAX, read);
        let whole = all(fork.session)?;
        let past = whole.iter().take_while(|it| it.entry.seq() <= fork.seq);
        let past: Vec<_> = past.cloned().collect();
        if past.last().map(|last| last.entry.seq()) != Some(fork.seq) {
            let Fork { session, seq, .. } = fork;
            return Ok(Err(format!("{session} has no entry {seq}")));
        }
        let kin = kin(fork.session, &whole, all)?;
        let end = as_far(&whole).ok().map(|(end, _)| end);
        let (past, history) = match Past::take(past, end.as_ref(), all)? {
            Ok(both) => both,
            Err(none) => return Ok(Err(none.to_string())),
        };
        let flow = history.flow();
        let origin = history.origin();
        let (place, who) = ((origin.domain.as_str(), origin.environment.as_str()), initiator);
        if let Some(why) = self.barred(tenant, scope, place, (&origin.workflow, who))? {
            return Ok(Err(why));
        }
        let before = history.inputs().as_map().cloned().unwrap_or_default();
        let inputs = match flow.bind_over(given, &before) {
            Ok(inputs) => inputs,
            Err(bad) => return Ok(Err(bad.to_string())),
        };
        let bound = flow.roots(&inputs, &history.origin().environment);
        let folders = bound.map_err(|bad| bad.to_string());
        let folders = folders.and_then(|bound| Folders::of(bound, places));
        let Folders { access, places, roots } = match folders {
            Ok(folders) => folders,
            Err(why) => return Ok(Err(why)),
        };
        let base = history.base().to_owned();
        let bound = self.bind(tenant, scope, &flow.domain, (*run, &base, &roots))?;
        let (fork, initiator) = (fork.clone(), initiator.clone());
        Ok(bound.map(|()| Forking {
            run: *run,
            fork,
            past,
            kin,
            inputs,
            roots: access,
            places,
            base,
            initiator,
        }))
    }
}

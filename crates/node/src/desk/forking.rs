//! Runs that go on from a place of another: the history that they take over is read from the log.

use cog_base::id::{RunId, TenantId};
use cog_engine::fork::{gather, is_free, still_stands};
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
        let past = gather(fork.session, fork.seq, read)?;
        if past.last().map(|last| last.entry.seq()) != Some(fork.seq) {
            let Fork { session, seq, .. } = fork;
            return Ok(Err(format!("{session} has no entry {seq}")));
        }
        let all = |run: RunId| gather(run, u64::MAX, read);
        let kin = kin(fork.session, &all(fork.session)?, all)?;
        let history = match as_far(&past) {
            Ok((history, None)) => history,
            Ok((_, Some(why))) | Err(why) => return Ok(Err(why.to_string())),
        };
        if let Err(none) = is_free(&past).and(still_stands(&past, all)?) {
            return Ok(Err(none.to_string()));
        }
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

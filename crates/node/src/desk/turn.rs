//! Runs that wait for their turn: when the engine says that one may begin, this desk reads what was
//! asked for, binds its adapters and hands it in.

use std::collections::BTreeMap;

use cog_base::id::{MailId, RunId, TenantId};
use cog_base::json::parse;
use cog_engine::admission::{asked, run_of};
use cog_engine::{Input, Record, Start};
use cog_gate::snapshot::Access;
use cog_ledger::Kind;
use cog_store::{StoreError, TenantTx};

use super::Desk;
use crate::kit::Root;
use crate::request::{Request, ask};

impl Desk {
    /// Hand in the runs that may begin, as far as there is room. What cannot be read now is read
    /// with the next beat.
    pub(super) fn begin_called(&mut self, tenant: TenantId) {
        let max = self.house.settings.runs_max;
        let Some(office) = self.offices.get_mut(&tenant) else { return };
        if office.is_draining {
            return;
        }
        let mut called = std::mem::take(&mut office.called).into_iter();
        let mut post = Vec::new();
        for run in called.by_ref() {
            let has_room = self.offices.get(&tenant).is_some_and(|office| office.has_room(max));
            let input = if has_room { self.called(tenant, run) } else { Ok(None) };
            let Ok(Some(input)) = input else {
                self.later(tenant, run);
                break;
            };
            let mail = MailId::from_uuid(run.uuid());
            if let Some(office) = self.offices.get_mut(&tenant) {
                office.coming.insert(mail);
            }
            post.push((mail, input));
        }
        called.for_each(|run| self.later(tenant, run));
        self.deliver(tenant, post);
    }

    fn later(&mut self, tenant: TenantId, run: RunId) {
        if let Some(office) = self.offices.get_mut(&tenant) {
            office.called.push(run);
        }
    }

    /// What the engine is told of a run that may begin.
    fn called(&mut self, tenant: TenantId, run: RunId) -> Result<Option<Input>, StoreError> {
        let house = std::sync::Arc::clone(&self.house);
        let scope = house.store.scope(tenant)?;
        let started = match queued(scope.as_ref(), run)? {
            Ok(start) => self.bind_start(tenant, scope.as_ref(), start)?,
            Err(why) => Err(why),
        };
        Ok(Some(match started {
            Ok(start) => Input::Start(Box::new(start)),
            Err(reason) => Input::GiveUp { run, reason },
        }))
    }

    /// Bind the adapters of a run that was asked for before; or say why that cannot be.
    fn bind_start(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        start: Start,
    ) -> Result<Result<Start, String>, StoreError> {
        let root = |(name, path): (&String, &String)| {
            let write = start.roots.get(name) == Some(&Access::Write);
            let create = start.flow.roots.iter().any(|it| it.name == *name && it.create);
            (name.clone(), Root { path: path.clone(), write, create })
        };
        let roots: BTreeMap<String, Root> = start.places.iter().map(root).collect();
        let (domain, base) = (start.flow.domain.as_str(), start.base.as_str());
        let bound = self.bind(tenant, scope, domain, (start.run, base, &roots))?;
        Ok(bound.map(|()| start))
    }

    /// Ask, by mail, for the end of runs that are in the way of one which waits.
    pub(super) fn make_way(&mut self, tenant: TenantId, run: RunId, others: Vec<RunId>) {
        let mut entropy = (self.house.entropy)();
        let Ok(scope) = self.house.store.scope(tenant) else { return };
        let Ok(Ok(start)) = queued(scope.as_ref(), run) else { return };
        for other in others {
            let Ok(mail) = MailId::new(self.house.now(), entropy.as_mut()) else { return };
            let reason = format!("{run} of the same key takes its place");
            let request = Request::Cancel { run: other, who: start.initiator.clone(), reason };
            // The run waits as long as nobody ends the other.
            drop(ask(self.house.store.as_ref(), tenant, mail, &request, None));
        }
    }
}

/// What was asked for as a run; or why that cannot be begun.
fn queued(scope: &dyn TenantTx, run: RunId) -> Result<Result<Start, String>, StoreError> {
    let found = scope.find(&run.to_string())?.into_iter();
    let mut found = found.filter(|it| it.kind() == Kind::SessionQueued && run_of(it) == Some(run));
    let Some(entry) = found.next() else { return Ok(Err("nobody asked for it".to_owned())) };
    let body = scope.body(entry.seq())?.and_then(|body| String::from_utf8(body.bytes).ok());
    let body = body.and_then(|text| parse(&text).ok());
    Ok(asked(&Record { entry: std::sync::Arc::new(entry), body }))
}

//! Entries of no run that somebody has decided on: the owner of the log records them as long as
//! what they rest on stands, and destroys what they say is destroyed.
//!
//! Nothing of the tenant begins meanwhile: what begins is handed to the engine by this very desk.

use std::sync::Arc;
use std::sync::mpsc::channel;

use cog_base::id::TenantId;
use cog_engine::Versions;
use cog_gate::change::ChangeControl;
use cog_ledger::{Draft, Durable, Entry, Kind};
use cog_store::{Select, StoreError, TenantTx};

use super::Desk;
use super::opening::{activated, canon, told};
use crate::came::{Came, came_of, recorded};
use crate::lane::Order;
use crate::request::{Decided, Destroy, Request};

/// What became of it.
pub(super) enum Recorded {
    Done,
    Refused(String),
    /// Runs are about to begin: when they have, it is looked at again.
    Later,
}

impl Desk {
    /// Record what was decided, if that is what is asked; else nothing.
    pub(super) fn record_decided(
        &mut self,
        tenant: TenantId,
        request: &Request,
    ) -> Result<Option<Recorded>, StoreError> {
        let Request::Record(decided) = request else { return Ok(None) };
        let Some(office) = self.offices.get_mut(&tenant) else {
            return Ok(Some(Recorded::Later));
        };
        if decided.then.is_some() && !office.coming.is_empty() {
            office.is_behind = true;
            return Ok(Some(Recorded::Later));
        }
        let house = Arc::clone(&self.house);
        // What the engine has submitted is decided behind this.
        house.until_decided(tenant);
        let scope = house.store.scope(tenant)?;
        if !matches!(came_of(scope.as_ref(), request)?, Some(Came::Done(_))) {
            if let Some(entry) = moved(scope.as_ref(), decided)? {
                let (kind, seq) = (entry.kind().as_str(), entry.seq());
                let why = format!("the log has changed since it was decided: entry {seq}, {kind}");
                return Ok(Some(Recorded::Refused(why)));
            }
            let drafts = &decided.drafts;
            let why = match self.against_the_rules(tenant, scope.as_ref(), drafts)? {
                Some(why) => Some(why),
                None => self.not_activated(tenant, scope.as_ref(), drafts)?,
            };
            if let Some(why) = why {
                return Ok(Some(Recorded::Refused(why)));
            }
            drop(scope);
            let doing = "record what was decided";
            if let Err(why) = self.append_noted(tenant, decided.drafts.clone(), doing)? {
                return Ok(Some(Recorded::Refused(why)));
            }
        }
        // After a crash it is done once more.
        if let Some(then) = &decided.then {
            then.carry_out(house.store.as_ref(), tenant)?;
        }
        if decided.then == Some(Destroy::Key) {
            self.rotate(tenant, decided)?;
        }
        Ok(Some(Recorded::Done))
    }

    /// Have another key sign the log, unless that was done after it was asked for.
    fn rotate(&self, tenant: TenantId, decided: &Decided) -> Result<(), StoreError> {
        let scope = self.house.store.scope(tenant)?;
        let asked = recorded(scope.as_ref(), decided)?.unwrap_or_default();
        let from = asked.last().map_or(u64::MAX, Entry::seq);
        let (kinds, limit) = (vec![Kind::KeyRotated], 1);
        let select = Select { kinds, from, limit, ..Select::default() };
        if !scope.select(&select)?.is_empty() {
            return Ok(());
        }
        drop(scope);
        let rotated = self.house.rotate(tenant);
        rotated.map(drop).map_err(|error| StoreError::io("change the key", told(error.as_ref())))
    }

    /// Record something of no run, and have everybody here know it. What binds, a canon or a version of
    /// a workflow, is recorded while the engine decides nothing: what it has decided stands before, under the
    /// canon that was in force there, and what it decides next stands behind. Where nobody can tell whether
    /// it is recorded, the engine goes: the next one begins with what the log says.
    pub(super) fn append_noted(
        &mut self,
        tenant: TenantId,
        drafts: Vec<Draft>,
        doing: &str,
    ) -> Result<Result<(), String>, StoreError> {
        let binds = [Kind::CanonActivated, Kind::WorkflowActivated];
        if !drafts.iter().any(|draft| binds.contains(&draft.kind)) {
            let appended = self.append(tenant, drafts, doing)?;
            return match appended {
                Ok(entries) => self.take_note(tenant, entries).map(Ok),
                Err(why) => Ok(Err(why)),
            };
        }
        let (hold, held) = channel();
        let _ = self.lane.send(Order::Hold(tenant, hold));
        let is_held = self.house.wait_for(&held).is_some();
        let appended = if is_held {
            self.append(tenant, drafts, doing)
        } else {
            Err(StoreError::io(doing, "the thread of its engine is gone"))
        };
        let noted = match appended {
            Ok(Ok(entries)) => self.take_note(tenant, entries).map(Ok),
            Ok(Err(why)) => Ok(Err(why)),
            Err(error) => Err(error),
        };
        if noted.is_err()
            && let Some(office) = self.offices.get(&tenant)
        {
            office.lease.end();
            let _ = self.lane.send(Order::Drop(tenant));
        }
        let _ = self.lane.send(Order::Go(tenant));
        noted
    }

    /// Have everybody here know what is in force, what is proposed and what runs are started from.
    fn take_note(
        &mut self,
        tenant: TenantId,
        entries: Vec<Durable<Entry>>,
    ) -> Result<(), StoreError> {
        let house = Arc::clone(&self.house);
        let is_told =
            |kind| ChangeControl::KINDS.contains(&kind) || Versions::KINDS.contains(&kind);
        for entry in entries.into_iter().filter(|it| is_told(it.kind())) {
            let Some(office) = self.offices.get_mut(&tenant) else { return Ok(()) };
            office.change.observe(&entry);
            let canon = match activated(&entry) {
                Some(digest) => canon(&house, house.store.scope(tenant)?.as_ref(), digest)?,
                None => None,
            };
            let _ = self.lane.send(Order::Canon(tenant, canon, entry.into_inner()));
        }
        Ok(())
    }
}

/// The oldest entry that what was decided does not stand beside.
fn moved(scope: &dyn TenantTx, decided: &Decided) -> Result<Option<Entry>, StoreError> {
    if decided.unless.is_empty() {
        return Ok(None);
    }
    let (kinds, from, limit) = (decided.unless.clone(), decided.seen, 1);
    let found = scope.select(&Select { kinds, from, limit, ..Select::default() })?;
    Ok(found.into_iter().next())
}

//! What people do about runs: each is asked of the owner of the log, and waited for.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_base::id::{ApprovalId, MailId, RunId};
use cog_base::json::Map;
use cog_engine::{Sent, again};
use cog_gate::Actor;
use cog_ledger::Kind;
use cog_node::{Delegated, Request};
use cog_store::Delivery;

use super::Tenant;
use crate::error::Error;
use crate::runs;
use crate::stands::Stands;

/// A message to a run.
#[derive(Debug, Clone)]
pub struct Signal {
    name: String,
    from: Actor,
    payload: Value,
    id: Option<String>,
    subject: Option<String>,
}

impl Signal {
    /// A message of this name.
    #[must_use]
    pub fn new(name: &str, from: &Actor) -> Self {
        let (name, from) = (name.to_owned(), from.clone());
        Self { name, from, payload: Value::Null, id: None, subject: None }
    }

    /// What it says; null if nothing is said.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Value>) -> Self {
        self.payload = payload.into();
        self
    }

    /// What it is known by: of signals of one id a run takes one. A new id if none is given.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Whose personal data it holds.
    #[must_use]
    pub fn subject(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }
}

impl Tenant {
    /// Send a run a message, and say which entry has it. One that the run has already changes nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] when the run does not take it.
    pub fn signal(&self, run: RunId, signal: Signal) -> Result<Option<u64>, Error> {
        let Signal { name, from, payload, id, subject } = signal;
        let id = match id {
            Some(id) => id,
            None => self.new_id(MailId::new)?.to_string(),
        };
        let from = from.as_str().to_owned();
        let signal = cog_flow::Signal { id, name, from, payload };
        signal.check().map_err(|why| Error::Refused(why.to_string()))?;
        let (run, sent) = (self.newest(run)?, Box::new(Sent { signal, subject }));
        self.ask(&Request::Signal { run, sent })
    }

    /// The requests that a run, or one that it began, waits for people with.
    ///
    /// # Errors
    /// [`Error::NoRun`].
    pub fn approvals(&self, run: RunId) -> Result<BTreeSet<ApprovalId>, Error> {
        Ok(match self.stands(run)? {
            Stands::Waits(all) => all.into_iter().flat_map(|(_, it)| it.approvals).collect(),
            Stands::Asked | Stands::Queued | Stands::Open | Stands::Never(_) | Stands::Ended(_) => {
                BTreeSet::new()
            }
        })
    }

    /// Say yes to a request.
    ///
    /// # Errors
    /// [`Error::Refused`] when that does not count: `who` is none of those who may, or it is over.
    pub fn approve(&self, approval: ApprovalId, who: &Actor) -> Result<u64, Error> {
        self.answer(approval, who, Ok(Map::new()))
    }

    /// Say yes to a request, and fill in its form.
    ///
    /// # Errors
    /// As [`Tenant::approve`], and when what is filled in is not what the step asks for.
    pub fn approve_with(
        &self,
        approval: ApprovalId,
        who: &Actor,
        form: &[(&str, Value)],
    ) -> Result<u64, Error> {
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        self.answer(approval, who, Ok(form.collect()))
    }

    /// Say no to a request.
    ///
    /// # Errors
    /// As [`Tenant::approve`].
    pub fn reject(&self, approval: ApprovalId, who: &Actor, reason: &str) -> Result<u64, Error> {
        self.answer(approval, who, Err(reason.to_owned()))
    }

    /// Have `to` answer a request in the place of `who`, who may answer it and does so no more then.
    ///
    /// # Errors
    /// [`Error::Refused`] when the canon does not let them, or one of them has a part in it already.
    pub fn delegate(&self, approval: ApprovalId, who: &Actor, to: &Actor) -> Result<u64, Error> {
        let run = self.asking(approval)?;
        let (who, to, reason) = (who.clone(), to.clone(), None);
        let asked = Box::new(Delegated { run, approval, who, to, reason });
        let answered = self.ask(&Request::Delegate(asked))?;
        answered.ok_or_else(|| Error::Refused(format!("{run} does not wait for {approval}")))
    }

    /// The run that asked.
    fn asking(&self, approval: ApprovalId) -> Result<RunId, Error> {
        let entries = self.scope()?.find(&approval.to_string())?;
        let asked = entries.iter().find(|it| it.kind() == Kind::ApprovalRequested);
        asked.and_then(cog_ledger::Entry::session).ok_or(Error::NoApproval(approval))
    }

    fn answer(
        &self,
        approval: ApprovalId,
        who: &Actor,
        verdict: Result<Map, String>,
    ) -> Result<u64, Error> {
        let run = self.asking(approval)?;
        let answered = self.ask(&Request::Answer { run, approval, who: who.clone(), verdict })?;
        answered.ok_or_else(|| Error::Refused(format!("{run} does not wait for {approval}")))
    }

    /// End a run. What completed is undone as the workflow says, and then it is sealed: wait for
    /// [`Tenant::end`]. One that waits for its turn never begins.
    ///
    /// # Errors
    /// [`Error::Refused`] when `who` may not, or the run has ended.
    pub fn cancel(&self, run: RunId, who: &Actor, reason: &str) -> Result<Option<u64>, Error> {
        let (run, who, reason) = (self.newest(run)?, who.clone(), reason.to_owned());
        self.ask(&Request::Cancel { run, who, reason })
    }

    /// Hold a run, and those that it began: nothing new of them begins.
    ///
    /// # Errors
    /// [`Error::Refused`] when `who` may not, or it is held already.
    pub fn pause(&self, run: RunId, who: &Actor, reason: &str) -> Result<Option<u64>, Error> {
        self.hold(run, true, who, reason)
    }

    /// Let a run go on that is held.
    ///
    /// # Errors
    /// As [`Tenant::pause`].
    pub fn unpause(&self, run: RunId, who: &Actor, reason: &str) -> Result<Option<u64>, Error> {
        self.hold(run, false, who, reason)
    }

    fn hold(
        &self,
        run: RunId,
        pauses: bool,
        who: &Actor,
        reason: &str,
    ) -> Result<Option<u64>, Error> {
        let (run, who, reason) = (self.newest(run)?, who.clone(), reason.to_owned());
        self.ask(&Request::Hold { run, pauses, who, reason, seen: self.size()? })
    }

    /// The last run so far of the chain that a run is of. One that was just asked for is waited for.
    fn newest(&self, run: RunId) -> Result<RunId, Error> {
        self.in_time(&format!("the beginning of {run}"), self.patience, || {
            // Before the log: what is taken from the mail stands there by then.
            let delivery = self.store.delivery(self.id, MailId::from_uuid(run.uuid()))?;
            let scope = self.scope()?;
            if let Some((newest, _)) = again::newest(&*scope, run)? {
                return Ok(Some(newest));
            }
            if runs::is_there(&*scope, run)? {
                return Ok(Some(run));
            }
            match delivery {
                Some(Delivery::Waiting) => Ok(None),
                Some(Delivery::Refused(why)) => Err(Error::Refused(why)),
                None => Err(Error::NoRun(run)),
            }
        })
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn size(&self) -> Result<u64, Error> {
        Ok(self.scope()?.tail()?.map_or(0, |tail| tail.frontier.size()))
    }
}

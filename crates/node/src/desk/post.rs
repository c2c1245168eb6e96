//! Mail: from the store to the engine, and out of the store when the log says what came of it.
//!
//! Why a run is started once however often its mail is delivered: its id is in the mail. This
//! desk hands it to the engine once in the life of that engine, and only when the log has no
//! such run. Nobody but the owner of the log can begin one meanwhile: a commit under an older
//! claim is refused, and what an earlier life of the engine had submitted was decided before
//! this claim was made.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cog_base::id::{MailId, RunId, TenantId};
use cog_canon::{Canon, Source};
use cog_engine::{Input, Start};
use cog_flow::BoundRoot;
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};
use cog_gate::change::NotChanged;
use cog_gate::snapshot::Access;
use cog_ledger::{AppendError, Draft, Durable, Entry, Kind};
use cog_store::{Except, Files, MAIL_MAX, Mail, StoreError, TenantTx};

use super::opening::{in_force, told};
use super::recording::Recorded;
use super::said::{input, run_of};
use super::{Desk, Paper};
use crate::came::{Came, came_of, of_queue};
use crate::kit::{Ready, Root};
use crate::lane::Order;
use crate::request::{Request, START, Wanted};

/// Why nothing comes of mail whose row was changed.
const SPOILED: &str = "it does not open: its row is not as it was written, or was sealed under \
                       another master key";

/// The most mail that is sorted before others have their turn.
const SORTED_MAX: usize = 32;

/// Mail that was read and is not sorted yet.
#[derive(Default)]
pub(super) struct Round {
    mail: VecDeque<Result<Mail, MailId>>,
    /// What is left out, as there is no room for it.
    except: Option<&'static str>,
    /// There may be more in the store than was read.
    is_long: bool,
    /// It is gone on with when others had their turn.
    is_on: bool,
    /// Something came meanwhile.
    again: bool,
}

/// What is to be done with a piece of mail.
enum Sorted {
    /// The engine takes it.
    Input(Box<Input>),
    /// The log says what came of it.
    Done,
    /// Nothing comes of it.
    Refused(String),
    /// As many runs are open as may be.
    NoRoom,
}

impl From<Result<Input, String>> for Sorted {
    fn from(begins: Result<Input, String>) -> Self {
        match begins {
            Ok(input) => Self::Input(Box::new(input)),
            Err(why) => Self::Refused(why),
        }
    }
}

impl Desk {
    /// Take the mail of a tenant: some of it now, the rest after others had their turn. Of one that
    /// goes nothing more is taken: the log may say what came of an append of which this desk was told
    /// nothing.
    pub(super) fn look(&mut self, tenant: TenantId) {
        let Some(office) = self.offices.get_mut(&tenant) else { return };
        if office.round.is_on {
            office.round.again = true;
        } else if !office.goes() {
            office.round = Round { is_on: true, ..Round::default() };
            self.look_on(tenant);
        }
    }

    /// Go on with a round of mail.
    pub(super) fn look_on(&mut self, tenant: TenantId) {
        let went = self.take_mail(tenant);
        let Some(office) = self.offices.get_mut(&tenant) else { return };
        let is_more = *went.as_ref().unwrap_or(&false);
        // What came while the store was away is looked for with the next beat.
        office.is_behind |= went.is_err();
        if !is_more {
            let again = std::mem::take(&mut office.round).again && went.is_ok();
            office.round.is_on = again;
            if !again {
                return;
            }
        }
        // The thread that reads this is this one.
        let _ = self.own.send(Paper::More(tenant));
    }

    /// Sort some mail of a round, and read it first where there is none. Says whether there is more.
    fn take_mail(&mut self, tenant: TenantId) -> Result<bool, StoreError> {
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(false) };
        if office.goes() || !office.round.is_on {
            return Ok(false);
        }
        if office.round.mail.is_empty() {
            let (claim, kind) = (office.claim, office.round.except);
            if kind.is_none() {
                // Before it is counted: a run that ends meanwhile calls again.
                office.is_full.store(false, Ordering::SeqCst);
            }
            let ids: Vec<MailId> = office.in_hand.keys().copied().collect();
            let mail = self.house.store.mail(&claim, Except { ids: &ids, kind })?;
            if mail.is_empty() {
                return Ok(false);
            }
            office.idle_beats = 0;
            office.round.is_long = mail.len() == MAIL_MAX as usize;
            office.round.mail = mail.into();
        }
        let some = office.round.mail.len().min(SORTED_MAX);
        let mail = office.round.mail.drain(..some).collect();
        let has_room = self.sort(tenant, mail)?;
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(false) };
        // However many runs wait for room: what is asked of open ones is behind them.
        if !has_room {
            office.round.except = Some(START);
            let begins =
                |mail: &Result<Mail, MailId>| mail.as_ref().is_ok_and(|it| it.kind == START);
            office.round.mail.retain(|mail| !begins(mail));
        }
        // What waits for runs that are about to begin is not read again at once.
        Ok(!office.round.mail.is_empty() || (office.round.is_long && !office.is_behind))
    }

    /// Says whether there was room for every run.
    fn sort(
        &mut self,
        tenant: TenantId,
        mail: Vec<Result<Mail, MailId>>,
    ) -> Result<bool, StoreError> {
        let (mut post, mut done) = (Vec::new(), Vec::new());
        let sorted = self.sort_into(&mut post, &mut done, tenant, mail);
        // Even when the store went away in the middle: what is in hand is not read again, so
        // the engine must have it.
        self.deliver(tenant, post);
        let has_room = sorted?;
        self.remove(tenant, &done)?;
        Ok(has_room)
    }

    fn sort_into(
        &mut self,
        post: &mut Vec<(MailId, Input)>,
        done: &mut Vec<MailId>,
        tenant: TenantId,
        mail: Vec<Result<Mail, MailId>>,
    ) -> Result<bool, StoreError> {
        let house = Arc::clone(&self.house);
        let mut scope = house.store.scope(tenant)?;
        let mut has_room = true;
        for mail in mail {
            let mail = match mail {
                Ok(mail) => mail,
                Err(id) => {
                    self.refuse(tenant, id, SPOILED)?;
                    continue;
                }
            };
            let request = match Request::read(&mail) {
                Ok(request) => request,
                Err(error) => {
                    self.refuse(tenant, mail.id, &error.to_string())?;
                    continue;
                }
            };
            if let Request::Found { files, environment, who } = &request {
                self.deliver(tenant, std::mem::take(post));
                match self.found(tenant, files, (environment, who))? {
                    Ok(()) => done.push(mail.id),
                    Err(why) => self.refuse(tenant, mail.id, &why)?,
                }
                // What follows is under the new canon.
                scope = house.store.scope(tenant)?;
                continue;
            }
            if let Some(came) = self.record_decided(tenant, &request)? {
                match came {
                    Recorded::Done => done.push(mail.id),
                    Recorded::Refused(why) => self.refuse(tenant, mail.id, &why)?,
                    Recorded::Later => {}
                }
                scope = house.store.scope(tenant)?;
                continue;
            }
            if let Some(answer) = self.about_times(tenant, scope.as_ref(), &request)? {
                match answer {
                    Ok(()) => done.push(mail.id),
                    Err(why) => self.refuse(tenant, mail.id, &why)?,
                }
                scope = house.store.scope(tenant)?;
                continue;
            }
            // Runs wait for their turn, in their order. What is asked of those that are open
            // does not wait with them: it may be what makes room.
            if !has_room && request.begins().is_some() {
                continue;
            }
            match self.sorted(tenant, scope.as_ref(), &request)? {
                Sorted::Done => done.push(mail.id),
                Sorted::Refused(why) => self.refuse(tenant, mail.id, &why)?,
                Sorted::NoRoom => has_room = false,
                Sorted::Input(input) => {
                    if let Some(office) = self.offices.get_mut(&tenant) {
                        if request.begins().is_some() {
                            office.coming.insert(mail.id);
                        }
                        office.in_hand.insert(mail.id, request);
                    }
                    post.push((mail.id, *input));
                }
            }
        }
        Ok(has_room)
    }

    pub(super) fn deliver(&self, tenant: TenantId, post: Vec<(MailId, Input)>) {
        if !post.is_empty() {
            let _ = self.lane.send(Order::Deliver(tenant, post));
        }
    }

    fn sorted(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        request: &Request,
    ) -> Result<Sorted, StoreError> {
        // Of a signal the engine knows whether the run has it.
        if !matches!(request, Request::Signal { .. }) {
            match came_of(scope, request)? {
                Some(Came::Done(_)) => return Ok(Sorted::Done),
                Some(Came::Refused { why, .. }) => return Ok(Sorted::Refused(why)),
                None => {}
            }
        }
        if request.begins().is_some_and(|run| !self.may_begin(tenant, run)) {
            return Ok(Sorted::NoRoom);
        }
        let starts = |start| Input::Start(Box::new(start));
        Ok(match request {
            Request::Start(wanted) => self.start(tenant, scope, wanted)?.map(starts).into(),
            Request::Fire(fire) => self.fire(tenant, scope, fire)?.map(starts).into(),
            Request::Fork(forked) => {
                let forking = self.fork(tenant, scope, forked)?;
                forking.map(|forking| Input::Fork(Box::new(forking))).into()
            }
            Request::Cancel { run, .. } if waits(scope, *run)? => {
                input(request).map_or(Sorted::Done, |input| Sorted::Input(Box::new(input)))
            }
            Request::Answer { .. }
            | Request::Delegate(_)
            | Request::Cancel { .. }
            | Request::Signal { .. }
            | Request::Hold { .. }
            | Request::Found { .. }
            | Request::Record(_)
            | Request::Schedule { .. }
            | Request::HoldSchedule { .. }
            | Request::Unschedule { .. } => match run_of(request) {
                None => Sorted::Done,
                Some(run) => match self.has(tenant, scope, run)? {
                    Ok(()) => {
                        input(request).map_or(Sorted::Done, |input| Sorted::Input(Box::new(input)))
                    }
                    Err(_) if is_done(scope, request)? => Sorted::Done,
                    Err(why) => Sorted::Refused(why),
                },
            },
        })
    }

    /// Whether there is room for a run that nobody has begun yet.
    fn may_begin(&self, tenant: TenantId, run: RunId) -> bool {
        let office = self.offices.get(&tenant).filter(|office| !office.begun.contains(&run));
        office.is_some_and(|office| office.has_room(self.house.settings.runs_max))
    }

    /// Whether the engine has a run, or can have it back; else why nothing can be asked of it.
    fn has(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        run: RunId,
    ) -> Result<Result<(), String>, StoreError> {
        if let Err(why) = open_run(scope, run)? {
            return Ok(Err(why));
        }
        let office = self.offices.get(&tenant);
        if office.is_some_and(|office| office.bound.contains(&run)) {
            return Ok(Ok(()));
        }
        let woken = self.wake(tenant, scope, run)?;
        Ok(woken.map_err(|why| format!("{run} cannot go on here: {why}")))
    }

    /// A run to start, with its adapters bound; or why it cannot be.
    pub(super) fn start(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        wanted: &Wanted,
    ) -> Result<Result<Start, String>, StoreError> {
        let (start, roots) = match read(wanted) {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        let (domain, base) = (start.flow.domain.as_str(), wanted.base.as_str());
        let environment = start.environment.as_ref().unwrap_or(&start.flow.environment);
        let place = (domain, environment.as_str());
        let workflow = start.flow.name.as_str();
        if let Some(why) = self.barred(tenant, scope, place, (workflow, &start.initiator))? {
            return Ok(Err(why));
        }
        let bound = self.bind(tenant, scope, domain, (wanted.run, base, &roots))?;
        Ok(bound.map(|()| start))
    }

    /// Why no run may begin in a domain and an environment; that is on record.
    pub(super) fn barred(
        &self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        place: (&str, &str),
        (workflow, who): (&str, &Actor),
    ) -> Result<Option<String>, StoreError> {
        let Some(office) = self.offices.get(&tenant) else { return Ok(None) };
        let canon = in_force(&self.house, scope, &office.change, place.0)?;
        let act = Act::begin(tenant, place, workflow, who, canon.as_deref());
        self.refuse_act(scope, (&act, &Facts::Begin), canon.as_deref())
    }

    /// Bind the adapters of a run that is about to begin; or why it cannot.
    pub(super) fn bind(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        domain: &str,
        (run, base, roots): (RunId, &str, &BTreeMap<String, Root>),
    ) -> Result<Result<(), String>, StoreError> {
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(Err(String::new())) };
        let canon = in_force(&self.house, scope, &office.change, domain)?;
        let canon = canon.as_deref();
        if let Err(why) = self.house.kit.bind(&Ready { tenant, run, base, roots, canon }) {
            return Ok(Err(why));
        }
        office.bound.insert(run);
        office.begun.insert(run);
        Ok(Ok(()))
    }

    /// Put the first canon of a domain in force. Where there is one already, nothing is
    /// changed: that is done by proposal.
    fn found(
        &mut self,
        tenant: TenantId,
        files: &Files,
        (environment, who): (&str, &Actor),
    ) -> Result<Result<(), String>, StoreError> {
        let parts = files.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes()));
        let canon = match Canon::load(&Source::new(parts)) {
            Ok(canon) => Arc::new(canon),
            Err(error) => return Ok(Err(format!("the canon does not load: {error}"))),
        };
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(Ok(())) };
        let draft = match office.change.found(&canon, environment, who) {
            Ok(draft) => draft,
            Err(NotChanged::InForce(_)) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error.to_string())),
        };
        self.house.store.put_canon(tenant, canon.digest(), files)?;
        let doing = "put the first canon of a domain in force";
        self.house.remember(canon);
        self.append_noted(tenant, vec![draft], doing)
    }

    /// Record something of no run, all or nothing; or why that could never be recorded.
    pub(super) fn append(
        &self,
        tenant: TenantId,
        drafts: Vec<Draft>,
        doing: &str,
    ) -> Result<Result<Vec<Durable<Entry>>, String>, StoreError> {
        let drafts = drafts.into_iter().map(|draft| (tenant, draft)).collect();
        match self.house.append(drafts) {
            Ok(appended) => Ok(Ok(appended)),
            // It would not fit any better the next time.
            Err(error) if matches!(*error, AppendError::Draft { .. }) => {
                Ok(Err(told(error.as_ref())))
            }
            Err(error) => Err(StoreError::io(doing, told(error.as_ref()))),
        }
    }

    /// Remove mail that the engine has taken in, when the log says what came of it, and refuse
    /// what the engine said no to.
    pub(super) fn settle(
        &mut self,
        tenant: TenantId,
        mut ids: Vec<MailId>,
        noes: BTreeMap<MailId, String>,
    ) {
        let Some(office) = self.offices.get_mut(&tenant) else { return };
        ids.extend(noes.keys().copied());
        let begins = |id: &MailId| office.in_hand.get(id).and_then(Request::begins);
        let runs: Vec<RunId> = noes.keys().filter_map(begins).collect();
        let is_no = |run: RunId| noes.contains_key(&MailId::from_uuid(run.uuid()));
        office.times.not_begun(|run| runs.contains(&run) || is_no(run));
        office.noes.extend(noes);
        // What the engine submitted when it took them in is decided behind this. Nobody else waits
        // for it.
        let own = self.own.clone();
        let decided = move |_| drop(own.send(Paper::Decided(tenant, ids)));
        self.house.committer.submit_head(tenant, Box::new(decided));
    }

    /// The log says by now what came of some mail, or does not.
    pub(super) fn decided(&mut self, tenant: TenantId, ids: Vec<MailId>) {
        if let Err(_away) = self.put_away(tenant, ids)
            && let Some(office) = self.offices.get_mut(&tenant)
        {
            office.is_behind = true;
        }
    }

    fn put_away(&mut self, tenant: TenantId, ids: Vec<MailId>) -> Result<(), StoreError> {
        let house = Arc::clone(&self.house);
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(()) };
        let scope = house.store.scope(tenant)?;
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(request) = office.in_hand.get(&id) else { continue };
            let came = came_of(scope.as_ref(), request)?;
            if let Some(Came::Done(_)) = came {
                done.push(id);
            } else if let Some(Came::Refused { why, .. }) = came {
                refused.push((id, why));
            } else if let Some(why) = office.noes.get(&id) {
                refused.push((id, why.clone()));
            } else if let Some(run) = run_of(request)
                && !waits(scope.as_ref(), run)?
                && let Err(why) = open_run(scope.as_ref(), run)?
            {
                // It ended before the engine took this in.
                refused.push((id, why));
            }
        }
        drop(scope);
        self.remove(tenant, &done)?;
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(()) };
        for id in done {
            office.in_hand.remove(&id);
            office.noes.remove(&id);
        }
        for (id, why) in refused {
            self.refuse(tenant, id, &why)?;
            if let Some(office) = self.offices.get_mut(&tenant) {
                office.in_hand.remove(&id);
                office.noes.remove(&id);
            }
        }
        Ok(())
    }
}

/// Whether the log says that it was done.
fn is_done(scope: &dyn TenantTx, request: &Request) -> Result<bool, StoreError> {
    Ok(matches!(came_of(scope, request)?, Some(Came::Done(_))))
}

/// Whether a run waits for its turn.
fn waits(scope: &dyn TenantTx, run: RunId) -> Result<bool, StoreError> {
    let is_there = |kind| Ok::<_, StoreError>(of_queue(scope, run, kind)?.is_some());
    Ok(scope.session(run)?.is_none()
        && is_there(Kind::SessionQueued)?
        && !is_there(Kind::SessionUnqueued)?)
}

/// Whether a run is there and has not ended; else why nothing can be asked of it.
fn open_run(scope: &dyn TenantTx, run: RunId) -> Result<Result<(), String>, StoreError> {
    Ok(match scope.session(run)? {
        None if waits(scope, run)? => Err(format!("{run} has not begun: it waits for its turn")),
        None => Err(format!("there is no run {run} in this ledger")),
        Some(session) => match session.status {
            Some(status) => Err(format!("{run} has ended: {status}")),
            None => Ok(()),
        },
    })
}

/// Read the workflow of a run and bind its inputs.
fn read(wanted: &Wanted) -> Result<(Start, BTreeMap<String, Root>), String> {
    let flow = wanted.flow()?;
    let inputs = flow.bind(&wanted.given).map_err(|bad| bad.to_string())?;
    let environment = wanted.environment.as_deref().unwrap_or(&flow.environment);
    let mut ask = flow.ask(&inputs)?;
    ask.priority = wanted.priority.unwrap_or(ask.priority);
    ask.not_before = wanted.not_before;
    let labels = flow.labelled(&inputs, &wanted.labels)?;
    let bound = flow.roots(&inputs, environment).map_err(|bad| bad.to_string())?;
    let Folders { access, places, roots } = Folders::of(bound, &wanted.places)?;
    let start = Start {
        run: wanted.run,
        flow: Arc::new(flow),
        source: wanted.source.clone(),
        inputs,
        roots: access,
        places,
        base: wanted.base.clone(),
        initiator: wanted.initiator.clone(),
        environment: wanted.environment.clone(),
        firing: None,
        labels,
        trigger: wanted.trigger.clone(),
        ask,
        keyed: None,
        is_queued: false,
    };
    Ok((start, roots))
}

/// The folders of a run: what it may do there, where they stand, and what is bound to them.
pub(super) struct Folders {
    pub(super) access: BTreeMap<String, Access>,
    pub(super) places: BTreeMap<String, String>,
    pub(super) roots: BTreeMap<String, Root>,
}

impl Folders {
    /// The folders of these names, where `places` says that they stand.
    pub(super) fn of(
        bound: Vec<BoundRoot>,
        places: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let (access, here, roots) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut folders = Self { access, places: here, roots };
        for BoundRoot { name, access, create, .. } in bound {
            let path = places.get(&name).cloned();
            let path = path.ok_or_else(|| format!("where the root `{name}` stands is not said"))?;
            let write = access == cog_flow::Access::Write;
            folders.access.insert(name.clone(), if write { Access::Write } else { Access::Read });
            folders.places.insert(name.clone(), path.clone());
            folders.roots.insert(name, Root { path, write, create });
        }
        Ok(folders)
    }
}

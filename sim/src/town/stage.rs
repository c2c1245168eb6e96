//! A town as a test has it: who asks for what, what goes wrong where, and what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use cog_base::Timestamp;
use cog_base::id::{ApprovalId, MailId, RunId, TenantId};
use cog_engine::Sent;
use cog_ledger::{Entry, Kind};
use cog_node::{Request, Told, Wanted, ask};
use cog_store::{Delivery, Posted, Session, Store as _};

use super::people::{actor, signal};
use super::{Town, Trap, tenant};
use crate::check::Broken;
use crate::scenario::{ENVIRONMENT, Scenario};

impl Town {
    /// The id of a tenant.
    #[must_use]
    pub fn tenant(&self, number: usize) -> TenantId {
        tenant(number)
    }

    /// How many tenants there are.
    #[must_use]
    pub fn tenants(&self) -> usize {
        self.inner.tenants.len()
    }

    /// Lives that start from here on are of another release.
    pub fn upgrade(&self, release: &str) {
        self.inner.state().release = release.to_owned();
    }

    /// The time of the database.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.database.now()
    }

    /// Ask something of the owner of a log.
    pub fn ask(&self, whose: TenantId, request: &Request) -> MailId {
        let id = request.begins().map(|run| MailId::from_uuid(run.uuid()));
        let drawn = super::mail_id(self.now(), &mut self.inner.state().dice);
        let id = id.unwrap_or(drawn);
        let posted = ask(&self.inner.client(), whose, id, request, None);
        if !matches!(posted, Ok(Posted::Waiting)) {
            self.inner.wrong(format!("it cannot be asked: {posted:?}"));
        }
        id
    }

    /// Put the first canon of a tenant in force.
    pub fn found(&self, number: usize) {
        let scenario = Scenario::new(number);
        let files = scenario.variants().first().map(|(_, files)| (*files).clone());
        let (files, environment) = (files.unwrap_or_default(), ENVIRONMENT.to_owned());
        let who = actor("user:cfo");
        self.ask(tenant(number), &Request::Found { files, environment, who });
    }

    /// A run of a workflow, that nobody has asked for yet.
    #[must_use]
    pub fn wanted(&self, source: &str) -> Wanted {
        let drawn = RunId::new(self.now(), &mut self.inner.state().dice);
        let run = drawn.unwrap_or_else(|_| Wanted::no_run());
        Wanted {
            run,
            source: source.to_owned(),
            children: None,
            given: BTreeMap::new(),
            places: [("out".to_owned(), "/srv/out".to_owned())].into(),
            base: "/srv".to_owned(),
            priority: None,
            not_before: None,
            labels: BTreeMap::new(),
            trigger: None,
            initiator: actor("user:operator"),
            environment: Some(ENVIRONMENT.to_owned()),
        }
    }

    /// Ask for a run of a workflow.
    pub fn start(&self, whose: TenantId, source: &str) -> RunId {
        let wanted = self.wanted(source);
        let run = wanted.run;
        self.ask(whose, &Request::Start(Box::new(wanted)));
        run
    }

    /// Send a run a signal without a payload that anybody looks at.
    pub fn signal(&self, whose: TenantId, run: RunId, name: &str) {
        let request = signal(run, name, "one");
        if let Request::Signal { sent, .. } = &request {
            let Sent { signal, .. } = sent.as_ref();
            debug_assert_eq!(signal.name, name);
        }
        self.ask(whose, &request);
    }

    /// Answer a request for approval.
    pub fn answer(&self, whose: TenantId, run: RunId, approval: ApprovalId) {
        let who = actor("user:cfo");
        self.ask(
            whose,
            &Request::Answer { run, approval, who, verdict: Ok(cog_base::json::Map::new()) },
        );
    }

    /// End a run.
    pub fn cancel(&self, whose: TenantId, run: RunId) {
        let (who, reason) = (actor("user:operator"), "not any more".to_owned());
        self.ask(whose, &Request::Cancel { run, who, reason });
    }

    /// Hold a run, or let it go on.
    pub fn hold(&self, whose: TenantId, run: RunId, pauses: bool) {
        let seen = self.inner.database.size(whose);
        let (who, reason) = (actor("user:operator"), "so".to_owned());
        self.ask(whose, &Request::Hold { run, pauses, who, reason, seen });
    }

    /// Have something go wrong at a call.
    pub fn trap(&self, trap: Trap) {
        self.inner.state().traps.push(trap);
    }

    /// Whether nothing is left that was to go wrong.
    #[must_use]
    pub fn is_sprung(&self) -> bool {
        self.inner.state().traps.is_empty()
    }

    /// Nothing that was to go wrong goes wrong any more.
    pub fn disarm(&self) {
        self.inner.state().traps.clear();
    }

    /// A node dies, and another life of it starts so many milliseconds later; none if none is named.
    pub fn kill(&self, node: usize, again_ms: Option<u64>) {
        let lives = self.inner.lives().into_iter().filter(|it| it.node == node && !it.is_over());
        lives.for_each(|living| self.inner.kill(&living));
        let at = again_ms.map(|ms| self.now().plus_ms(ms));
        let mut state = self.inner.state();
        state.starts.retain(|(_, it)| *it != node);
        state.starts.extend(at.map(|at| (at, node)));
    }

    /// Start another life of a node, beside any that there is.
    pub fn start_node(&self, node: usize) {
        self.inner.start(node);
    }

    /// Have a node give back what it has, and end.
    pub fn drain(&self, node: usize) {
        for living in self.inner.lives().into_iter().filter(|it| it.node == node) {
            living.is_stopping.store(true, Ordering::Relaxed);
            living.stepped().into_iter().for_each(|stepped| stepped.stop());
        }
    }

    /// A node stands still for so many milliseconds; its clock too, where it says so, and goes on
    /// from where it stood.
    pub fn pause(&self, node: usize, ms: u64) {
        let until = self.now().plus_ms(ms);
        let lives = self.inner.lives().into_iter().filter(|it| it.node == node);
        lives.for_each(|living| living.pause(until));
    }

    /// The clock of a node stands still, or goes on from where it stood.
    pub fn stop_clock(&self, node: usize, stands: bool) {
        for living in self.inner.lives().into_iter().filter(|it| it.node == node) {
            if stands { living.clock.stand_still() } else { living.clock.go_on(true) }
        }
    }

    /// The clock of a node jumps by so many seconds.
    pub fn set_clock(&self, node: usize, seconds: i64) {
        self.inner.state().has_jumped = true;
        for living in self.inner.lives().into_iter().filter(|it| it.node == node) {
            living.clock.jump(seconds.saturating_mul(1_000_000));
        }
    }

    /// The database goes on from so many milliseconds ago, as one that took its place.
    pub fn set_back(&self, ms: u64) {
        self.inner.state().has_jumped = true;
        self.inner.database.set_back(ms);
    }

    /// A node does not reach the database for so many milliseconds.
    pub fn cut(&self, node: usize, ms: u64) {
        let until = self.now().plus_ms(ms);
        for living in self.inner.lives().into_iter().filter(|it| it.node == node) {
            living.cut(until);
            self.inner.database.hang_up(living.life);
        }
    }

    /// Somebody calls for work on a tenant, of which there may be none.
    pub fn call(&self, whose: TenantId) {
        self.inner.database.call(whose);
    }

    /// No call for work is heard from now on, or all are again.
    pub fn deafen(&self, is_deaf: bool) {
        self.inner.database.deafen(is_deaf);
    }

    /// The notes of which runs nobody has in memory are gone.
    pub fn forget_notes(&self) {
        self.inner.database.forget_notes();
    }

    /// Effects take so much longer than they do.
    pub fn slow_down(&self, times: u64) {
        self.inner.state().slowness = times;
    }

    /// Which node has a tenant, as far as its claim has not ended.
    #[must_use]
    pub fn owner(&self, whose: TenantId) -> Option<usize> {
        let (life, is_sure) = self.inner.database.owner(whose)?;
        let lives = self.inner.lives();
        lives.iter().find(|it| it.life == life && is_sure).map(|it| it.node)
    }

    /// Everything that a log has.
    #[must_use]
    pub fn entries(&self, whose: TenantId) -> Vec<Entry> {
        self.inner.entries(whose)
    }

    /// How many entries of a kind a log has.
    #[must_use]
    pub fn count(&self, whose: TenantId, kind: Kind) -> usize {
        self.inner.database.count(whose, kind)
    }

    /// How a run stands.
    #[must_use]
    pub fn session(&self, whose: TenantId, run: RunId) -> Option<Session> {
        self.inner.database.logs.scope(whose).ok()?.session(run).ok()?
    }

    /// How a run ended; nothing while it has not.
    #[must_use]
    pub fn status(&self, whose: TenantId, run: RunId) -> Option<String> {
        self.session(whose, run)?.status
    }

    /// How mail stands.
    #[must_use]
    pub fn delivery(&self, whose: TenantId, id: MailId) -> Option<Delivery> {
        self.inner.database.delivery(whose, id)
    }

    /// What nodes told, each with its number.
    #[must_use]
    pub fn told(&self) -> Vec<(usize, Told)> {
        self.inner.state().told.clone()
    }

    /// How many effects took place for a tenant.
    #[must_use]
    pub fn done(&self, whose: TenantId) -> u64 {
        let state = self.inner.state();
        state.outside.get(&whose).map_or(0, |outside| outside.done.values().sum())
    }

    /// How many effects are in the hands of adapters.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.inner.state().work.len()
    }

    /// Go on until so many milliseconds have passed.
    ///
    /// # Errors
    /// [`Broken`] when something must not be that is.
    pub fn pass(&self, ms: u64) -> Result<(), Broken> {
        let until = self.now().plus_ms(ms);
        while self.now() < until {
            self.inner.right()?;
            self.inner.step(Some(until));
        }
        Ok(())
    }
}

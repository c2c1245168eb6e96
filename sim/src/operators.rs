//! What operators do to a ledger while its runs are under way: they change the canon, change the
//! key, erase somebody's data, prune what is over, and keep names for places of runs.
//!
//! In the product a command does it while nothing else writes, so that the engine goes first and
//! another one starts behind it. A change of canon and of key may come beside an engine, too.

use std::collections::BTreeSet;

use cog_base::Clock as _;
use cog_base::Value;
use cog_base::id::{CheckpointId, ProposalId, RunId};
use cog_engine::Parent;
use cog_engine::admission::Queue;
use cog_engine::fork::Fork;
use cog_engine::replay::{as_far, replay_run};
use cog_gate::change::{NotChanged, ProposalState};
use cog_ledger::{Draft, Kind};
use cog_store::StoreError;

use crate::boot::sessions;
use crate::check::Broken;
use crate::common::Common;
use crate::forks::{history, kin, place_of};
use crate::house::House;
use crate::scenario::{DOMAIN, ENVIRONMENT};

/// Who keeps the ledger: who may approve a change of the canon.
const KEEPER: &str = "user:cfo";
/// Who may not approve a change, whoever proposed it.
const STRANGERS: [&str; 3] = ["user:ada", "agent:clerk", "user:nobody"];

impl House {
    /// An operator does something.
    pub(crate) fn operate(&mut self, common: &mut Common) -> Result<(), Broken> {
        match common.roll(10) {
            0..=3 => {
                self.change_canon(common)?;
                // One step is often followed by the next.
                while !common.is_dying && common.roll(3) > 0 {
                    self.change_canon(common)?;
                }
                Ok(())
            }
            4 => self.rotate(common),
            5 | 6 => self.erase(common),
            7 => self.prune(common),
            8 => self.name_a_place(common),
            _ => self.restore_a_place(common),
        }
    }

    /// An operator prunes or erases, or does anything else.
    pub(crate) fn operate_on_what_is_over(&mut self, common: &mut Common) -> Result<(), Broken> {
        match common.roll(4) {
            0 | 1 => self.prune(common),
            2 => self.erase(common),
            _ => self.operate(common),
        }
    }

    /// The next step of a change of canon: a proposal, its approval or rejection, its activation.
    fn change_canon(&mut self, common: &mut Common) -> Result<(), Broken> {
        let control = self.engine.change_control();
        let Some(current) = control.in_force(DOMAIN) else { return Ok(()) };
        let open = |it: &&cog_gate::change::Proposal| {
            it.state == ProposalState::Open && it.base == Some(current)
        };
        let Some(proposal) = control.proposals().find(open).cloned() else {
            return self.propose(common);
        };
        let Some(canon) = self.scenario.canons().remove(&current) else { return Ok(()) };
        let stranger = common.drawn(&STRANGERS).unwrap_or_default();
        let stranger = common.actor(stranger)?;
        if self.engine.change_control().approve(proposal.id, &stranger, &canon).is_ok() {
            return Err(common.broken(&format!("{stranger} may approve {}", proposal.id)));
        }
        let keeper = common.actor(KEEPER)?;
        let control = self.engine.change_control();
        if !proposal.approved_by.contains(KEEPER) {
            if control.activate(proposal.id, &keeper, &canon).is_ok() {
                return Err(common.broken(&format!("{} is activated unapproved", proposal.id)));
            }
            let draft = if common.roll(5) == 0 {
                control.reject(proposal.id, &keeper, "not this one", &canon)
            } else {
                control.approve(proposal.id, &keeper, &canon)
            };
            let draft = draft.map_err(|why: NotChanged| common.broken(&why.to_string()))?;
            return self.record(common, "canon.decided", vec![draft]);
        }
        let drafts = control.activate(proposal.id, &keeper, &canon);
        let drafts = drafts.map_err(|why| common.broken(&why.to_string()))?;
        // Beside an engine only where nothing that it decided is on its way to the log.
        if self.engine.appends() > 0 || common.roll(2) == 0 {
            self.stop(common);
            self.record(common, "canon.activated", drafts)?;
            return self.boot(common);
        }
        self.record(common, "canon.activated_beside", drafts)
    }

    fn propose(&mut self, common: &mut Common) -> Result<(), Broken> {
        let variants = self.scenario.variants();
        let Some((canon, files)) = common.drawn(&variants) else { return Ok(()) };
        let who = common.drawn(&["user:operator", "agent:clerk"]).unwrap_or_default();
        let who = common.actor(who)?;
        let id = ProposalId::new(common.clock.now(), &mut common.dice);
        let id = id.map_err(|error| common.broken(&error.to_string()))?;
        let control = self.engine.change_control();
        let Ok(draft) = control.propose(id, &canon, ENVIRONMENT, &who, &[]) else { return Ok(()) };
        let kept = common.disk.store().put_canon(self.tenant, canon.digest(), files);
        kept.map_err(|error| common.broken(&error.to_string()))?;
        self.record(common, "canon.proposed", vec![draft])
    }

    fn rotate(&mut self, common: &mut Common) -> Result<(), Broken> {
        common.counts.acts.add("key.rotated");
        let tenant = self.tenant;
        let rotated = common.ask(|committer, reply| committer.submit_rotation(tenant, reply));
        // Whether it was kept is what the next life finds out.
        common.is_dying |= rotated.is_err();
        Ok(())
    }

    /// Erase what is kept about somebody, unless an open run needs it.
    fn erase(&mut self, common: &mut Common) -> Result<(), Broken> {
        let subject = common.drawn(&self.scenario.subjects()).unwrap_or_default();
        self.stop(common);
        if !self.is_needed(common, &subject)? {
            let store = common.disk.store();
            let erasable = store.erasable(self.tenant, &subject);
            let erasable = erasable.map_err(|error| told(common, &error))?;
            if !erasable.entries.is_empty() {
                let data = [
                    ("subject", erasable.subject.into()),
                    ("bodies", (erasable.entries.len() as u64).into()),
                    ("entries", Value::list(erasable.entries.iter().copied())),
                ];
                let draft = Draft::new(Kind::BodiesErased, KEEPER, "ledger", "any", data);
                self.record(common, "bodies.erased", vec![draft])?;
                // Who dies between the two erases again.
                if !common.is_dying && !common.dies_here() {
                    let erased = store.erase(self.tenant, &subject);
                    let erased = erased.map_err(|error| told(common, &error))?;
                    if erased.bodies != erasable.entries.len() as u64 {
                        return Err(common.broken("other bodies were erased than were named"));
                    }
                    self.erased.extend(erasable.entries);
                    common.dies_here();
                }
            }
        }
        self.boot(common)
    }

    /// Whether an open run, or another of its tree, holds what is to be erased.
    fn is_needed(&self, common: &Common, subject: &str) -> Result<bool, Broken> {
        let sessions = sessions(self.records(common)?);
        let store = common.disk.store();
        let scope = store.scope(self.tenant).map_err(|error| told(common, &error))?;
        for run in scope.open_sessions().map_err(|error| told(common, &error))? {
            let mut tree = kin(&sessions, run);
            tree.push(history(&sessions, run));
            let needs = |records: &Vec<_>| {
                replay_run(records).is_ok_and(|history| history.concerns(subject))
            };
            if tree.iter().any(needs) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Prune what no open run needs.
    fn prune(&mut self, common: &mut Common) -> Result<(), Broken> {
        self.stop(common);
        let store = common.disk.store();
        let most = self.kept_for(common)?;
        let cut = store.prunable(self.tenant, most).map_err(|error| told(common, &error))?;
        if !cut.is_empty() {
            let scope = store.scope(self.tenant).map_err(|error| told(common, &error))?;
            let root = cog_store::frontier(&*scope, cut.end);
            let root = root.map_err(|error| told(common, &error))?.root();
            drop(scope);
            let data = [("from", cut.start.into()), ("to", cut.end.into()), ("root", root.into())];
            let draft = Draft::new(Kind::SegmentPruned, KEEPER, "ledger", "any", data);
            let draft = draft.saying("reason", "long over");
            self.record(common, "segment.pruned", vec![draft])?;
            // What was recorded and not done is done when the ledger is next opened.
            if !common.is_dying && !common.dies_here() {
                self.finish_pruning(common)?;
                common.dies_here();
            }
        }
        self.boot(common)
    }

    /// Up to where nothing is needed: by an open run, or for one by another that it goes on from or
    /// that began it.
    fn kept_for(&self, common: &Common) -> Result<u64, Broken> {
        let store = common.disk.store();
        let read = || -> Result<u64, StoreError> {
            let scope = store.scope(self.tenant)?;
            let mut line = Queue::read(scope.as_ref())?.line;
            line.forget(common.clock.now());
            let mut kept = line.since(u64::MAX).unwrap_or(u64::MAX);
            let (mut left, mut known) = (scope.open_sessions()?, BTreeSet::new());
            while let Some(id) = left.pop() {
                let Some(session) = scope.session(id)?.filter(|_| known.insert(id)) else {
                    continue;
                };
                kept = kept.min(session.first);
                let Some(first) = scope.entry(session.first)? else { continue };
                left.extend(Fork::of(&first).map(|fork| fork.session));
                left.extend(Parent::of(&first).map(|parent| parent.run));
            }
            Ok(kept)
        };
        read().map_err(|error| told(common, &error))
    }

    /// Do what a pruning on record says, as far as it is not done.
    pub(crate) fn finish_pruning(&mut self, common: &Common) -> Result<(), Broken> {
        let log = common.disk.log(self.tenant);
        let said = log.entries().filter(|entry| entry.kind() == Kind::SegmentPruned);
        let Some(to) = said.filter_map(|entry| entry.count("to")).max() else { return Ok(()) };
        if to > self.pruned {
            let cut = common.disk.store().prune_entries(self.tenant, to);
            let cut = cut.map_err(|error| told(common, &error))?;
            if cut.to != to {
                return Err(common.broken(&format!("pruned up to {}, not {to}", cut.to)));
            }
            self.pruned = to;
        }
        Ok(())
    }

    /// Keep a name for a place of a run.
    fn name_a_place(&mut self, common: &mut Common) -> Result<(), Broken> {
        let sessions = sessions(self.records(common)?);
        let runs: Vec<RunId> = sessions.keys().copied().collect();
        let Some(run) = common.drawn(&runs) else { return Ok(()) };
        let past = history(&sessions, run);
        let Ok((history, _)) = as_far(&past) else { return Ok(()) };
        // Where something was erased, not every step that began is a place.
        let Ok(Some(fork)) = place_of(common, &past, &history) else { return Ok(()) };
        let id = CheckpointId::new(common.clock.now(), &mut common.dice);
        let id = id.map_err(|error| common.broken(&error.to_string()))?;
        let mut data = vec![
            ("id", id.into()),
            ("name", Value::from(format!("place-{id}"))),
            ("run", fork.session.into()),
            ("seq", fork.seq.into()),
        ];
        data.extend(fork.step.map(|step| ("step", step.into())));
        let draft = Draft::new(Kind::Checkpoint, "user:operator", DOMAIN, ENVIRONMENT, data);
        self.record(common, "checkpoint.created", vec![draft])
    }

    /// Have a run go on from a place that has a name.
    fn restore_a_place(&mut self, common: &mut Common) -> Result<(), Broken> {
        let log = common.disk.log(self.tenant);
        let named = log.entries().filter(|entry| entry.kind() == Kind::Checkpoint);
        let named: Vec<Fork> = named
            .filter_map(|entry| {
                let session = entry.text("run")?.parse().ok()?;
                let step = entry.text("name").map(str::to_owned);
                // A step of a run names the place where it stands.
                let seq = entry.count("seq").or(entry.session().map(|_| entry.seq()))?;
                Some(Fork { session, seq, step })
            })
            .collect();
        let Some(fork) = common.drawn(&named) else { return Ok(()) };
        if !self.may_fork() {
            return Ok(());
        }
        common.counts.acts.add("checkpoint.restored");
        self.fork_from(common, fork.session, Some(fork))
    }

    /// Record what an operator does, and let the engine hear of it. When it cannot be recorded the
    /// process dies.
    fn record(
        &mut self,
        common: &mut Common,
        what: &'static str,
        drafts: Vec<Draft>,
    ) -> Result<(), Broken> {
        common.counts.acts.add(what);
        match common.append(self.tenant, drafts) {
            Ok(entries) => {
                let canons = self.scenario.canons().into_values();
                canons.for_each(|canon| self.engine.know(canon));
                entries.iter().for_each(|entry| self.engine.observe(entry));
            }
            Err(_) => common.is_dying = true,
        }
        Ok(())
    }

    /// The engine goes, so that nothing else writes to the log.
    fn stop(&mut self, common: &mut Common) {
        common.lives += 1;
        self.lose(common);
        common.forgive(self.tenant);
    }
}

fn told(common: &Common, error: &dyn std::error::Error) -> Broken {
    common.broken(&error.to_string())
}

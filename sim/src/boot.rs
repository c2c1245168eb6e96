//! An engine that starts from what the disk holds.

use std::collections::BTreeMap;

use cog_base::id::RunId;
use cog_engine::admission::run_of;
use cog_engine::fork::own;
use cog_engine::{Input, Parent, Record, Resumption};
use cog_ledger::Kind;

use crate::check::Broken;
use crate::common::Common;
use crate::forks::history;
use crate::house::House;

impl House {
    /// What the store still has of the runs.
    pub(crate) fn records(&self, common: &Common) -> Result<Vec<Record>, Broken> {
        let records = common.disk.records(self.tenant);
        records.map_err(|error| common.broken(&error.to_string()))
    }

    /// Start from what the disk holds.
    pub(crate) fn boot(&mut self, common: &mut Common) -> Result<(), Broken> {
        if common.is_dying {
            return Ok(());
        }
        // What was kept and not answered is in the log, too.
        common.disk.settle().map_err(|what| common.broken(&what))?;
        self.finish_pruning(common)?;
        self.engine = Self::engine(common, self.number, self.tenant);
        self.scenario.canons().into_values().for_each(|canon| self.engine.know(canon));
        let log = common.disk.log(self.tenant);
        for entry in log.entries() {
            self.engine.observe(entry);
        }
        log.entries().for_each(|entry| self.engine.recall_entry(entry));
        let known = |run: RunId| {
            log.entries().any(|entry| entry.session() == Some(run) || run_of(entry) == Some(run))
        };
        // A run whose first entry was lost never was; whoever wanted it starts it again.
        let lost = self.scenario.all.iter().filter(|start| !known(start.run));
        let waiting: Vec<_> = self.to_start.iter().map(|start| start.run).collect();
        let again: Vec<_> = lost.filter(|start| !waiting.contains(&start.run)).cloned().collect();
        self.to_start.extend(again);
        let sessions = sessions(self.records(common)?);
        for records in sessions.values() {
            self.engine.claim(records);
        }
        let sessions: BTreeMap<_, _> =
            sessions.keys().map(|run| (*run, history(&sessions, *run))).collect();
        for mut tree in trees(sessions) {
            if tree.iter().all(|records| is_sealed(records)) {
                continue;
            }
            let records = tree.remove(0);
            let is_ended = common.one_in(common.faults.cancel / 10) && !is_sealed(&records);
            let who = Self::somebody(common)?;
            let cancel = is_ended.then(|| (who, "not any more".to_owned()));
            let resumption = Resumption { records, kin: tree, cancel };
            let again = common.one_in(common.faults.repeat).then(|| resumption.clone());
            self.handle(common, Input::Resume(Box::new(resumption)))?;
            if let Some(again) = again {
                common.counts.faults.add("resumed.twice");
                self.handle(common, Input::Resume(Box::new(again)))?;
            }
        }
        self.handle(common, Input::Look)
    }
}

fn is_sealed(records: &[Record]) -> bool {
    own(records).iter().any(|it| it.entry.kind() == Kind::SessionSealed)
}

/// The entries of each session, oldest first.
pub(crate) fn sessions(records: Vec<Record>) -> BTreeMap<RunId, Vec<Record>> {
    let mut sessions: BTreeMap<RunId, Vec<Record>> = BTreeMap::new();
    for record in records {
        let Some(session) = record.entry.session() else { continue };
        sessions.entry(session).or_default().push(record);
    }
    sessions
}

/// The runs with those that they began, each behind the one that began it.
fn trees(sessions: BTreeMap<RunId, Vec<Record>>) -> Vec<Vec<Vec<Record>>> {
    let mut all: Vec<_> = sessions.into_iter().collect();
    all.sort_by_key(|(_, records)| own(records).first().map(|first| first.entry.seq()));
    let mut trees: Vec<(Vec<RunId>, Vec<Vec<Record>>)> = Vec::new();
    for (run, records) in all {
        let parent = own(&records).first().and_then(|first| Parent::of(&first.entry));
        let above = parent.and_then(|it| trees.iter_mut().find(|(runs, _)| runs.contains(&it.run)));
        match above {
            Some((runs, tree)) => {
                runs.push(run);
                tree.push(records);
            }
            None => trees.push((vec![run], vec![records])),
        }
    }
    trees.into_iter().map(|(_, tree)| tree).collect()
}

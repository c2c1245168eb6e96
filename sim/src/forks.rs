//! Runs that go on from a place of another, which is over, open or under way.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_engine::fork::{Fork, Forking, NoPlace, gather, own, place};
use cog_engine::replay::as_far;
use cog_engine::{History, Input, Parent, Record};
use cog_flow::InputKind;

use crate::check::Broken;
use crate::world::{World, sessions};

/// The most runs of one world that go on from others.
const FORKS_MAX: usize = 5;

/// What inputs are drawn from.
const WORDS: [&str; 4] = ["one", "two", "three", "bad"];

impl World {
    /// Somebody has a run go on from a place of one of those that the ledger has.
    pub(crate) fn fork(&mut self) -> Result<(), Broken> {
        let log = self.disk.log(self.tenant).unwrap_or_default();
        let sessions = sessions(&log);
        let runs: Vec<RunId> = sessions.keys().copied().collect();
        let Some(parent) = self.drawn(&runs) else { return Ok(()) };
        let past = history(&sessions, parent);
        let (history, why) = as_far(&past).map_err(|why| self.broken(&why.to_string()))?;
        if let Some(why) = why {
            return Err(self.broken(&format!("{parent} is not rebuilt: {why}")));
        }
        let Some(fork) = self.place(&past, &history)? else { return Ok(()) };
        let inputs = self.inputs(&history);
        let kin = kin(&sessions, fork.session);
        let run = self.new_run()?;
        self.forks.push(run);
        let forking = Forking {
            run,
            past: past.into_iter().take_while(|it| it.entry.seq() <= fork.seq).collect(),
            fork,
            kin,
            inputs,
            roots: history.roots().clone(),
            places: BTreeMap::new(),
            base: String::new(),
            initiator: self.actor("user:operator")?,
        };
        self.handle(Input::Fork(Box::new(forking)))
    }

    /// Whether a world may have one more run that goes on from another.
    pub(crate) fn may_fork(&self) -> bool {
        self.forks.len() < FORKS_MAX
    }

    /// Where a step began, or where the run stands.
    fn place(&mut self, past: &[Record], history: &History) -> Result<Option<Fork>, Broken> {
        let mut places: Vec<Option<String>> =
            history.begun().map(|(path, _)| Some(path.to_string())).collect();
        places.extend([const { None }; 2]);
        match self.drawn(&places).flatten() {
            Some(step) => match place(past, history, &step) {
                Ok(fork) => Ok(Some(fork)),
                Err(NoPlace::Ending(_)) => Ok(None),
                Err(none) => Err(self.broken(&format!("{step} began, and is no place: {none}"))),
            },
            None if history.is_over() => Ok(None),
            None => {
                let last = own(past).last().map(|record| &record.entry);
                let place = last.and_then(|last| Some((last.session()?, last.seq())));
                Ok(place.map(|(session, seq)| Fork { session, seq, step: None }))
            }
        }
    }

    /// The inputs of the run before it, or some others.
    fn inputs(&mut self, history: &History) -> Map {
        let mut inputs = history.inputs().as_map().cloned().unwrap_or_default();
        for (name, spec) in &history.flow().inputs {
            if self.roll(2) == 0 {
                continue;
            }
            let value = match spec.kind {
                InputKind::String => self.drawn(&WORDS).map(Value::from),
                InputKind::Integer => Some(self.roll(5).into()),
                InputKind::Boolean => Some((self.roll(2) == 0).into()),
                InputKind::List | InputKind::Object => None,
            };
            inputs.extend(value.map(|value| (name.clone(), value)));
        }
        inputs
    }

    fn drawn<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        if all.is_empty() {
            return None;
        }
        all.get(usize::try_from(self.roll(all.len() as u64)).ok()?).cloned()
    }
}

/// The entries of a run behind those that it took over.
pub(crate) fn history(sessions: &BTreeMap<RunId, Vec<Record>>, run: RunId) -> Vec<Record> {
    let read = |run: RunId, until: u64| {
        let records = sessions.get(&run).map(Vec::as_slice).unwrap_or_default();
        let until = records.iter().filter(|record| record.entry.seq() <= until);
        Ok::<_, std::convert::Infallible>(until.cloned().collect())
    };
    match gather(run, u64::MAX, read) {
        Ok(records) => records,
        Err(never) => match never {},
    }
}

/// The other runs of the tree that a run is of.
fn kin(sessions: &BTreeMap<RunId, Vec<Record>>, run: RunId) -> Vec<Vec<Record>> {
    let parent = |records: &Vec<Record>| {
        let first = own(records).first()?;
        Some((first.entry.session()?, Parent::of(&first.entry)?.run))
    };
    let ties: Vec<(RunId, RunId)> = sessions.values().filter_map(parent).collect();
    let mut tree = BTreeSet::from([run]);
    loop {
        let met =
            ties.iter().filter(|(child, parent)| tree.contains(child) || tree.contains(parent));
        let grown: BTreeSet<RunId> =
            met.flat_map(|(child, parent)| [*child, *parent]).chain([run]).collect();
        if grown.len() == tree.len() {
            break;
        }
        tree = grown;
    }
    tree.remove(&run);
    tree.iter().filter_map(|id| sessions.get(id).cloned()).collect()
}

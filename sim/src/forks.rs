//! Runs that go on from a place of another, which is over, open or under way.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_engine::fork::{Fork, Forking, NoPlace, gather, own, place};
use cog_engine::replay::as_far;
use cog_engine::{History, Input, Parent, Record};
use cog_flow::InputKind;

use crate::boot::sessions;
use crate::check::Broken;
use crate::common::Common;
use crate::house::House;

/// The most runs of one tenant that go on from others.
const FORKS_MAX: usize = 2;

/// What inputs are drawn from.
const WORDS: [&str; 4] = ["one", "two", "three", "bad"];

impl House {
    /// Somebody has a run go on from a place of one of those that the ledger has.
    pub(crate) fn fork(&mut self, common: &mut Common) -> Result<(), Broken> {
        if !self.may_fork() {
            return Ok(());
        }
        let sessions = sessions(self.records(common)?);
        let runs: Vec<RunId> = sessions.keys().copied().collect();
        let Some(parent) = common.drawn(&runs) else { return Ok(()) };
        let past = history(&sessions, parent);
        let (history, why) = as_far(&past).map_err(|why| common.broken(&why.to_string()))?;
        if let Some(why) = why {
            return Err(common.broken(&format!("{parent} is not rebuilt: {why}")));
        }
        let Some(fork) = place_of(common, &past, &history)? else { return Ok(()) };
        let inputs = Self::inputs(common, &history);
        let kin = kin(&sessions, fork.session);
        let run = common.new_run()?;
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
            initiator: common.actor("user:operator")?,
        };
        self.handle(common, Input::Fork(Box::new(forking)))
    }

    /// Whether a tenant may have one more run that goes on from another.
    pub(crate) fn may_fork(&self) -> bool {
        self.forks.len() < FORKS_MAX
    }

    /// The inputs of the run before it, or some others.
    fn inputs(common: &mut Common, history: &History) -> Map {
        let mut inputs = history.inputs().as_map().cloned().unwrap_or_default();
        for (name, spec) in &history.flow().inputs {
            if common.roll(2) == 0 {
                continue;
            }
            let value = match spec.kind {
                InputKind::String => common.drawn(&WORDS).map(Value::from),
                InputKind::Integer => Some(common.roll(5).into()),
                InputKind::Boolean => Some((common.roll(2) == 0).into()),
                InputKind::List | InputKind::Object => None,
            };
            inputs.extend(value.map(|value| (name.clone(), value)));
        }
        inputs
    }
}

/// Where a step began, or where the run stands.
fn place_of(
    common: &mut Common,
    past: &[Record],
    history: &History,
) -> Result<Option<Fork>, Broken> {
    let mut places: Vec<Option<String>> =
        history.begun().map(|(path, _)| Some(path.to_string())).collect();
    places.extend([const { None }; 2]);
    match common.drawn(&places).flatten() {
        Some(step) => match place(past, history, &step) {
            Ok(fork) => Ok(Some(fork)),
            Err(NoPlace::Ending(_)) => Ok(None),
            Err(none) => Err(common.broken(&format!("{step} began, and is no place: {none}"))),
        },
        None if history.is_over() => Ok(None),
        None => {
            let last = own(past).last().map(|record| &record.entry);
            let place = last.and_then(|last| Some((last.session()?, last.seq())));
            Ok(place.map(|(session, seq)| Fork { session, seq, step: None }))
        }
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

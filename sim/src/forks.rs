//! Runs that go on from a place of another, which is over, open or under way.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_engine::fork::{Fork, Forking, NoPlace, Past, gather, own, place};
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
        self.fork_from(common, parent, None)
    }

    /// A run goes on from a place of another: one that was named, or any.
    pub(crate) fn fork_from(
        &mut self,
        common: &mut Common,
        parent: RunId,
        named: Option<Fork>,
    ) -> Result<(), Broken> {
        let sessions = sessions(self.records(common)?);
        let past = history(&sessions, parent);
        // Where something was erased or pruned, it is followed up to there.
        let is_whole = self.pruned == 0 && !past.iter().any(is_erased);
        let (history, why) = match as_far(&past) {
            Ok(both) => both,
            Err(_) if !is_whole => return Ok(()),
            Err(why) => return Err(common.broken(&why.to_string())),
        };
        if let Some(why) = why.filter(|_| is_whole) {
            return Err(common.broken(&format!("{parent} is not rebuilt: {why}")));
        }
        let fork = match named {
            Some(named) => Some(named),
            None if is_whole => place_of(common, &past, &history)?,
            None => place_of(common, &past, &history).unwrap_or_default(),
        };
        let Some(fork) = fork else { return Ok(()) };
        let past: Vec<_> = past.into_iter().take_while(|it| it.entry.seq() <= fork.seq).collect();
        if past.iter().any(is_erased) {
            return Ok(());
        }
        let whole = |run| Ok::<_, Infallible>(self::history(&sessions, run));
        let past = match Past::take(past, Some(&history), whole) {
            Ok(Ok((past, _))) => past,
            Ok(Err(NoPlace::Broken(why))) => return Err(common.broken(&why.to_string())),
            // Consent would be taken over, or what was undone since.
            Ok(Err(_)) => return Ok(()),
            Err(never) => match never {},
        };
        let inputs = Self::inputs(common, &history);
        let kin = kin(&sessions, fork.session);
        let may_stop = self.pruned > 0 || kin.iter().flatten().any(is_erased);
        let run = common.new_run()?;
        self.forks.push(run);
        let forking = Forking {
            run,
            past,
            fork,
            kin,
            inputs,
            roots: history.roots().clone(),
            places: BTreeMap::new(),
            base: String::new(),
            initiator: common.actor("user:operator")?,
        };
        // Of its tree it must be known what was done.
        self.without = may_stop.then_some(run);
        self.handle(common, Input::Fork(Box::new(forking)))?;
        self.without = None;
        Ok(())
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

fn is_erased(record: &Record) -> bool {
    record.body.is_none() && record.entry.commit().is_some()
}

/// Where a step began, or where the run stands.
pub(crate) fn place_of(
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
        Ok::<_, Infallible>(until.cloned().collect())
    };
    match gather(run, u64::MAX, read) {
        Ok(records) => records,
        Err(never) => match never {},
    }
}

/// The other runs of the tree that a run is of.
pub(crate) fn kin(sessions: &BTreeMap<RunId, Vec<Record>>, run: RunId) -> Vec<Vec<Record>> {
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

//! A run that is started from a place of another.

use std::path::PathBuf;

use cog_base::Clock as _;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_base::words::counted;
use cog_engine::fork::{self, Fork, Forking, NoPlace};
use cog_engine::replay::as_far;
use cog_engine::{History, Input, Mismatch, Record};
use cog_gate::Actor;

use super::family::kin;
use super::prepare::{Folders, bound_roots, given_inputs, namer, stands};
use super::{Plan, accept};
use crate::cli::{Beginning, Common};
use crate::commands::checkpoint::{Checkpoint, checkpoints};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::Terminal;
use crate::view::Counts;

/// The most places that are named where one is to be chosen.
const NAMED_MAX: usize = 40;

/// A place of a run that exists, and the history up to there.
pub(crate) struct Found {
    pub(crate) history: History,
    pub(crate) past: Vec<Record>,
    pub(crate) fork: Fork,
}

/// Find a place of a run.
pub(crate) fn find(home: &Home, run: RunId, from: &str) -> anyhow::Result<Found> {
    let past = home.history(run)?;
    home.complete(&past)?;
    // What of it was erased since matters only behind the place.
    let (history, broken) = match as_far(&past) {
        Ok(both) => both,
        Err(error) => {
            let message = format!("nothing can go on from {run}: {}", home.broken(&error)?);
            let advice = "begin anew: cognitionos run WORKFLOW";
            return Err(Failure::advise(Exit::Failed, message, advice));
        }
    };
    let fork = match fork::place(&past, &history, from) {
        Ok(fork) => fork,
        Err(none) => {
            let named = named(home, &past, from)?;
            let until = broken.as_ref().map_or(u64::MAX, Mismatch::seq);
            let broken = broken.map(|why| home.broken(&why)).transpose()?;
            named
                .filter(|fork| fork.seq < until)
                .ok_or_else(|| told(run, &none, &history, broken.as_deref()))?
        }
    };
    let past = past.into_iter().take_while(|record| record.entry.seq() <= fork.seq);
    let past: Vec<Record> = past.collect();
    if let Err(none) = fork::is_free(&past) {
        let message = format!("nothing can go on from there in {run}: {none}");
        let advice = match none {
            NoPlace::Consent(kept) => format!("--from {}", kept.around),
            NoPlace::NotBegun(_)
            | NoPlace::Several { .. }
            | NoPlace::Unknown(_)
            | NoPlace::Ending(_) => format!("cognitionos why {run}"),
        };
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    Ok(Found { history, past, fork })
}

/// The place that a checkpoint names, of the run or of one whose history it took over.
fn named(home: &Home, past: &[Record], from: &str) -> anyhow::Result<Option<Fork>> {
    let known = checkpoints(home)?;
    let mut meant = known.into_iter().filter(|it| it.name == from || it.id == from);
    let is_its = |it: &Checkpoint, record: &Record| {
        record.entry.seq() == it.seq && record.entry.session() == Some(it.run)
    };
    let meant = meant.find(|it| past.iter().any(|record| is_its(it, record)));
    Ok(meant.map(|it| Fork { session: it.run, seq: it.seq, step: Some(it.name) }))
}

fn told(run: RunId, none: &NoPlace, history: &History, broken: Option<&str>) -> anyhow::Error {
    let mut places: Vec<_> = history.begun().map(|(path, _)| path.to_string()).collect();
    let more = places.len().saturating_sub(NAMED_MAX);
    places.truncate(NAMED_MAX);
    if more > 0 {
        places.push(format!("and {more} more"));
    }
    let message = match (broken, none) {
        // Whether it has begun, and where, cannot be told any more.
        (Some(why), NoPlace::NotBegun(step) | NoPlace::Unknown(step)) => {
            format!("nothing can go on from `{step}` in {run}: it cannot be followed so far, {why}")
        }
        (_, none) => format!("nothing can go on from there in {run}: {none}"),
    };
    let advice = match places.is_empty() {
        true => "begin anew: cognitionos run WORKFLOW".to_owned(),
        false => format!("one of its steps: {}", places.join(", ")),
    };
    Failure::advise(Exit::BadInput, message, advice)
}

/// What is needed to start a run from a place of another.
pub(crate) fn prepare(
    home: &Home,
    run: &str,
    (from, begin): (&str, &Beginning),
    common: &Common,
    actor: &Actor,
    terminal: &Terminal,
) -> anyhow::Result<Plan> {
    let parent = given::run(run)?;
    if begin.environment.is_some() {
        let message = "a run that goes on from another is in the environment of that one";
        return Err(Failure::advise(Exit::BadInput, message, "leave --environment out"));
    }
    let Found { history, past, fork } = find(home, parent, from)?;
    let flow = history.flow();
    if accept::is_ours(&flow) {
        let message = format!("{parent} takes a completion in, which has one run and no other");
        let advice = "bring it again: cognitionos sessions accept EVENT";
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    let given = given_inputs(begin, &flow)?;
    let before = history.inputs().as_map().cloned().unwrap_or_default();
    let bad = |errors: &dyn std::fmt::Display| Failure::told(Exit::BadInput, errors);
    let inputs = flow.bind_over(&given, &before).map_err(|errors| bad(&errors))?;
    let origin = history.origin();
    let (domain, environment) = (origin.domain.clone(), origin.environment.clone());
    let base = PathBuf::from(history.base());
    // A folder that is the same by name stands where it stood.
    let was: Map = bound_roots(&flow, &before, &environment)?
        .into_iter()
        .map(|root| (root.name, root.path.into()))
        .collect();
    let place = |root: &cog_flow::BoundRoot| {
        let same = was.get(&root.name).and_then(cog_base::Value::as_text) == Some(&root.path);
        let place = history.places().get(&root.name).filter(|_| same);
        let by = namer(&root.path, &given, &inputs);
        place.map_or_else(|| stands(root, &base, Some(&by)), PathBuf::from)
    };
    let bound = bound_roots(&flow, &inputs, &environment)?;
    let Folders { access, places, roots } = Folders::bind(bound, place, common)?;
    let run = RunId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let Fork { session, seq, .. } = &fork;
    let kin = kin(home, *session, &home.history(*session)?)?;
    let kept = counted(past.len() as u64, "entry", "entries");
    terminal.note(&format!("goes on from entry {seq} of {session}, and keeps {kept} before it"));
    let forking = Forking {
        run,
        fork,
        past,
        kin,
        inputs,
        roots: access,
        places,
        base: history.base().to_owned(),
        initiator: actor.clone(),
    };
    let (input, counts) = (Input::Fork(Box::new(forking)), Counts::default());
    let named = std::collections::BTreeMap::new();
    let others = Vec::new();
    Ok(Plan { run, input, domain, environment, roots, named, base, others, counts, ending: None })
}

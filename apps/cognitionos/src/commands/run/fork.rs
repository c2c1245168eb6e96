//! A run that is started from a place of another.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cog_base::Clock as _;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_base::words::counted;
use cog_embed::Error;
use cog_embed::places::{self, Found, NoWay};
use cog_engine::Input;
use cog_engine::fork::{Fork, Forking};
use cog_gate::Actor;

use super::family::kin;
use super::prepare::{Folders, bound_roots, given_inputs, namer, stands};
use super::{Before, Plan, accept};
use crate::cli::{Beginning, Common};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, unmade};
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::Terminal;

/// The most places that are named where one is to be chosen.
const NAMED_MAX: usize = 40;

/// Find a place of a run.
fn find(home: &Home, run: RunId, from: &str) -> anyhow::Result<Found> {
    home.knows(run)?;
    places::find(&*home.scope()?, run, from).map_err(no_way)
}

/// Why nothing goes on from a place, and what to do.
pub(crate) fn no_way(error: Error) -> anyhow::Error {
    const ANEW: &str = "begin anew: cognitionos run WORKFLOW";
    let Error::NoWay(no) = &error else { return unmade(error) };
    match no {
        NoWay::Broken { .. } | NoWay::Stopped { .. } => Failure::advise(Exit::Failed, no, ANEW),
        NoWay::Nowhere { places, .. } if places.is_empty() => {
            Failure::advise(Exit::BadInput, no, ANEW)
        }
        NoWay::Nowhere { places, .. } | NoWay::Over { places, .. } => {
            let mut named: Vec<_> = places.iter().take(NAMED_MAX).cloned().collect();
            let more = places.len() - named.len();
            named.extend((more > 0).then(|| format!("and {more} more")));
            let advice = format!("one of its steps: {}", named.join(", "));
            Failure::advise(Exit::BadInput, no, advice)
        }
        NoWay::Kept { run, none } | NoWay::NotHere { run, none } => {
            let advice = match none.instead() {
                Some(step) => format!("--from {step}"),
                None => format!("cognitionos why {run}"),
            };
            Failure::advise(Exit::BadInput, no, advice)
        }
        NoWay::Taken { run, .. } => {
            Failure::advise(Exit::BadInput, no, format!("cognitionos why {run}"))
        }
        NoWay::NoStep(_) => Failure::advise(Exit::BadInput, no, "--from STEP"),
    }
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
    let kept = counted(past.records().len() as u64, "entry", "entries");
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
    let input = Input::Fork(Box::new(forking));
    Ok(Plan {
        run,
        input,
        domain,
        environment,
        roots,
        named: BTreeMap::new(),
        base,
        ending: None,
        before: Before::default(),
    })
}

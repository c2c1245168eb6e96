//! The run that takes in one completion of a session that ran elsewhere: one step, decided as any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::{MailId, RunId};
use cog_engine::{Input, Start};
use cog_flow::{Flow, SearchLabels};
use cog_gate::Actor;
use cog_gate::effect::SessionAccept;
use cog_node::{Request, Wanted, ask};
use cog_schedule::Ask;

use super::file::misread;
use super::scheduled::args;
use super::{Before, Plan, go};
use crate::cli::{Beginning, Common, RunArgs};
use crate::commands::submit::waiting::{Patience, wait};
use crate::failure::{Exit, Failure};
use crate::folders;
use crate::home::{Home, told};
use crate::terminal::Terminal;

/// The name of the workflow, as policies see it.
const NAME: &str = "accept-session";

/// Whether this is the workflow of `sessions accept`, of which each completion has one run.
pub(super) fn is_ours(flow: &Flow) -> bool {
    let ours = cog_flow::parse(&source(&flow.domain, flow.inputs.keys()), NAME);
    ours.is_ok_and(|ours| ours.digest == flow.digest)
}

/// What is to be taken in.
pub(crate) struct Asked<'a> {
    pub(crate) run: RunId,
    pub(crate) effect: &'a SessionAccept,
    pub(crate) domain: &'a str,
    pub(crate) environment: Option<&'a str>,
    pub(crate) canon: Option<&'a Path>,
}

/// Bring the run on as far as it goes by itself.
pub(crate) fn start(
    home: &Home,
    asked: &Asked<'_>,
    who: &Actor,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let plan = plan(asked, who)?;
    let bare = args(who);
    let canon = asked.canon.map(Path::to_owned);
    let args = RunArgs { begin: Beginning { canon, ..bare.begin }, ..bare };
    go(home, plan, &args, common, terminal)
}

/// Have the nodes that have the ledger bring the run on, and wait for it.
pub(crate) fn submitted(
    home: &Home,
    asked: &Asked<'_>,
    who: &Actor,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let Input::Start(start) = plan(asked, who)?.input else {
        return Err(Failure::told(
            Exit::Failed,
            "what takes a session in is not the start of a run",
        ));
    };
    let Start { run, source, places, base, initiator, environment, .. } = *start;
    let (children, given) = (None, given(asked.effect));
    let (priority, not_before, labels) = (None, None, SearchLabels::new());
    let wanted = Wanted {
        run,
        source,
        children,
        given,
        places,
        labels,
        trigger: None,
        priority,
        not_before,
        base,
        initiator,
        environment,
    };
    let (id, request) = (MailId::from_uuid(run.uuid()), Request::Start(Box::new(wanted)));
    let store = home.database()?;
    store.with(home.tenant, |store| ask(store, home.tenant, id, &request, None)).map_err(told)?;
    let exit = wait(store, home.tenant, run, Patience::ENDLESS, terminal)?;
    if exit != Exit::Done {
        terminal.note(&format!("cognitionos why {run}"));
    }
    Ok(exit)
}

fn plan(asked: &Asked<'_>, who: &Actor) -> anyhow::Result<Plan> {
    let Asked { run, effect, domain, environment, .. } = asked;
    let given = given(effect);
    let source = source(domain, given.keys());
    let flow = cog_flow::parse(&source, "the workflow of sessions accept").map_err(misread)?;
    let inputs = flow.bind(&given).map_err(|errors| Failure::told(Exit::BadInput, errors))?;
    let base = PathBuf::from(".");
    let flow = Arc::new(flow);
    let environment = environment.map(str::to_owned);
    let start = Start {
        run: *run,
        flow: Arc::clone(&flow),
        source,
        inputs,
        roots: BTreeMap::new(),
        places: BTreeMap::new(),
        base: folders::on_record(&folders::real(&base))?,
        initiator: who.clone(),
        environment: environment.clone(),
        firing: None,
        labels: SearchLabels::new(),
        trigger: None,
        ask: Ask::default(),
        keyed: None,
        is_queued: false,
    };
    let environment = environment.unwrap_or_else(|| flow.environment.clone());
    let input = Input::Start(Box::new(start));
    let domain = flow.domain.clone();
    Ok(Plan {
        run: *run,
        input,
        domain,
        environment,
        roots: BTreeMap::new(),
        named: BTreeMap::new(),
        base,
        ending: None,
        before: Before::default(),
    })
}

/// What the run is given: the event, and what proves it.
fn given(effect: &SessionAccept) -> BTreeMap<String, String> {
    let proof = effect.proof.iter().flat_map(|proof| {
        [("proof".to_owned(), proof.text.clone()), ("key".to_owned(), proof.key.clone())]
    });
    [("event".to_owned(), effect.event.clone())].into_iter().chain(proof).collect()
}

/// The workflow file, of which each input is handed to the effect as it is.
fn source<'a>(domain: &str, inputs: impl Iterator<Item = &'a String> + Clone) -> String {
    let kind = Value::map([("type", "string")]);
    let with = inputs.clone().map(|name| (name, Value::from(format!("${{{{ inputs.{name} }}}}"))));
    let step = Value::map([
        ("id", Value::from("accept")),
        ("uses", SessionAccept::ACTION.into()),
        ("with", Value::map(with)),
    ]);
    Value::map([
        ("name", Value::from(NAME)),
        ("domain", domain.into()),
        ("inputs", Value::map(inputs.map(|name| (name, kind.clone())))),
        ("steps", Value::list([step])),
    ])
    .to_string()
}

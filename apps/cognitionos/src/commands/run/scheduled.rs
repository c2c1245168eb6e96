//! Runs that schedules start: what is run is checked and kept when the schedule is set, and put
//! together again when its time has come.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cog_base::id::RunId;
use cog_base::json::Map;
use cog_base::{Clock as _, Value};
use cog_engine::{Firing, Input, Start, Trigger};
use cog_flow::{BoundRoot, Flow, Scheduled, SearchLabels};
use cog_gate::Actor;
use cog_node::Wanted;
use cog_schedule::Rule;

use super::file::misread;
use super::prepare::{Folders, bound_roots};
use super::{Before, Plan, family, go, prepare};
use crate::cli::nodes::Asking;
use crate::cli::{Beginning, By, Common, RunArgs};
use crate::failure::{Exit, Failure};
use crate::folders;
use crate::home::Home;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::Terminal;

/// A workflow file that may have schedules.
pub(crate) struct File {
    pub(crate) flow: Flow,
    source: String,
    base: PathBuf,
}

/// Read and check a workflow file.
pub(crate) fn read(file: &Path) -> anyhow::Result<File> {
    let (source, flow) = family::read(file)?;
    let base = file.parent().filter(|base| !base.as_os_str().is_empty());
    let base = folders::real(base.unwrap_or_else(|| Path::new(".")));
    Ok(File { flow, source, base })
}

impl File {
    /// Whose data each run of a schedule holds, if the file says so.
    pub(crate) fn subject(&self, scheduled: &Scheduled) -> anyhow::Result<Option<String>> {
        // What a run is given of an event is known when it has come.
        if matches!(scheduled.schedule.rule, Rule::Event { .. }) {
            return Ok(None);
        }
        let bad = |errors| Failure::told(Exit::BadInput, errors);
        let inputs = self.flow.bind_values(&scheduled.inputs).map_err(bad)?;
        self.flow.subject_of(&inputs).map_err(|why| Failure::told(Exit::BadInput, why))
    }

    /// What each run of a schedule is, with these labels beside those of the file. Folders that its
    /// inputs name are meant from where the file stands.
    pub(crate) fn wanted(
        &self,
        scheduled: &Scheduled,
        (environment, labels): (Option<&str>, &SearchLabels),
        common: &Common,
        who: &Actor,
    ) -> anyhow::Result<Wanted> {
        let Self { flow, source, base } = self;
        let bad = |errors| Failure::told(Exit::BadInput, errors);
        let places = if matches!(scheduled.schedule.rule, Rule::Event { .. }) {
            BTreeMap::new()
        } else {
            let inputs = flow.bind_values(&scheduled.inputs).map_err(bad)?;
            prepare::labels(flow, &inputs, labels)?;
            let named = environment.unwrap_or(&flow.environment);
            let bound = bound_roots(flow, &inputs, named)?;
            Folders::bind(bound, |root| base.join(&root.path), common)?.places
        };
        let given = scheduled.inputs.iter().map(|(name, value)| (name.clone(), text(value)));
        Ok(Wanted {
            run: Wanted::no_run(),
            source: source.clone(),
            children: flow.children_record(),
            given: given.collect(),
            places,
            base: folders::on_record(base)?,
            labels: labels.clone(),
            trigger: None,
            priority: None,
            not_before: None,
            initiator: who.clone(),
            environment: environment.map(str::to_owned),
        })
    }
}

/// A value as an input is given.
fn text(value: &Value) -> String {
    value.as_text().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a run is started by.
pub(crate) enum Begins {
    /// A time of a schedule.
    At(Firing),
    /// An event.
    By(Trigger),
}

/// Start a run for a time of a schedule or by an event, and bring it on as far as it goes by itself.
pub(crate) fn start(
    home: &Home,
    wanted: &Wanted,
    begins: Begins,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let plan = plan(wanted, begins, common)?;
    go(home, plan, &args(&wanted.initiator), common, terminal)
}

/// Go on with a run, or end it for a reason.
pub(crate) fn take_up(
    run: RunId,
    who: &Actor,
    ending: Option<&str>,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let named = Some(run.to_string());
    let args = match ending {
        None => RunArgs { resume: named, ..args(who) },
        Some(reason) => RunArgs { cancel: named, reason: Some(reason.to_owned()), ..args(who) },
    };
    super::run(&args, common, terminal)
}

/// The command line that nobody gave.
pub(super) fn args(who: &Actor) -> RunArgs {
    let by = By { actor: who.as_str().to_owned() };
    RunArgs {
        file: None,
        begin: Beginning::of(by),
        model: None,
        key: None,
        record: None,
        resume: None,
        fork: None,
        from: None,
        cancel: None,
        reason: None,
        dry_run: false,
        asking: Asking::folder(),
    }
}

/// What is to be run, put together again.
pub(crate) fn plan(wanted: &Wanted, begins: Begins, common: &Common) -> anyhow::Result<Plan> {
    let base = PathBuf::from(&wanted.base);
    // Only the folder of the file matters to those that it runs.
    let file = base.join("workflow.yaml");
    let bad = |errors| Failure::told(Exit::BadInput, errors);
    let flow = match &wanted.children {
        Some(_) => wanted.flow().map_err(|why| Failure::told(Exit::BadInput, why))?,
        // Releases that set it before kept no file but its own.
        None => {
            let flow = cog_flow::parse(&wanted.source, "the workflow of the schedule");
            flow.and_then(|flow| family::complete(flow, &file)).map_err(misread)?
        }
    };
    let inputs: Map = flow.bind(&wanted.given).map_err(bad)?;
    let environment = wanted.environment.as_ref().unwrap_or(&flow.environment).clone();
    let stands = |root: &BoundRoot| {
        let place = wanted.places.get(&root.name);
        place.map_or_else(|| base.join(&root.path), PathBuf::from)
    };
    let bound = bound_roots(&flow, &inputs, &environment)?;
    let Folders { access, places, roots } = Folders::bind(bound, stands, common)?;
    let (run, firing, trigger) = match begins {
        Begins::At(firing) => {
            (RunId::new(SystemClock.now(), &mut SystemEntropy::new())?, Some(firing), None)
        }
        Begins::By(trigger) => (trigger.run(), None, Some(trigger)),
    };
    let ask = flow.ask(&inputs).map_err(|why| Failure::told(Exit::BadInput, why))?;
    let labels = prepare::labels(&flow, &inputs, &wanted.labels)?;
    let (domain, flow) = (flow.domain.clone(), Arc::new(flow));
    let start = Start {
        run,
        flow: Arc::clone(&flow),
        source: wanted.source.clone(),
        inputs,
        roots: access,
        places,
        base: wanted.base.clone(),
        initiator: wanted.initiator.clone(),
        environment: wanted.environment.clone(),
        firing,
        labels,
        trigger,
        ask,
        keyed: None,
        is_queued: false,
    };
    let input = Input::Start(Box::new(start));
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

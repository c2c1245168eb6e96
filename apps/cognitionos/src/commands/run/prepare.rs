//! What a run needs before it can begin or go on: its file, its inputs, its folders, its past.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks for folders")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cog_base::Clock as _;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_effect_file::RootBinding;
use cog_engine::history::Mismatch;
use cog_engine::{History, Input, Start};
use cog_flow::{BoundRoot, Flow, SearchLabels};
use cog_gate::Actor;
use cog_gate::snapshot::Access;
use cog_schedule::Ask;

use super::again::Named;
use super::named::Definition;
use super::{Before, Plan, family};
use crate::cli::{Beginning, Common};
use crate::failure::{Exit, Failure};
use crate::folders::{self, Secrets};
use crate::given;
use crate::system::{SystemClock, SystemEntropy};

/// Check the inputs of a workflow, and where its folders stand.
pub(crate) fn fresh(
    definition: Definition,
    args: &Beginning,
    common: &Common,
    actor: &Actor,
) -> anyhow::Result<Plan> {
    let Definition { source, flow, base } = definition;
    let given = given_inputs(args, &flow)?;
    let inputs = flow.bind(&given).map_err(|errors| {
        let missing = flow.inputs.iter().find(|(name, input)| {
            input.required && input.default.is_none() && !given.contains_key(*name)
        });
        match missing {
            Some((name, input)) => Failure::advise(
                Exit::BadInput,
                errors,
                format!("--input {name}=VALUE, where the value is {}", input.kind.as_str()),
            ),
            None => {
                let advice = "--input NAME=VALUE; the workflow file says which there are";
                Failure::advise(Exit::BadInput, errors, advice)
            }
        }
    })?;
    let environment = args.environment.as_deref().unwrap_or(&flow.environment).to_owned();
    let bound = bound_roots(&flow, &inputs, &environment)?;
    let by = |root: &BoundRoot| (root.name.clone(), namer(&root.path, &given, &inputs));
    let named: BTreeMap<String, Named> = bound.iter().map(by).collect();
    let stands = |root: &BoundRoot| stands(root, &base, named.get(&root.name));
    let Folders { access, places, roots } = Folders::bind(bound, stands, common)?;
    let run = RunId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let ask = ask(args, &flow, &inputs)?;
    let labels = labels(&flow, &inputs, &given::labels(&args.label)?)?;
    let (domain, flow) = (flow.domain.clone(), Arc::new(flow));
    let start = Start {
        run,
        flow: Arc::clone(&flow),
        source,
        inputs,
        roots: access,
        places,
        base: folders::on_record(&folders::real(&base))?,
        initiator: actor.clone(),
        environment: args.environment.clone(),
        firing: None,
        labels,
        trigger: None,
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
        named,
        base,
        ending: None,
        before: Before::default(),
    })
}

/// What a run is held to before it may begin: what the file says, and what is given.
fn ask(args: &Beginning, flow: &Flow, inputs: &Map) -> anyhow::Result<Ask> {
    let mut ask = flow.ask(inputs).map_err(|why| Failure::told(Exit::BadInput, why))?;
    ask.priority = args.priority.unwrap_or(ask.priority);
    ask.not_before = args.not_before.as_deref().map(given::time).transpose()?;
    Ok(ask)
}

/// What a run is found by: what the file says, and what is given.
pub(super) fn labels(
    flow: &Flow,
    inputs: &Map,
    given: &SearchLabels,
) -> anyhow::Result<SearchLabels> {
    flow.labelled(inputs, given).map_err(|why| Failure::told(Exit::BadInput, why))
}

/// What named this folder: an input whose value it is, or else the file.
pub(super) fn namer(path: &str, given: &BTreeMap<String, String>, inputs: &Map) -> Named {
    if let Some((input, value)) = given.iter().find(|(_, value)| *value == path) {
        return Named::Given { input: input.clone(), value: value.clone() };
    }
    let by_default = inputs.iter().find(|(_, value)| value.as_text() == Some(path));
    by_default.map_or(Named::File, |(input, _)| Named::Default(input.clone()))
}

/// The inputs that are given, each once.
pub(super) fn given_inputs(
    args: &Beginning,
    flow: &Flow,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    for input in &args.input {
        let (name, value) = input.split_once('=').ok_or_else(|| {
            let known: Vec<_> = flow.inputs.keys().map(String::as_str).collect();
            let known = format!("--input NAME=VALUE; the workflow has: {}", known.join(", "));
            Failure::advise(Exit::BadInput, format!("`--input {input}` has no value"), known)
        })?;
        if given.insert(name.to_owned(), value.to_owned()).is_some() {
            let message = format!("the input `{name}` is given twice");
            return Err(Failure::advise(
                Exit::BadInput,
                message,
                format!("one --input {name}=VALUE"),
            ));
        }
    }
    Ok(given)
}

/// The folders that a workflow names with these inputs.
pub(super) fn bound_roots(
    flow: &Flow,
    inputs: &Map,
    environment: &str,
) -> anyhow::Result<Vec<BoundRoot>> {
    flow.roots(inputs, environment).map_err(|errors| Failure::told(Exit::BadInput, errors))
}

/// Where a folder stands. One given on the command line is meant from where the person stands.
pub(super) fn stands(root: &BoundRoot, base: &Path, named: Option<&Named>) -> PathBuf {
    let is_given = matches!(named, Some(Named::Given { .. }));
    if is_given { PathBuf::from(&root.path) } else { base.join(&root.path) }
}

/// The folders of a run: what it may do there, where they stand, and how they are opened.
pub(super) struct Folders {
    pub(super) access: BTreeMap<String, Access>,
    pub(super) places: BTreeMap<String, String>,
    pub(super) roots: BTreeMap<String, RootBinding>,
}

impl Folders {
    pub(super) fn bind(
        bound: Vec<BoundRoot>,
        stands: impl Fn(&BoundRoot) -> PathBuf,
        common: &Common,
    ) -> anyhow::Result<Self> {
        let secrets = Secrets::of_folder(&common.data);
        let (access, places, roots) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut folders = Self { access, places, roots };
        for root in bound {
            let binding = family::stand(&root, &stands(&root), &secrets)?;
            let access = if binding.write { Access::Write } else { Access::Read };
            folders.access.insert(root.name.clone(), access);
            folders.places.insert(root.name.clone(), folders::on_record(&binding.path)?);
            folders.roots.insert(root.name, binding);
        }
        Ok(folders)
    }
}

/// A run cannot be taken up: it, or one of its tree, is not what its definition describes.
pub(super) fn mismatch(run: RunId, error: &Mismatch) -> anyhow::Error {
    let message = format!("{run} cannot be resumed: {error}");
    Failure::advise(Exit::Failed, message, "cognitionos ledger verify")
}

/// Where the roots of a run stand, and its workflow file.
pub(super) fn standing(
    history: &History,
    run: RunId,
    is_ending: bool,
    data: &Path,
) -> anyhow::Result<(BTreeMap<String, RootBinding>, PathBuf)> {
    let secrets = Secrets::of_folder(data);
    for (name, path) in history.places() {
        secrets.keep_apart(name, Path::new(path))?;
    }
    let flow = history.flow();
    let roots = history.places().iter().map(|(name, path)| {
        let write = history.roots().get(name) == Some(&Access::Write);
        // What the workflow has made when it is missing is made again by what writes there.
        let create = flow.roots.iter().any(|root| root.name == *name && root.create);
        (name.clone(), RootBinding { path: PathBuf::from(path), write, create })
    });
    // A run can be ended although a folder is gone: what was done there nobody can tell.
    let is_left = |root: &RootBinding| folders::is_there(&root.path) || folders::is_due(root);
    let roots = roots.filter(|(_, root)| !is_ending || is_left(root));
    let roots: BTreeMap<String, RootBinding> = roots.collect();
    if let Some((name, root)) = roots.iter().find(|(_, it)| !it.create && !it.path.is_dir()) {
        let message = format!("the folder {} of the root `{name}` is gone", root.path.display());
        let advice = format!(
            "put it back, or end the run: cognitionos run --cancel {run} --reason 'its folder is gone'"
        );
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    Ok((roots, PathBuf::from(history.base())))
}

//! Making the adapters of a run: its roots, the canon's hosts, and who answers for models.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge reads cassettes and writes the one it is asked to record"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::id::RunId;
use cog_canon::{Canon, Model};
use cog_effect_file::{BindError, FileAdapter, RootBinding};
use cog_effect_http::HttpAdapter;
use cog_effect_model::{
    Cassette, ModelAdapter, OPENAI_KEY, OPENAI_URL, OpenAi, Provider, Recorder, Secret, is_openai,
};
use cog_effect_process::{ProcessAdapter, WorkFolder};
use cog_flow::Flow;
use verify::open_file;

use crate::cli::RunArgs;
use crate::config::{MODEL_API_KEY_FILE, OPENAI_API_KEY_FILE, setting};
use crate::failure::{Exit, Failure};
use crate::folders::Secrets;
use crate::hands::Adapters;
use crate::system::{env, program};

/// What to do about a root whose folder cannot be opened.
const MAKE_IT: &str = "make the folder, or say `create: true` of the root in the workflow file";
/// What to do about a root behind a link that was not there when the run began.
const PUT_BACK: &str = "put the folder itself back in its place and resume, or end the run: \
                        cognitionos run --reason 'its folder was moved' --cancel";
/// What to do about a cassette that cannot be read.
const ANOTHER_CASSETTE: &str = "mend the file, or put it away and record anew: --model MODEL \
                                --record FILE";

/// Make the adapters of a run whose workflow stands in `base`.
pub(crate) fn adapters(
    args: &RunArgs,
    base: &Path,
    canon: Option<&Canon>,
    run: RunId,
    roots: &BTreeMap<String, RootBinding>,
    secrets: &Secrets,
) -> anyhow::Result<Adapters> {
    with(models(args, base, canon)?, canon, run, roots, secrets)
}

/// Make the adapters of a run as its canon has them: nobody is there to say otherwise.
pub(crate) fn bound(
    base: &Path,
    canon: Option<&Canon>,
    run: RunId,
    roots: &BTreeMap<String, RootBinding>,
    secrets: &Secrets,
) -> anyhow::Result<Adapters> {
    with(ModelAdapter::new(providers(None, base, canon)?), canon, run, roots, secrets)
}

/// The models that a recording answers for, as resources.
pub(crate) fn recorded(args: &RunArgs, canon: Option<&Canon>) -> BTreeSet<String> {
    let models = canon.map(|canon| &canon.settings().models).into_iter().flatten();
    let live = args.model.as_deref().and_then(server);
    let models = models.filter(|(_, model)| model.is_recorded() && !may_be_replaced(model, live));
    models.map(|(name, _)| format!("Model::\"{name}\"")).collect()
}

/// Whether the canon lets the server at `live` answer for a model.
fn may_be_replaced(model: &Model, live: Option<(&str, &str)>) -> bool {
    live.is_some_and(|(url, _)| model.replaceable.admits(url))
}

/// Whether the canon itself has the server at `url` answer for a model, `called` so there.
pub(crate) fn is_configured(name: &str, model: &Model, url: &str, called: &str) -> bool {
    let own = model.base_url.as_deref().unwrap_or(OPENAI_URL);
    !model.is_recorded()
        && own.trim_end_matches('/') == url
        && model.model.as_deref().unwrap_or(name) == called
}

/// Where `--model` says that a model is, and what it is called there.
fn server(named: &str) -> Option<(&str, &str)> {
    match named.strip_prefix("openai:") {
        Some(model) => Some((OPENAI_URL, model)),
        None => named.split_once('#'),
    }
}

fn with(
    model: ModelAdapter,
    canon: Option<&Canon>,
    run: RunId,
    roots: &BTreeMap<String, RootBinding>,
    secrets: &Secrets,
) -> anyhow::Result<Adapters> {
    let kept = secrets.clone();
    // Of a root that is made while its run goes on.
    let admit = move |name: &str, root: &Path| {
        kept.keep_apart(name, root).map_err(|error| error.to_string())
    };
    let file = FileAdapter::new(Arc::new(admit));
    file.bind(run, roots).map_err(|error| {
        let message = error.told();
        if matches!(error, BindError::Moved { .. }) {
            return Failure::advise(Exit::Refused, message, format!("{PUT_BACK} {run}"));
        }
        let advice = match error {
            BindError::OfTheKernel { .. } => "give the root a folder with files of yours",
            BindError::Open { .. } | BindError::Moved { .. } | BindError::UnsupportedKernel => {
                MAKE_IT
            }
        };
        Failure::advise(Exit::BadInput, message, advice)
    })?;
    let hosts = canon.map(|canon| canon.settings().hosts.clone()).unwrap_or_default();
    let (file, kept) = (Arc::new(file), secrets.clone());
    let lender = Arc::clone(&file);
    let lend = move |run: RunId, root: &str| {
        lender.lend(run, root).map(|(folder, write)| WorkFolder::new(folder, write))
    };
    let hidden = move || kept.keep_hidden();
    let process = ProcessAdapter::new(program()?, Arc::new(lend), Arc::new(hidden));
    Ok(Adapters { file, http: HttpAdapter::new(hosts), process, model })
}

fn models(args: &RunArgs, base: &Path, canon: Option<&Canon>) -> anyhow::Result<ModelAdapter> {
    let live = args.model.as_deref().map(live).transpose()?;
    let named = args.model.as_deref().and_then(server);
    if let (Some((url, _)), Some(canon)) = (named, canon) {
        admit(url, canon)?;
    }
    let adapter = ModelAdapter::new(providers(live.as_ref().zip(named), base, canon)?);
    let Some(path) = &args.record else { return Ok(adapter) };
    let known = if path.exists() { cassette(path)?.requests() } else { BTreeSet::new() };
    let opened = OpenOptions::new().append(true).create(true).open(path);
    let file = opened.map_err(|error| {
        Failure::advise(
            Exit::BadInput,
            format!("cannot record into {}: {error}", path.display()),
            "--record FILE, in a folder that is there and that you may write to",
        )
    })?;
    Ok(adapter.recording(Arc::new(Tape(Mutex::new(file))), known))
}

/// Whether the server at `url` may answer for any model: what no model of the canon lets in would
/// be asked nothing.
fn admit(url: &str, canon: &Canon) -> anyhow::Result<()> {
    let models = &canon.settings().models;
    if models.is_empty() || models.values().any(|model| model.replaceable.admits(url)) {
        return Ok(());
    }
    let names: Vec<&str> = models.keys().map(String::as_str).collect();
    let names = names.join(", ");
    Err(not_admitted(url, &format!("none of its models: {names}")))
}

fn not_admitted(url: &str, none: &str) -> anyhow::Error {
    let message = format!("the canon lets `{url}` answer in place of {none}");
    let advice = format!(
        "run without --model, or have `replaceable = [\"{url}\"]` put into a [models] entry of \
         canon.toml: cognitionos canon propose DIR"
    );
    Failure::advise(Exit::Refused, message, advice)
}

/// Refuse a server that `--model` names, where the canon lets it answer for none of the models that
/// the workflow asks: nothing would come of it.
///
/// # Errors
/// Names these models.
pub(crate) fn check(args: &RunArgs, canon: Option<&Canon>, flow: &Flow) -> anyhow::Result<()> {
    let (Some(named), Some(canon)) = (args.model.as_deref(), canon) else { return Ok(()) };
    live(named)?;
    let Some((url, _)) = server(named) else { return Ok(()) };
    admit(url, canon)?;
    let Some(asked) = flow.models().filter(|asked| !asked.is_empty()) else { return Ok(()) };
    let models = &canon.settings().models;
    let admits = |name: &String| models.get(name).is_some_and(|it| it.replaceable.admits(url));
    if asked.iter().any(admits) {
        return Ok(());
    }
    let names = asked.into_iter().collect::<Vec<_>>().join(", ");
    Err(not_admitted(url, &format!("none of the models that the workflow asks: {names}")))
}

/// Who answers for each model of the canon.
fn providers(
    live: Option<(&Provider, (&str, &str))>,
    base: &Path,
    canon: Option<&Canon>,
) -> anyhow::Result<BTreeMap<String, Provider>> {
    let mut providers = BTreeMap::new();
    let models = canon.map(|canon| &canon.settings().models).into_iter().flatten();
    for (name, model) in models {
        let provider = match live {
            Some((live, named)) if may_be_replaced(model, Some(named)) => live.clone(),
            Some(_) | None => configured(name, model, base)?,
        };
        providers.insert(name.clone(), provider);
    }
    Ok(providers)
}

/// The server that `--model` names.
fn live(named: &str) -> anyhow::Result<Provider> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::advise(
            Exit::BadInput,
            format!("`--model {}`: {error}", named.split('?').next().unwrap_or_default()),
            "--model http://127.0.0.1:11434/v1#llama3.2, or --model openai:gpt-4o-mini",
        )
    };
    let (url, model) = server(named).ok_or_else(|| bad(&"no #MODEL after the URL"))?;
    if model.trim().is_empty() {
        return Err(bad(&"it names no model"));
    }
    let key = api_key(url)?;
    if is_openai(url) && key.is_none() {
        return Err(Failure::advise(
            Exit::BadInput,
            format!("`--model {named}` needs a key, and {OPENAI_KEY} is not set"),
            format!(
                "export {OPENAI_KEY}=…, with a key from platform.openai.com; or {OPENAI_KEY}_FILE=FILE"
            ),
        ));
    }
    let server = OpenAi::new(url, model, key).map_err(|error| bad(&error))?;
    Ok(Provider::OpenAi(Arc::new(server)))
}

/// OpenAI's key goes to OpenAI alone; another server gets the one that is meant for it. Each may
/// stand in a file that is named in its place.
fn api_key(url: &str) -> anyhow::Result<Option<Secret>> {
    let (name, file) = if is_openai(url) {
        (OPENAI_KEY, OPENAI_API_KEY_FILE)
    } else {
        ("COGNITIONOS_MODEL_API_KEY", MODEL_API_KEY_FILE)
    };
    let key = match (env(name), setting(file)) {
        (Some(key), _) => key,
        (None, Some(path)) => {
            open_file(Path::new(&path)).and_then(std::io::read_to_string).map_err(|error| {
                let message = format!("cannot read {path}, which {file} names: {error}");
                Failure::advise(
                    Exit::BadInput,
                    message,
                    "name a file that holds nothing but the key",
                )
            })?
        }
        (None, None) => return Ok(None),
    };
    let key = key.trim();
    Ok((!key.is_empty()).then(|| Secret::new(key)))
}

/// What the canon says answers for a model.
fn configured(name: &str, model: &Model, base: &Path) -> anyhow::Result<Provider> {
    if model.is_recorded() {
        let path = base.join("recordings").join(format!("{name}.jsonl"));
        return Ok(Provider::Cassette(Arc::new(cassette(&path)?)));
    }
    let url = model.base_url.as_deref().unwrap_or(OPENAI_URL);
    let server = OpenAi::new(url, model.model.as_deref().unwrap_or(name), api_key(url)?).map_err(
        |error| {
            let message = format!("model `{name}`: {error}");
            let advice =
                format!("mend [models.{name}] in canon.toml: cognitionos canon propose DIR");
            Failure::advise(Exit::BadInput, message, advice)
        },
    )?;
    Ok(Provider::OpenAi(Arc::new(server)))
}

/// A cassette file. One that is not there has no recordings: the question then fails with
/// what to do about it.
fn cassette(path: &Path) -> anyhow::Result<Cassette> {
    let text = match open_file(path).and_then(std::io::read_to_string) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Cassette::absent(&path.display().to_string()));
        }
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            return Err(Failure::advise(Exit::BadInput, message, ANOTHER_CASSETTE));
        }
    };
    Cassette::parse(&text).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Failure::advise(Exit::BadInput, message, ANOTHER_CASSETTE)
    })
}

/// A cassette that is being recorded.
struct Tape(Mutex<File>);

impl Recorder for Tape {
    fn record(&self, line: &str) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A recording that cannot be kept must not cost the answer.
        let _ = file.write_all(line.as_bytes());
    }
}

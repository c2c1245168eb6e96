//! Names that nothing answers to: a misspelt one would switch a rule off without a word.

use std::collections::BTreeSet;

use cedar_policy::EntityUid;
use cog_base::process::is_steering;

use crate::conform::{ActionShape, Actions, Attribute, Record, Shape};
use crate::error::CanonError;
use crate::facts::Facts;
use crate::nearest::nearest;
use crate::policies::Rules;
use crate::settings::{AMOUNT_PATHS, Environments, Settings};
use crate::source::{SCHEMA, SETTINGS, Source};

/// The effects there are. The catalogue is closed: who performs them holds it against this list.
pub const EFFECTS: [&str; 7] = [
    "file.delete",
    "file.read",
    "file.write",
    "http.request",
    "model.chat",
    "process.run",
    "session.accept",
];

/// What the context of every effect has.
pub const CONTEXT: [&str; 8] =
    ["args", "cost_micros", "domain", "environment", "initiator", "risk", "step", "workflow"];

/// What it has besides where the canon declares classes of data: the class of what the effect is
/// handed, and the set of that class and all below it.
pub const DATA_CONTEXT: [&str; 2] = ["data_class", "data_classes"];

/// What it has besides where the canon says which environments are production: whether the run is in one.
pub const PRODUCTION: &str = "production";

/// The arguments of an effect, as policies see them in `args` of its context (`line` of a program is
/// its `args` as one text); none of another action.
#[must_use]
pub fn arguments(action: &str) -> &'static [&'static str] {
    match action {
        "file.read" | "file.delete" => &["path", "root"],
        "file.write" => &["document", "mode", "path", "root", "text"],
        "http.request" => {
            &["body", "bytes_max", "headers", "host", "json", "method", "timeout_ms", "url"]
        }
        "model.chat" => &["json", "messages", "model", "temperature_milli", "tokens_max"],
        "process.run" => &[
            "args",
            "env",
            "line",
            "memory_bytes_max",
            "network",
            "output_bytes_max",
            "program",
            "root",
            "stdin",
            "timeout_ms",
        ],
        "session.accept" => &[
            "data", "event", "id", "key", "proof", "proven", "source", "status", "subject", "time",
            "type",
        ],
        _ => &[],
    }
}

/// Attributes that the schema gives an effect and that no such effect has, as warnings: what is
/// required refuses every one of them, and what is not is never there.
pub(crate) fn unheard_of(settings: &Settings, text: &str, actions: &Actions) -> Vec<String> {
    let classed: &[&str] = if settings.data.is_some() { &DATA_CONTEXT } else { &[] };
    let tells = settings.environments.as_ref().is_some_and(Environments::tells_production);
    let told = tells.then_some(PRODUCTION);
    let known: Vec<&str> = CONTEXT.iter().chain(classed).copied().chain(told).collect();
    let mut found = BTreeSet::new();
    for action in EFFECTS {
        let Some(shape) = actions.get(action) else { continue };
        found.extend(strange(text, action, "", &shape.context, &known));
        if let Some(Shape::Record(args)) = shape.context.get("args").map(Attribute::shape) {
            found.extend(strange(text, action, "args.", args, arguments(action)));
        }
    }
    found.into_iter().map(|(_, warning)| warning).collect()
}

/// Headers of a request that the schema names with capitals: they are decided on in lower case, so
/// that a policy about one would never find it there.
pub(crate) fn check_headers(text: &str, actions: &Actions) -> Result<(), CanonError> {
    let Some(Shape::Record(args)) =
        actions.get("http.request").and_then(|it| it.context.get("args")).map(Attribute::shape)
    else {
        return Ok(());
    };
    let Some(Shape::Record(headers)) = args.get("headers").map(Attribute::shape) else {
        return Ok(());
    };
    let is_capital = |name: &&String| name.contains(|letter: char| letter.is_ascii_uppercase());
    let Some(name) = headers.keys().find(is_capital) else { return Ok(()) };
    let what = format!("the header `{name}` is decided on in lower case");
    let hint = format!("write `{}`, here and in policies", name.to_ascii_lowercase());
    Err(CanonError::at_byte(SCHEMA, text, text.find(name).unwrap_or(0), what).hint(hint))
}

/// The attributes of a record that are not among the known ones: where each stands, and a warning.
fn strange(
    text: &str,
    action: &str,
    prefix: &str,
    record: &Record,
    known: &[&str],
) -> Vec<(usize, String)> {
    let odd = record.iter().filter(|(name, _)| !known.contains(&name.as_str()));
    let warn = |(name, attribute): (&String, &Attribute)| {
        let from = text.find(action).unwrap_or(0);
        let byte = from + text.get(from..).and_then(|rest| word(rest, name)).unwrap_or(0);
        let what = format!("no `{action}` has `{prefix}{name}` in its context");
        let then = if attribute.is_required() {
            "with it every one is refused"
        } else {
            "a policy never finds it there"
        };
        let hint = match nearest(name, known.iter().copied()) {
            Some(meant) => format!("did you mean `{prefix}{meant}`? {then}"),
            None => format!("take it out: {then}. There are {}", known.join(", ")),
        };
        (byte, CanonError::at_byte(SCHEMA, text, byte, what).hint(hint).to_string())
    };
    odd.map(warn).collect()
}

/// Where a name stands as a word of its own.
fn word(text: &str, name: &str) -> Option<usize> {
    let of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.match_indices(name).map(|(at, _)| at).find(|at| {
        let (before, rest) = text.split_at(*at);
        let after = rest.get(name.len()..).unwrap_or_default();
        !before.ends_with(of_name) && !after.starts_with(of_name)
    })
}

/// Each action that the settings name is an effect or in the schema: what is misspelt under
/// `envelope.forbidden` would forbid nothing, nor would a group that stands for its actions in
/// policies.
pub(crate) fn check_actions(
    settings: &Settings,
    text: &str,
    actions: &Actions,
) -> Result<(), CanonError> {
    let forbidden = settings.envelope.forbidden.iter().flatten().map(|name| ("forbidden", name));
    let classed = settings.actions.keys().map(|name| ("[actions", name));
    let is_group = |name: &String| actions.get(name).is_some_and(ActionShape::is_group);
    let known = |name: &String| actions.contains_key(name) || EFFECTS.contains(&name.as_str());
    let is_odd = |name: &String| !known(name) || is_group(name);
    let Some((key, name)) = forbidden.chain(classed).find(|(_, name)| is_odd(name)) else {
        return Ok(());
    };
    let at = text.find(key).unwrap_or(0);
    let byte = at + text.get(at..).and_then(|rest| rest.find(name.as_str())).unwrap_or(0);
    if is_group(name) {
        let what = format!("`{name}` is a group of actions, and nothing that is done is one");
        let hint = "name each action that is in it";
        return Err(CanonError::at_byte(SETTINGS, text, byte, what).hint(hint));
    }
    let what = format!("there is no action `{name}`");
    Err(CanonError::at_byte(SETTINGS, text, byte, what).hint(meant(name, actions)))
}

fn meant(name: &str, actions: &Actions) -> String {
    let known: BTreeSet<&str> = actions.keys().map(String::as_str).chain(EFFECTS).collect();
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the actions are {}", Vec::from_iter(known).join(", ")),
    }
}

/// Paths of amounts that stand in no action's context, as warnings: an envelope whose path is
/// misspelt counts nothing.
pub(crate) fn astray(settings: &Settings, text: &str, actions: &Actions) -> Vec<String> {
    let envelope = &settings.envelope;
    let given = envelope.amount_paths != AMOUNT_PATHS;
    let stands = |path: &str| actions.values().any(|action| has(&action.context, path));
    let lost = envelope.amount_paths.iter().filter(|path| given && !stands(path));
    let warn = |path: &String| {
        let byte = text.find(path.as_str()).unwrap_or(0);
        let what = format!("no action of the schema has `{path}` in its context");
        let hint = "an effect without it counts as moving nothing; correct the path, or declare it";
        CanonError::at_byte(SETTINGS, text, byte, what).hint(hint).to_string()
    };
    lost.map(warn).collect()
}

/// Marked roots in folders that are meant from that of the workflow file, as warnings: who writes
/// the file says where that is.
pub(crate) fn movable(settings: &Settings, text: &str) -> Vec<String> {
    let warn = |(name, within): (&str, &str)| {
        let byte = text.find(&format!("\"{within}\"")).unwrap_or(0);
        let what = format!(
            "the class of the root `{name}` holds for the folder `{within}` beside the workflow \
             file, and a file in another folder means another one"
        );
        let hint = "name the folder from `/`, so that it has its class for every workflow";
        CanonError::at_byte(SETTINGS, text, byte, what).hint(hint).to_string()
    };
    settings.roots.movable().map(warn).collect()
}

/// Variables that have a program run what the workflow wants, as warnings: to list one is to let
/// the workflow choose the code.
pub(crate) fn steering(settings: &Settings, text: &str) -> Vec<String> {
    let lent = settings.programs.iter();
    let lent = lent.flat_map(|(program, lent)| lent.env.iter().map(move |name| (program, name)));
    let warn = |(program, name): (&String, &String)| {
        let byte = text.find(&format!("\"{name}\"")).unwrap_or(0);
        let what = format!(
            "`{name}` can have `{program}` run code, or reach places, of the workflow's choice"
        );
        let hint = "leave it out unless a policy pins what it is set to: `context.args.env`";
        CanonError::at_byte(SETTINGS, text, byte, what).hint(hint).to_string()
    };
    lent.filter(|(_, name)| is_steering(name)).map(warn).collect()
}

fn has(record: &Record, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (record.get(name).map(Attribute::shape), rest) {
        (Some(_), None) => true,
        (Some(Shape::Record(inner)), Some(rest)) => has(inner, rest),
        (_, _) => false,
    }
}

/// Entities that policies or facts name and that are not in the facts, as warnings: a group may
/// be named before somebody is in it, but a misspelt one forbids nobody.
pub(crate) fn strangers(
    source: &Source,
    actions: &Actions,
    facts: &Facts,
    rules: &Rules,
) -> Result<Vec<String>, CanonError> {
    let entities = &facts.entities;
    let principals = actions.values().flat_map(|action| action.principals.values());
    let mut types: BTreeSet<_> = principals.cloned().collect();
    types.extend(entities.iter().map(|entity| entity.uid().type_name().clone()));
    let is_stranger = |uid: &EntityUid| entities.get(uid).is_none();
    let hint = |uid: &EntityUid| {
        let alike = entities.iter().map(cedar_policy::Entity::uid);
        let alike = alike.filter(|it| it.type_name() == uid.type_name());
        let names: BTreeSet<String> = alike.map(|it| it.id().unescaped().to_owned()).collect();
        let meant = nearest(uid.id().unescaped(), names.iter().map(String::as_str));
        meant.map_or_else(
            || "add it to facts/, or correct the name".to_owned(),
            |meant| format!("did you mean {}::\"{meant}\"?", uid.type_name()),
        )
    };
    let mut found = Vec::new();
    for rule in rules {
        let named: BTreeSet<_> = rule.policy.entity_literals().into_iter().collect();
        let named = named.into_iter().filter(|uid| types.contains(uid.type_name()));
        for uid in named.filter(is_stranger) {
            let (file, id) = (rule.file(), &rule.note.id);
            let what = format!("policy `{id}` names {uid}, which is not in the facts");
            let byte = rule.byte_of(&uid.to_string());
            let odd = CanonError::at_byte(file, source.text(file)?, byte, what);
            found.push(odd.hint(hint(&uid)).to_string());
        }
    }
    for entity in entities.iter() {
        let parents = entities.ancestors(&entity.uid()).into_iter().flatten();
        for parent in parents.filter(|uid| is_stranger(uid)) {
            let what = format!("{} is in {parent}, which is not in the facts", entity.uid());
            found.push(CanonError::in_file("facts", what).hint(hint(parent)).to_string());
        }
    }
    found.sort();
    Ok(found)
}
